//! Bytes-like arguments.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The bytes of `content`: borrowed from `bytes`, copied from anything that others may write to meanwhile.
pub fn contiguous<'a>(content: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    match content.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => PyBuffer::<u8>::get(content)?.to_vec(content.py()).map(Cow::Owned),
    }
}
