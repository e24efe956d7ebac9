//! Bytes-like arguments.

use std::borrow::Cow;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tierstore_core::room;

use crate::codec::read::lift;

/// The bytes of `content`: borrowed from `bytes`, copied from anything that others may write to meanwhile.
pub fn contiguous<'a>(content: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    match content.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => {
            let buffer = PyBuffer::<u8>::get(content)?;
            let mut copied = lift(room::room(buffer.len_bytes()))?;
            copied.resize(buffer.len_bytes(), 0);
            buffer.copy_to_slice(content.py(), &mut copied)?;
            Ok(Cow::Owned(copied))
        }
    }
}
