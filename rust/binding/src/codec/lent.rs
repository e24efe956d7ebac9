//! Items of lists and dicts without a reference of one's own: most are written before anything else can run.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// An item that its list or dict owns: good until any other code runs.
#[cfg(not(Py_GIL_DISABLED))]
pub type Lent<'py> = std::mem::ManuallyDrop<Bound<'py, PyAny>>;
/// Without a GIL others always run, and the item is ours.
#[cfg(Py_GIL_DISABLED)]
pub type Lent<'py> = Bound<'py, PyAny>;

/// A reference of one's own to what is lent.
#[inline(always)]
pub fn own<'py>(lent: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    lent.clone()
}

/// An item of a list; None if the list has no such item (any more).
#[cfg(not(Py_GIL_DISABLED))]
#[inline(always)]
pub fn item_of<'py>(list: &Bound<'py, PyList>, at: usize) -> Option<Lent<'py>> {
    if at >= list.len() {
        return None;
    }
    // SAFETY: the list has this item; see `lent`.
    unsafe { Some(lent(list.py(), ffi::PyList_GET_ITEM(list.as_ptr(), at as ffi::Py_ssize_t))) }
}

#[cfg(Py_GIL_DISABLED)]
pub fn item_of<'py>(list: &Bound<'py, PyList>, at: usize) -> Option<Lent<'py>> {
    list.get_item(at).ok()
}

/// The entry behind `position`, which starts at 0. Memory-safe whatever becomes of the dict meanwhile; on a free-threaded build
/// the dict MUST be the caller's own copy.
#[inline(always)]
pub fn next_entry<'py>(dict: &Bound<'py, PyDict>, position: &mut ffi::Py_ssize_t) -> Option<(Lent<'py>, Lent<'py>)> {
    let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the dict is alive, and nothing else runs in it meanwhile.
    unsafe {
        if ffi::PyDict_Next(dict.as_ptr(), position, &raw mut key, &raw mut value) == 0 {
            return None;
        }
        Some((lent(dict.py(), key), lent(dict.py(), value)))
    }
}

/// # Safety
/// `object` MUST be alive, and stay so until this is used no more.
#[cfg(not(Py_GIL_DISABLED))]
#[inline(always)]
unsafe fn lent<'py>(py: Python<'py>, object: *mut ffi::PyObject) -> Lent<'py> {
    // SAFETY: promised by the caller; the reference is not this one's own, and it drops none.
    std::mem::ManuallyDrop::new(unsafe { Bound::from_owned_ptr(py, object) })
}

#[cfg(Py_GIL_DISABLED)]
unsafe fn lent<'py>(py: Python<'py>, object: *mut ffi::PyObject) -> Lent<'py> {
    // SAFETY: promised by the caller.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}
