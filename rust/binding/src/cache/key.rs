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
    let object = key.as_ptr();
    // SAFETY: `object` is a live str, so it starts with a PyASCIIObject; the hash field is written once and read racily
    // by CPython itself.
    let cached = unsafe {
        if ffi::PyUnicode_CheckExact(object) != 0 { (*object.cast::<ffi::PyASCIIObject>()).hash } else { -1 }
    };
    let hash = if cached == -1 { key.hash()? } else { cached };
    Ok(mix(hash as u64))
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

/// Compare without running Python code, as far as that goes. Both must be live.
unsafe fn quick(one: *mut ffi::PyObject, other: *mut ffi::PyObject) -> Match {
    if one == other {
        return Match::Yes;
    }
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
                "the cache changed with each comparison of this key: its __eq__ must not do that",
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
