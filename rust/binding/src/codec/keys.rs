//! The same few keys stand in every map: their str objects are kept, with their hash, so that most keys cost a comparison.

use pyo3::ffi;
use pyo3::prelude::*;

use super::read::str as text;

/// Longer keys are seldom repeated.
const MAX_KEY_BYTES: usize = 32;
#[cfg(not(Py_GIL_DISABLED))]
const PLACES: usize = 1024;

/// A str of ASCII bytes. One place for each hash; the newer key takes it.
#[cfg(not(Py_GIL_DISABLED))]
pub fn ascii_key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
    static KEYS: [AtomicPtr<ffi::PyObject>; PLACES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PLACES];

    if bytes.is_empty() || bytes.len() > MAX_KEY_BYTES {
        return text(py, bytes);
    }
    let place = &KEYS[place_of(bytes)];
    // SAFETY: places hold owned ASCII str objects; the GIL, which `py` proves, keeps other threads out between load and use.
    unsafe {
        let kept = place.load(Relaxed);
        if !kept.is_null() && ffi::PyUnicode_GET_LENGTH(kept) as usize == bytes.len() {
            let data = ffi::PyUnicode_DATA(kept).cast::<u8>();
            if std::slice::from_raw_parts(data, bytes.len()) == bytes {
                return Ok(Bound::from_borrowed_ptr(py, kept));
            }
        }
        let key = text(py, bytes)?;
        place.store(key.clone().into_ptr(), Relaxed);
        ffi::Py_XDECREF(kept);
        Ok(key)
    }
}

/// Without a GIL a kept key could be freed by another thread while it is read.
#[cfg(Py_GIL_DISABLED)]
pub fn ascii_key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    text(py, bytes)
}

#[cfg(not(Py_GIL_DISABLED))]
fn place_of(bytes: &[u8]) -> usize {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811C_9DC5, step) as usize % PLACES
}
