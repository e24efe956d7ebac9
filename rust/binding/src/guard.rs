//! The edge between the interpreter's C functions and Rust: errors are set here, and no panic crosses it.
//!
//! Each `extern "C"` function of this crate is one call of one of these (tests/tidy holds that). A panic is a fault of tierstore's own:
//! Rust prints where it was, and what was asked for ends in an exception as any call may.
//!
//! | call | for | a panic becomes |
//! |---|---|---|
//! | `answer` | a function that is written with `PyResult` | a RuntimeError, as its other errors |
//! | `raise` | a function that sets exceptions itself | a RuntimeError, and the value that says so |
//! | `report` | a destructor, which can fail nobody | a RuntimeError for `sys.unraisablehook` |
//! | `endure` | what runs where the interpreter may not be called | the answer that is given for it |

use std::any::Any;
use std::ffi::c_int;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

type Panic = Box<dyn Any + Send>;

/// What a C function answers to say that an exception is set.
pub trait Failure {
    const RAISED: Self;
}

impl Failure for *mut ffi::PyObject {
    const RAISED: Self = ptr::null_mut();
}

impl Failure for c_int {
    const RAISED: Self = -1;
}

/// Run `body` for the interpreter: its value, or null with the exception set.
///
/// # Safety
/// The calling thread MUST be attached to the interpreter, as it is in every function that the interpreter calls.
#[inline]
pub unsafe fn answer(body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    unsafe { raise(|py| body(py).unwrap_or_else(|error| failed(py, error))) }
}

/// Run `body`, which has set an exception where its value says so.
///
/// # Safety
/// As `answer`.
#[inline(always)]
pub unsafe fn raise<T: Failure>(body: impl FnOnce(Python<'_>) -> T) -> T {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(value) => value,
        Err(panic) => {
            set(py, panic);
            T::RAISED
        }
    }
}

/// Run the `body` of a destructor. The exception under way, if there is one, stays.
///
/// # Safety
/// As `answer`.
#[inline(always)]
pub unsafe fn report(body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        // SAFETY: promised by the caller.
        unsafe { write(panic) };
    }
}

/// Run `body` where no exception can be made: a walk of the collector, the child of a fork.
#[inline(always)]
pub fn endure<T>(instead: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        mem::forget(panic); // its drop may be foreign
        instead
    })
}

/// Keep the exception under way out of the way of `body`. (`PyErr::take` would panic anew for one that PyO3 made of a panic.)
#[cfg(Py_3_12)]
fn aside(body: impl FnOnce()) {
    // SAFETY: called by `write` alone, attached; the reference goes back.
    unsafe {
        let under_way = ffi::PyErr_GetRaisedException();
        body();
        ffi::PyErr_SetRaisedException(under_way);
    }
}

#[cfg(not(Py_3_12))]
fn aside(body: impl FnOnce()) {
    let (mut class, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: called by `write` alone, attached; the references go back.
    unsafe {
        ffi::PyErr_Fetch(&raw mut class, &raw mut value, &raw mut trace);
        body();
        ffi::PyErr_Restore(class, value, trace);
    }
}

/// # Safety
/// As `answer`.
#[cold]
#[inline(never)]
unsafe fn write(panic: Panic) {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume_attached() };
    aside(|| {
        set(py, panic);
        // SAFETY: attached, with an exception set.
        unsafe { ffi::PyErr_WriteUnraisable(ptr::null_mut()) };
    });
}

#[cold]
#[inline(never)]
fn set(py: Python<'_>, panic: Panic) {
    failed(py, fault(panic));
}

fn fault(panic: Panic) -> PyErr {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => {
                mem::forget(panic); // its drop may be foreign
                "unknown cause".to_owned()
            }
        },
    };
    PyRuntimeError::new_err(format!("tierstore failed inside its native module ({text}); please report this"))
}

/// Set the exception: null.
///
/// PyO3 does not know that the thread is attached, and keeps references that are dropped meanwhile for later: it is told so here, and
/// drops those that were kept.
#[cold]
pub fn failed(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    let mut error = Some(error);
    Python::try_attach(|py| error.take().map(|error| error.restore(py)));
    if let Some(error) = error {
        error.restore(py); // the interpreter is ending
    }
    ptr::null_mut()
}
