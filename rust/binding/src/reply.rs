//! What one task waits for while another does the work, on an event loop.
//!
//! A `LoopReply` is a future in asyncio's eyes (`_asyncio_future_blocking`, `add_done_callback`, `result`, …), for one task. It differs
//! from `asyncio.Future` in two ways that count when a hundred thousand a second are answered: all that are resolved in one go are woken
//! by one callback of the loop, in their order; and all deadlines of a loop share a timer.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyStopIteration;
use pyo3::exceptions::asyncio::{CancelledError, InvalidStateError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

type Object = Py<PyAny>;
/// Deadlines are kept to this part of a second.
const TICKS_PER_S: f64 = 100.0;
const EARLY_TICKS: f64 = 0.01;

/// No Python code runs while one of these is held, so that a poisoned one is whole.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Waiting {
    /// Those with a deadline to come, by tick and number.
    by_time: BTreeMap<(i64, u64), Py<LoopReply>>,
    numbers: u64,
    /// The tick of the earliest timer.
    armed: Option<i64>,
    /// Callbacks to be run soon: a task's wake-up, its context, and its reply.
    woken: Vec<(Object, Object, Py<LoopReply>)>,
}

/// The replies of one event loop. `late` makes the exception of those whose deadline has passed.
#[pyclass(frozen, module = "tierstore._native")]
pub struct LoopReplies {
    event_loop: Object,
    late: Object,
    waiting: Mutex<Waiting>,
}

enum State {
    Pending,
    Resolved(Object),
    Late,
    Cancelled(Option<Object>),
}

struct Inner {
    state: State,
    blocking: bool,
    /// The wake-up of its task, and its context. (Others may wait too; nobody does.)
    callbacks: Vec<(Object, Object)>,
}

/// A value for one waiting task: handed over at most once, until a deadline.
#[pyclass(frozen, module = "tierstore._native")]
pub struct LoopReply {
    owner: Py<LoopReplies>,
    place: (i64, u64),
    inner: Mutex<Inner>,
}

#[pymethods]
impl LoopReplies {
    #[new]
    fn new(event_loop: Object, late: Object) -> Self {
        Self { event_loop, late, waiting: Mutex::default() }
    }

    /// A reply that is awaited until `deadline.at`.
    #[pyo3(signature = (deadline, /))]
    fn reply(this: &Bound<'_, Self>, deadline: &Bound<'_, PyAny>) -> PyResult<Py<LoopReply>> {
        Self::reply_until(this, deadline.getattr(intern!(this.py(), "at"))?.extract()?)
    }

    /// A reply that is awaited until `at`, in seconds of the loop's clock.
    #[pyo3(signature = (at, /))]
    fn reply_until(this: &Bound<'_, Self>, at: f64) -> PyResult<Py<LoopReply>> {
        let py = this.py();
        let tick = (at * TICKS_PER_S) as i64 + 1;
        let own = this.get();
        let number = {
            let mut waiting = hold(&own.waiting);
            waiting.numbers += 1;
            waiting.numbers
        };
        let inner = Inner { state: State::Pending, blocking: false, callbacks: Vec::new() };
        let made =
            Py::new(py, LoopReply { owner: this.clone().unbind(), place: (tick, number), inner: Mutex::new(inner) })?;
        let arm = {
            let mut waiting = hold(&own.waiting);
            waiting.by_time.insert((tick, number), made.clone_ref(py));
            let arm = waiting.armed.is_none_or(|armed| tick < armed);
            if arm {
                waiting.armed = Some(tick);
            }
            arm
        };
        if arm {
            Self::arm(this, tick)?;
        }
        Ok(made)
    }

    /// The earliest timer has rung: those whose time is over learn it, and the next is set.
    fn _ring(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        let now: f64 = this.get().event_loop.bind(py).call_method0(intern!(py, "time"))?.extract()?;
        // The loop rings up to the resolution of its clock early, and a tick is no round number of seconds.
        let tick = (now * TICKS_PER_S + EARLY_TICKS) as i64;
        let (due, next) = {
            let mut waiting = hold(&this.get().waiting);
            let rest = waiting.by_time.split_off(&(tick + 1, 0));
            let due = mem::replace(&mut waiting.by_time, rest);
            waiting.armed = waiting.by_time.first_key_value().map(|(place, _)| place.0);
            (due, waiting.armed)
        };
        if let Some(next) = next {
            Self::arm(this, next)?;
        }
        for reply in due.into_values() {
            reply.get().settle(py, State::Late, &reply)?;
        }
        Ok(())
    }

    /// Run the tasks whose replies were settled. One that ends the loop leaves the rest for its next turn.
    fn _run(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        let mut woken = mem::take(&mut hold(&this.get().waiting).woken).into_iter();
        while let Some((callback, context, reply)) = woken.next() {
            if let Err(error) = context.bind(py).call_method1(intern!(py, "run"), (callback, reply)) {
                for (callback, context, reply) in woken {
                    Self::wake(this.get(), py, this, (callback, context, reply))?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.late)?;
        if let Ok(waiting) = self.waiting.try_lock() {
            for reply in waiting.by_time.values() {
                visit.call(reply)?;
            }
            for (callback, context, reply) in &waiting.woken {
                visit.call(callback)?;
                visit.call(context)?;
                visit.call(reply)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let gone = mem::take(&mut *hold(&self.waiting));
        drop(gone);
    }
}

impl LoopReplies {
    fn arm(this: &Bound<'_, Self>, tick: i64) -> PyResult<()> {
        let py = this.py();
        let ring = this.getattr(intern!(py, "_ring"))?;
        let at = tick as f64 / TICKS_PER_S;
        this.get().event_loop.bind(py).call_method1(intern!(py, "call_at"), (at, ring))?;
        Ok(())
    }

    fn wake(&self, py: Python<'_>, this: &Bound<'_, Self>, one: (Object, Object, Py<LoopReply>)) -> PyResult<()> {
        let first = {
            let mut waiting = hold(&self.waiting);
            waiting.woken.push(one);
            waiting.woken.len() == 1
        };
        if first {
            let run = this.getattr(intern!(py, "_run"))?;
            self.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (run,))?;
        }
        Ok(())
    }
}

impl LoopReply {
    /// Settle it and wake its task. False if it was settled before.
    fn settle(&self, py: Python<'_>, state: State, this: &Py<Self>) -> PyResult<bool> {
        let callbacks = {
            let mut inner = hold(&self.inner);
            if !matches!(inner.state, State::Pending) {
                return Ok(false);
            }
            inner.state = state;
            mem::take(&mut inner.callbacks)
        };
        let owner = self.owner.bind(py);
        let kept = hold(&owner.get().waiting).by_time.remove(&self.place);
        drop(kept);
        for (callback, context) in callbacks {
            owner.get().wake(py, owner, (callback, context, this.clone_ref(py)))?;
        }
        Ok(true)
    }

    /// None while it is pending; else what was handed over, or the exception.
    fn outcome(&self, py: Python<'_>) -> Option<PyResult<Object>> {
        let late = match &hold(&self.inner).state {
            State::Pending => return None,
            State::Resolved(value) => return Some(Ok(value.clone_ref(py))),
            State::Late => None,
            State::Cancelled(message) => Some(message.as_ref().map(|message| message.clone_ref(py))),
        };
        Some(Err(match late {
            None => self.owner.get().late.bind(py).call0().map_or_else(|error| error, PyErr::from_value),
            Some(None) => CancelledError::new_err(()),
            Some(Some(message)) => CancelledError::new_err((message,)),
        }))
    }
}

#[pymethods]
impl LoopReply {
    /// Hand over the value. False if the caller has left or has one already.
    #[pyo3(signature = (value, /))]
    fn resolve(this: &Bound<'_, Self>, value: Object) -> PyResult<bool> {
        this.get().settle(this.py(), State::Resolved(value), this.as_unbound())
    }

    /// What was handed over; None before, and for a caller that had left.
    #[getter]
    fn value(&self, py: Python<'_>) -> Option<Object> {
        match &hold(&self.inner).state {
            State::Resolved(value) => Some(value.clone_ref(py)),
            _ => None,
        }
    }

    // What asyncio asks of a future

    #[getter]
    fn _asyncio_future_blocking(&self) -> bool {
        hold(&self.inner).blocking
    }

    #[setter(_asyncio_future_blocking)]
    fn set_asyncio_future_blocking(&self, blocking: bool) {
        hold(&self.inner).blocking = blocking;
    }

    fn get_loop(&self, py: Python<'_>) -> Object {
        self.owner.get().event_loop.clone_ref(py)
    }

    #[pyo3(signature = (callback, /, *, context))]
    fn add_done_callback(this: &Bound<'_, Self>, callback: Object, context: Object) -> PyResult<()> {
        let (py, own) = (this.py(), this.get());
        let mut inner = hold(&own.inner);
        if matches!(inner.state, State::Pending) {
            inner.callbacks.push((callback, context));
            return Ok(());
        }
        drop(inner);
        let owner = own.owner.bind(py);
        owner.get().wake(py, owner, (callback, context, this.clone().unbind()))
    }

    #[pyo3(signature = (msg = None))]
    fn cancel(this: &Bound<'_, Self>, msg: Option<Object>) -> PyResult<bool> {
        this.get().settle(this.py(), State::Cancelled(msg), this.as_unbound())
    }

    fn done(&self) -> bool {
        !matches!(hold(&self.inner).state, State::Pending)
    }

    fn result(&self, py: Python<'_>) -> PyResult<Object> {
        self.outcome(py).unwrap_or_else(|| Err(InvalidStateError::new_err("there is no result yet")))
    }

    fn __await__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__(this: Bound<'_, Self>) -> PyResult<Option<Bound<'_, PyAny>>> {
        let py = this.py();
        match this.get().outcome(py) {
            None => {
                hold(&this.get().inner).blocking = true;
                Ok(Some(this.into_any()))
            }
            Some(Ok(value)) if value.is_none(py) => Ok(None),
            Some(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            Some(Err(error)) => Err(error),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owner)?;
        if let Ok(inner) = self.inner.try_lock() {
            for (callback, context) in &inner.callbacks {
                visit.call(callback)?;
                visit.call(context)?;
            }
            match &inner.state {
                State::Resolved(value) | State::Cancelled(Some(value)) => visit.call(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let gone = mem::take(&mut hold(&self.inner).callbacks);
        drop(gone);
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoopReplies>()?;
    module.add_class::<LoopReply>()
}
