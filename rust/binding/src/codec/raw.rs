//! The edge between the interpreter's C functions and Rust: panics stop here, and errors are set here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Run `body` for the interpreter: its value, or null with the exception set.
///
/// # Safety
/// The calling thread MUST be attached to the interpreter, as it is in every function that the interpreter calls.
#[inline]
pub unsafe fn answer(body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => failed(py, error),
        Err(_) => failed(py, PyRuntimeError::new_err("a fault in tierstore's codec: please report it")),
    }
}

#[cold]
fn failed(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    error.restore(py);
    std::ptr::null_mut()
}

/// Whether the cycle collector must know of `value`.
///
/// # Safety
/// `value` MUST be a live object.
#[inline]
pub unsafe fn is_container(value: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a type.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(value), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}
