//! Items that come in, whose number is not believed before they have come, and lists that go out, which nobody sees before they are whole.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySequence, PyString};
use tierstore_core::room::push;

use crate::codec::read::lift;

/// The items of a sequence, at most `MOST`. What the sequence says of its length is not asked: an object may say anything, and a `range` of
/// all addresses has its length by right.
pub struct Items<T, const MOST: usize = { usize::MAX }>(pub Vec<T>);

impl<'py, T: FromPyObjectOwned<'py>, const MOST: usize> FromPyObject<'_, 'py> for Items<T, MOST> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if given.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("expected a sequence, got one str"));
        }
        // SAFETY: a live object.
        if unsafe { ffi::PySequence_Check(given.as_ptr()) } == 0 {
            given.cast::<PySequence>()?;
        }
        let mut items = Vec::new();
        for item in given.try_iter()? {
            if items.len() == MOST {
                return Err(PyValueError::new_err(format!("expected at most {MOST} items, got more")));
            }
            lift(push(&mut items, item?.extract().map_err(Into::into)?))?;
        }
        Ok(Self(items))
    }
}

/// A list of empty places. The collector, which shows its lists to everybody, does not know it until it is `full`.
pub fn empty_list(py: Python<'_>, count: usize) -> PyResult<Bound<'_, PyList>> {
    let count = ffi::Py_ssize_t::try_from(count)?;
    // SAFETY: a new list, whose places only `set_item` fills before anyone sees it. A list may die without being tracked.
    unsafe {
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(count))?;
        ffi::PyObject_GC_UnTrack(list.as_ptr().cast());
        Ok(list.cast_into_unchecked())
    }
}

/// `list` MUST be an `empty_list` whose places were all filled, and this its only call.
pub fn full<'py>(list: Bound<'py, PyList>) -> Bound<'py, PyAny> {
    // SAFETY: it was untracked, and all its places hold objects.
    unsafe { ffi::PyObject_GC_Track(list.as_ptr().cast()) };
    list.into_any()
}

/// `at` MUST be an empty place of the list.
#[inline(always)]
pub fn set_item<'py>(list: &Bound<'py, PyList>, at: usize, value: Bound<'py, PyAny>) {
    // SAFETY: the place is one of the list's, and takes over the reference.
    unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), at as ffi::Py_ssize_t, value.into_ptr()) };
}

/// A list of what the values become: each may be a container, so making one may set the collector going.
#[inline(never)]
pub fn list_of<'py, T: IntoPyObject<'py>>(py: Python<'py>, values: Vec<T>) -> PyResult<Bound<'py, PyAny>> {
    let list = empty_list(py, values.len())?;
    for (at, value) in values.into_iter().enumerate() {
        set_item(&list, at, value.into_bound_py_any(py)?);
    }
    Ok(full(list))
}
