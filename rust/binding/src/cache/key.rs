//! Hashing and comparing keys. What C code alone can tell is told under the shard's borrow; the rest is asked outside it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use tierstore_core::cache::{Match, mix};

/// A key whose comparisons keep changing the cache is given up after so many of them.
const MOST_QUESTIONS: usize = 1000;

/// The 32-bit hash of a key. Runs the key's `__hash__`: call it outside every borrow.
#[inline]
pub fn hash_of(key: &Bound<'_, PyAny>) -> PyResult<u32> {
    // SAFETY: attached, and the key is live.
    unsafe { hash_pointer(key.as_ptr()) }.ok_or_else(|| PyErr::fetch(key.py()))
}

/// As `hash_of`; None: an exception is set.
///
/// SAFETY: attached, and `object` is live.
#[inline(always)]
pub unsafe fn hash_pointer(object: *mut ffi::PyObject) -> Option<u32> {
    // SAFETY: a str starts with a PyASCIIObject, whose hash field is written once and read without a lock by CPython itself.
    let hash = unsafe {
        let cached =
            if ffi::PyUnicode_CheckExact(object) != 0 { (*object.cast::<ffi::PyASCIIObject>()).hash } else { -1 };
        if cached == -1 { ffi::PyObject_Hash(object) } else { cached }
    };
    (hash != -1).then(|| mix(hash as u64))
}

/// Whether two exact str of ASCII characters are equal; None: at least one is something else.
///
/// SAFETY: both are live exact str.
#[cfg(all(not(Py_3_14), not(Py_GIL_DISABLED), target_endian = "little"))]
#[inline(always)]
unsafe fn equal_ascii(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> Option<bool> {
    /// `compact` and `ascii` in the bit field that CPython 3.11 to 3.13 keep after the hash: interned:2, kind:3, compact:1, ascii:1.
    const COMPACT_ASCII: u32 = 0b110_0000;
    let (one, other) = (one.cast::<ffi::PyASCIIObject>(), other.cast::<ffi::PyASCIIObject>());
    // SAFETY: both are live exact str; the characters of a compact ASCII one follow its header, `length` of them.
    unsafe {
        if (*one).state & (*other).state & COMPACT_ASCII != COMPACT_ASCII {
            return None;
        }
        let length = (*one).length;
        if length != (*other).length {
            return Some(false);
        }
        let text =
            |object: *mut ffi::PyASCIIObject| std::slice::from_raw_parts(object.add(1).cast::<u8>(), length as usize);
        Some(text(one) == text(other))
    }
}

#[cfg(not(all(not(Py_3_14), not(Py_GIL_DISABLED), target_endian = "little")))]
unsafe fn equal_ascii(_one: *mut ffi::PyObject, _other: *mut ffi::PyObject) -> Option<bool> {
    None
}

/// The families of exact builtin types that C code compares: members of different ones are never equal.
#[derive(Eq, PartialEq)]
enum Family {
    Text,
    Bytes,
    Number,
    Nothing,
    Tuple,
    Foreign,
}

unsafe fn family(object: *mut ffi::PyObject) -> Family {
    // SAFETY: the caller passes a live object.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) != 0 {
            Family::Text
        } else if ffi::PyLong_CheckExact(object) != 0
            || ffi::PyFloat_CheckExact(object) != 0
            || ffi::PyBool_Check(object) != 0
        {
            Family::Number
        } else if ffi::PyBytes_CheckExact(object) != 0 {
            Family::Bytes
        } else if object == ffi::Py_None() {
            Family::Nothing
        } else if ffi::PyTuple_CheckExact(object) != 0 {
            Family::Tuple
        } else {
            Family::Foreign
        }
    }
}

/// Compare without running Python code, as far as that goes.
///
/// SAFETY: both are live.
#[inline(always)]
pub unsafe fn quick(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> Match {
    if one == other {
        return Match::Yes;
    }
    // SAFETY: both are live, and exact str where that is said.
    unsafe {
        if ffi::PyUnicode_CheckExact(one) != 0
            && ffi::PyUnicode_CheckExact(other) != 0
            && let Some(equal) = equal_ascii(one, other)
        {
            return if equal { Match::Yes } else { Match::No };
        }
    }
    // SAFETY: both are live.
    unsafe { quick_other(one, other) }
}

/// SAFETY: as `quick`.
unsafe fn quick_other(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> Match {
    // SAFETY: both are live, and the calls below look only at exact builtin types, whose comparison is C code.
    unsafe {
        match (family(one), family(other)) {
            (Family::Foreign, _) | (_, Family::Foreign) => Match::Ask,
            (mine, theirs) if mine != theirs => Match::No,
            (Family::Tuple, _) => quick_tuple(one, other),
            _ => match ffi::PyObject_RichCompareBool(one, other, ffi::Py_EQ) {
                1 => Match::Yes,
                _ => Match::No,
            },
        }
    }
}

/// Element by element, as far as the first difference: nested tuples are left to Python.
unsafe fn quick_tuple(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> Match {
    // SAFETY: both are exact live tuples, indexed below their own size.
    unsafe {
        let size = ffi::PyTuple_GET_SIZE(one);
        if size != ffi::PyTuple_GET_SIZE(other) {
            return Match::No;
        }
        for index in 0..size {
            let (mine, theirs) = (ffi::PyTuple_GET_ITEM(one, index), ffi::PyTuple_GET_ITEM(other, index));
            if mine != theirs && family(mine) == Family::Tuple && family(theirs) == Family::Tuple {
                return Match::Ask;
            }
            match quick(mine, theirs) {
                Match::Yes => {}
                unsure => return unsure,
            }
        }
    }
    Match::Yes
}

/// What Python has said so far of the keys that C code could not compare. Holds them, so that no address is used again.
#[derive(Default)]
pub struct Answers {
    equal: Option<Py<PyAny>>,
    different: Vec<Py<PyAny>>,
}

impl Answers {
    #[inline]
    pub fn compare(&self, key: *mut ffi::PyObject, candidate: &Py<PyAny>) -> Match {
        let other = candidate.as_ptr();
        if key == other {
            return Match::Yes;
        }
        // SAFETY: the caller holds a reference to `key`, the shard one to the candidate.
        match unsafe { quick(other, key) } {
            Match::Ask => self.recall(other),
            told => told,
        }
    }

    fn recall(&self, other: *mut ffi::PyObject) -> Match {
        if self.equal.as_ref().is_some_and(|known| known.as_ptr() == other) {
            Match::Yes
        } else if self.different.iter().any(|known| known.as_ptr() == other) {
            Match::No
        } else {
            Match::Ask
        }
    }

    /// Ask Python, outside every borrow, whether `candidate` (the key that is kept, on the left as in a dict) equals `key`.
    #[cold]
    pub fn ask(&mut self, py: Python<'_>, key: &Bound<'_, PyAny>, candidate: Py<PyAny>) -> PyResult<()> {
        if self.different.len() >= MOST_QUESTIONS {
            return Err(PyRuntimeError::new_err(
                "the cache changed with each comparison of this key; its __eq__ must not change the cache",
            ));
        }
        if candidate.bind(py).eq(key)? {
            self.equal = Some(candidate);
        } else {
            self.different.push(candidate);
        }
        Ok(())
    }
}
