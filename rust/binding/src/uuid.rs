use std::time::SystemTime;

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tierstore_core::error::{Error, Kind, Place};
use tierstore_core::uuid;

use crate::errors::to_py;

/// A new identifier: canonical text of a UUID version 7 (RFC 9562), ordered by time to a quarter of a microsecond.
///
/// Its random bytes come from the operating system each time: a forked child must not repeat its parent's.
#[pyfunction]
fn uuid7() -> PyResult<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| PyOSError::new_err(error.to_string()))?;
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(uuid::uuid7(since_epoch, random))
}

/// The canonical spelling (lower case, hyphens) of any spelling. InvalidKeyError for what is no UUID.
#[pyfunction]
#[pyo3(signature = (value, /))]
fn canonical_uuid<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let py = value.py();
    if let Ok(given) = value.cast_exact::<PyString>() {
        let text = given.to_str().map_err(|_| {
            to_py(&Error::new(Kind::InvalidKey, "a UUID holds ASCII only").at(Place::Name("id".into())))
        })?;
        if uuid::is_canonical(text) {
            return Ok(given.clone()); // the very object, whose hash is known
        }
        return uuid::canonical(text).map(|text| PyString::new(py, &text)).map_err(|error| to_py(&error));
    }
    if let Ok(given) = value.cast::<PyString>() {
        return canonical_uuid(PyString::new(py, &given.to_string_lossy()).as_any());
    }
    let class = py.import("uuid")?.getattr("UUID")?;
    if !value.is_instance(&class)? {
        let name = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("an id must be str or uuid.UUID, not {name}")));
    }
    Ok(PyString::new(py, &uuid::canonical_of(value.getattr("int")?.extract()?)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(uuid7, module)?)?;
    module.add_function(wrap_pyfunction!(canonical_uuid, module)?)
}
