//! Where an event loop's objects may be used: on its thread, in its process, while it runs. Told for a few nanoseconds, since every
//! hit asks; `asyncio.get_running_loop` of CPython 3.11 asks the system for the process each time, which costs more than the hit.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many forks lie between this process and the one that loaded the module.
static FORKS: AtomicU64 = AtomicU64::new(0);

#[cfg(unix)]
fn count_forks() {
    static ONCE: Once = Once::new();
    extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    ONCE.call_once(|| {
        // SAFETY: the handler touches one atomic number and nothing else, as a child of a threaded process may.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
}

#[cfg(not(unix))]
fn count_forks() {}

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

/// The event loop that runs when this is made. A thread runs one loop at a time: if this one runs, and the caller is on its thread,
/// it is the caller's.
#[pyclass(frozen, module = "tierstore._native")]
pub struct Home {
    event_loop: Py<PyAny>,
    thread: usize,
    forks: u64,
    /// asyncio's own loops keep the thread they run on, None while they do not: looking is a quarter of the cost of asking.
    looks: bool,
}

impl Home {
    #[inline]
    pub fn is_here(&self, py: Python<'_>) -> PyResult<bool> {
        if self.thread != this_thread() || self.forks != FORKS.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if self.looks {
            return Ok(!self.event_loop.getattr(py, thread_of(py))?.is_none(py));
        }
        self.event_loop.call_method0(py, pyo3::intern!(py, "is_running"))?.is_truthy(py)
    }
}

fn thread_of(py: Python<'_>) -> &Bound<'_, PyString> {
    pyo3::intern!(py, "_thread_id")
}

#[pymethods]
impl Home {
    #[new]
    fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        count_forks();
        let own = event_loop.py().import("asyncio")?.getattr("BaseEventLoop")?;
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            thread: this_thread(),
            forks: FORKS.load(Ordering::Relaxed),
            looks: event_loop.is_instance(&own)? && event_loop.hasattr(thread_of(event_loop.py()))?,
        })
    }

    /// Whether the caller runs on this loop.
    #[pyo3(name = "is_here")]
    fn told(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_here(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}
