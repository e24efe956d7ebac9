//! The edge between the interpreter's C functions and Rust: panics stop here, and errors are set here.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A function that reads its arguments where the caller has them: positional ones, then so many more as there are names.
pub type Entry = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// An `Entry` as a function of `tierstore.codec`.
pub struct Definition(ffi::PyMethodDef);
// SAFETY: a definition is constant: names and functions that live as long as the program.
unsafe impl Sync for Definition {}

impl Definition {
    /// `doc` starts with the signature, as the interpreter reads it.
    pub const fn new(name: &'static CStr, doc: &'static CStr, entry: Entry) -> Self {
        Self(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: doc.as_ptr(),
        })
    }

    pub fn add(&'static self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let home = PyString::new(py, "tierstore.codec");
        // SAFETY: the definition lives as long as the program, and is only read.
        let function = unsafe {
            let definition = ptr::from_ref(&self.0).cast_mut();
            Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, ptr::null_mut(), home.as_ptr()))?
        };
        let name: Bound<'_, PyAny> = function.getattr("__name__")?;
        module.add(name.cast::<PyString>()?.to_str()?, &function)
    }
}

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

/// PyO3 does not know that the thread is attached, and keeps references that are dropped meanwhile for later: it is told so here, and
/// drops those that were kept.
#[cold]
fn failed(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    let mut error = Some(error);
    Python::try_attach(|py| error.take().map(|error| error.restore(py)));
    if let Some(error) = error {
        error.restore(py); // the interpreter is ending
    }
    ptr::null_mut()
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
