//! Functions that the interpreter calls with its arguments where they lie.

use std::ffi::CStr;
use std::ptr;

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

/// Whether the cycle collector must know of `value`.
///
/// # Safety
/// `value` MUST be a live object.
#[inline]
pub unsafe fn is_container(value: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object has a type.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(value), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}
