use pyo3::prelude::*;
use tierstore_core::json;

use crate::buffer::contiguous;
use crate::errors::to_py;

/// Check that `source` is one JSON text: RFC 8259, strict UTF-8. ValidationError with its line and column, from 1, the
/// column in code points. Refused beyond the grammar: a byte order mark, a lone surrogate in an escape, nesting deeper
/// than `max_depth`.
#[pyfunction]
#[pyo3(signature = (source, /, *, max_depth = 512))]
fn check_json(source: &Bound<'_, PyAny>, max_depth: usize) -> PyResult<()> {
    let bytes = contiguous(source)?;
    source.py().detach(|| json::check(&bytes, max_depth)).map_err(|error| to_py(&error))
}

/// The distinct identifiers of `content`, in lower case, in order of appearance, parted by blanks, at most `limit`
/// bytes of UTF-8.
#[pyfunction]
#[pyo3(signature = (schema_type, content, limit, /))]
fn search_text(schema_type: &str, content: &Bound<'_, PyAny>, limit: usize) -> PyResult<String> {
    let bytes = contiguous(content)?;
    Ok(content.py().detach(|| json::search_text(schema_type, &bytes, limit)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_json, module)?)?;
    module.add_function(wrap_pyfunction!(search_text, module)?)
}
