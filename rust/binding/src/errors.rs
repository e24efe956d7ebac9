//! The one place where an error of the core becomes a Python exception.

use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use tierstore_core::error::{Error, Kind, Place};

/// The exception for `error`: a class of `tierstore.errors`, with the place as its attribute.
pub fn to_py(error: &Error) -> PyErr {
    let built = Python::try_attach(|py| build(py, error));
    // SAFETY: errors are made for callers within the interpreter. While it ends PyO3 attaches nobody, but the callers are still there.
    let built = built.unwrap_or_else(|| build(unsafe { Python::assume_attached() }, error));
    built.unwrap_or_else(|failure| failure)
}

/// The CycleError for the names of a cycle.
pub fn cycle_error(py: Python<'_>, cycle: Bound<'_, PyAny>) -> PyErr {
    let made = errors(py).and_then(|module| module.getattr("CycleError")?.call1((cycle,)));
    made.map_or_else(|failure| failure, PyErr::from_value)
}

/// `tierstore.errors`, kept: when the interpreter ends nothing can be imported.
fn errors(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE.get_or_try_init(py, || py.import("tierstore.errors").map(Bound::unbind)).map(|module| module.bind(py))
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = match error.kind {
        Kind::WrongType => return Ok(PyTypeError::new_err(error.to_string())),
        Kind::Memory => return Ok(PyMemoryError::new_err(())),
        Kind::Corrupt => "CorruptError",
        Kind::Invalid => "ValidationError",
        Kind::InvalidKey => "InvalidKeyError",
        Kind::NotFound => "NotFoundError",
        Kind::ProtoSyntax => "ProtoSyntaxError",
    };
    let class = errors(py)?.getattr(class)?;
    if let (Kind::ProtoSyntax, Some(Place::Text { line, column })) = (error.kind, &error.place) {
        return Ok(PyErr::from_value(class.call1((&error.message, *line, *column))?));
    }
    let keywords = PyDict::new(py);
    if let (Kind::Invalid | Kind::InvalidKey, Some(place)) = (error.kind, &error.place) {
        keywords.set_item("place", place.to_string())?;
        return Ok(PyErr::from_value(class.call((&error.message,), Some(&keywords))?));
    }
    if let (Kind::NotFound, Some(Place::Name(name))) = (error.kind, &error.place) {
        keywords.set_item("key", name)?;
        return Ok(PyErr::from_value(class.call((&error.message,), Some(&keywords))?));
    }
    Ok(PyErr::from_value(class.call1((error.to_string(),))?))
}
