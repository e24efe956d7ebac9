//! Objects and lists whose size a value decides: a MemoryError where no memory is left. PyO3's own constructors panic there, and a `Vec`
//! that grows by itself ends the process.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyTuple};
use tierstore_core::room;

use crate::codec::read::lift;

/// A bytes object.
#[inline(never)]
pub fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: a new bytes object, or null with the exception set; the interpreter copies so many bytes, which are there.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

/// A copy of any buffer, whatever its items are, since others might change it meanwhile.
pub fn copied<'py>(buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyMemoryView::from(buffer)?.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}

/// What the iterator gives, which says of itself how much that is at least.
#[inline(never)]
pub fn list<T>(items: impl Iterator<Item = PyResult<T>>) -> PyResult<Vec<T>> {
    let mut list = lift(room::room(items.size_hint().0))?;
    for item in items {
        lift(room::push(&mut list, item?))?;
    }
    Ok(list)
}

/// A tuple of the items.
#[inline(never)]
pub fn tuple<'py>(py: Python<'py>, items: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyTuple>> {
    // SAFETY: a new tuple, whose places are all filled before anyone sees it; each takes over a reference. Nothing runs meanwhile.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
        for (at, item) in items.into_iter().enumerate() {
            ffi::PyTuple_SET_ITEM(made.as_ptr(), at as ffi::Py_ssize_t, item.into_ptr());
        }
        Ok(made.cast_into_unchecked())
    }
}
