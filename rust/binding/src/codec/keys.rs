//! The same few keys stand in every map: their str objects are kept, with their hash, so that most keys cost a comparison.

use pyo3::ffi;
use pyo3::prelude::*;

use super::read::str as text;

/// Longer keys are seldom repeated.
const MAX_KEY_BYTES: usize = 32;
#[cfg(not(Py_GIL_DISABLED))]
const PLACES: usize = 1024;

/// A str of UTF-8 bytes. One place for each hash; the newer ASCII key takes it.
#[cfg(not(Py_GIL_DISABLED))]
pub fn key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
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
        if !bytes.is_ascii() {
            return Ok(key);
        }
        place.store(key.clone().into_ptr(), Relaxed);
        ffi::Py_XDECREF(kept);
        Ok(key)
    }
}

/// Without a GIL a kept key could be freed by another thread while it is read.
#[cfg(Py_GIL_DISABLED)]
pub fn key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    text(py, bytes)
}

/// A hash of the first and last eight bytes and the length: keys of one map differ there.
#[cfg(not(Py_GIL_DISABLED))]
#[inline]
fn place_of(bytes: &[u8]) -> usize {
    let word = |part: &[u8]| part.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (word(bytes), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 54) as usize % PLACES
}
