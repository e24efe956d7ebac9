//! bincode `standard()` for typed plain values.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tierstore_core::codec::read::Reader;

use super::out::Out;
use super::read::read;
use super::shape::{Compiled, compile};
use super::write::write;
use crate::errors::to_py;
use crate::room::copied;

/// A compiled bincode type.
#[pyclass(frozen, module = "tierstore._native")]
pub struct BincodeType(Compiled);

#[pymethods]
impl BincodeType {
    #[new]
    fn new(shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        compile(shape).map(Self)
    }

    fn encode<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = Out::whole();
        write(&mut out, &self.0, obj, 0)?;
        out.finish(obj.py())
    }

    /// The one value in the buffer. CorruptError if bytes are missing, left over or not of this type.
    fn decode<'py>(&self, buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = buffer.py();
        let owner = match buffer.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => copied(buffer)?,
        };
        let mut reader = Reader::new(owner.as_bytes(), 0);
        let value = read(py, &self.0, &mut reader, &owner)?;
        if reader.remaining() > 0 {
            return Err(to_py(&reader.fail(format!("{} bytes follow the value; expected none", reader.remaining()))));
        }
        Ok(value)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<BincodeType>()
}
