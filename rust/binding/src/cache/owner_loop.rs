//! Where an event loop's objects may be used: on its thread, in its process, while it runs. Told for a few nanoseconds, since every
//! hit asks; `asyncio.get_running_loop` of CPython 3.11 asks the system for the process each time, which costs more than the hit.

use crate::forks;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

/// The event loop that runs when this is made. A thread runs one loop at a time: if this one runs, and the caller is on its thread,
/// it is the caller's.
#[pyclass(frozen, module = "tierstore._native")]
pub struct OwnerLoop {
    event_loop: Py<PyAny>,
    thread: usize,
    forks: u64,
    /// asyncio's own loops keep the thread they run on, None while they do not: looking is a quarter of the cost of asking.
    looks: bool,
}

impl OwnerLoop {
    #[inline]
    pub fn is_here(&self, py: Python<'_>) -> PyResult<bool> {
        if self.thread != this_thread() || self.forks != forks::count() {
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
impl OwnerLoop {
    #[new]
    fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let own = event_loop.py().import("asyncio")?.getattr("BaseEventLoop")?;
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            thread: this_thread(),
            forks: forks::count(),
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
