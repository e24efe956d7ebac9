//! The same few words stand in every map and every record: their str objects are kept, with their hash, so that most of them
//! cost a comparison in place of an allocation.

use pyo3::prelude::*;

use super::read::str as text;

/// Longer keys are seldom repeated.
const MAX_KEY_BYTES: usize = 32;
/// Longer texts are seldom repeated: names of states and types, versions and numbers are no longer.
const MAX_WORD_BYTES: usize = 16;

/// A key of a map, from its UTF-8 bytes.
#[inline]
pub fn key<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    static KEYS: kept::Table = kept::Table::new();
    if bytes.len() > MAX_KEY_BYTES { text(py, bytes) } else { KEYS.get(py, bytes) }
}

/// A text, from its UTF-8 bytes.
#[inline]
pub fn word<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    static WORDS: kept::Table = kept::Table::new();
    if bytes.len() > MAX_WORD_BYTES { text(py, bytes) } else { WORDS.get(py, bytes) }
}

#[cfg(not(Py_GIL_DISABLED))]
mod kept {
    use std::cell::UnsafeCell;
    use std::ptr;

    use pyo3::ffi;
    use pyo3::prelude::*;

    use super::text;

    const PLACE_BITS: u32 = 10;

    /// One for all texts whose hashes begin alike.
    #[derive(Clone, Copy)]
    struct Place {
        /// An owned ASCII str, or null.
        text: *mut ffi::PyObject,
        /// Its hash.
        hash: u32,
        /// Of the last text that was not found here. It is kept when it comes a second time in a row: texts that never recur
        /// push nothing out, and cost no more than this number.
        missed: u32,
    }

    pub struct Table(UnsafeCell<[Place; 1 << PLACE_BITS]>);
    // SAFETY: whoever calls `get` has the GIL, which `py` proves.
    unsafe impl Sync for Table {}

    impl Table {
        pub const fn new() -> Self {
            let empty = Place { text: ptr::null_mut(), hash: 0, missed: 0 };
            Self(UnsafeCell::new([empty; 1 << PLACE_BITS]))
        }

        #[inline]
        pub fn get<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
            let mixed = hash_of(bytes);
            let (at, hash) = ((mixed >> (u64::BITS - PLACE_BITS)) as usize, (mixed >> 16) as u32);
            // SAFETY: `at` has PLACE_BITS bits; under the GIL nobody else looks into the table, and no reference into it lives
            // while a text is made. Texts that are kept are ASCII.
            unsafe {
                let place = self.0.get().cast::<Place>().add(at);
                let Place { text: kept, hash: its, missed } = *place;
                if its == hash && !kept.is_null() {
                    let data = ffi::PyUnicode_DATA(kept).cast::<u8>();
                    if std::slice::from_raw_parts(data, ffi::PyUnicode_GET_LENGTH(kept) as usize) == bytes {
                        return Ok(Bound::from_borrowed_ptr(py, kept));
                    }
                }
                let made = text(py, bytes)?;
                if missed != hash {
                    (*place).missed = hash;
                } else if bytes.is_ascii() {
                    let old =
                        std::mem::replace(&mut *place, Place { text: made.clone().into_ptr(), hash, missed }).text;
                    ffi::Py_XDECREF(old); // a str, whose death runs no Python code
                }
                Ok(made)
            }
        }
    }

    /// A hash of the first and last eight bytes and the length.
    #[inline]
    fn hash_of(bytes: &[u8]) -> u64 {
        let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (short(bytes), 0),
        };
        (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// All of at most seven bytes.
    #[inline]
    fn short(bytes: &[u8]) -> u64 {
        match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>(), bytes) {
            (Some(first), Some(last), _) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            (_, _, [first, .., last]) => {
                u64::from(*first) << 16 | u64::from(bytes[bytes.len() / 2]) << 8 | u64::from(*last)
            }
            (_, _, [only]) => u64::from(*only),
            _ => 0,
        }
    }
}

/// Without a GIL a kept text could be freed by another thread while it is read: nothing is kept.
#[cfg(Py_GIL_DISABLED)]
mod kept {
    use pyo3::prelude::*;

    pub struct Table;

    impl Table {
        pub const fn new() -> Self {
            Self
        }

        pub fn get<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
            super::text(py, bytes)
        }
    }
}
