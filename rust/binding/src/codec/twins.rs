//! Two records of one reading: one that the process's cache keeps, and one for the callers. Each says for itself by which tier it
//! came; they share the buffer, or the values.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};
use tierstore_core::codec::envelope;

use super::entry::receive_checked;
use super::layout::Layout;
use super::object::{Record, Source};

/// Another record with the same content and a `meta` of its own. Values that were built are shared, as `replace` does.
#[pyfunction]
#[pyo3(signature = (record, meta, /))]
fn twin<'py>(record: &Bound<'py, PyAny>, meta: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let class = record.get_type();
    let layout = layout_of(&class)?;
    let own = Record::of_any(record)?;
    let buffer = own.buffer(record.py());
    let (start, end) = (own.start, own.end);
    let (whole, checked) = (own.whole, own.is_checked());
    let source = Source { key: own.key, start, end, revision: own.revision, checked, whole };
    let made = Record::allocate(&class, buffer.as_ref(), &source)?;
    if buffer.is_none() {
        share_values(record, own, &made, layout.get().fields.len())?;
    }
    Record::of_any(&made)?.set_meta(&made, meta);
    Ok(made)
}

fn share_values(record: &Bound<'_, PyAny>, own: &Record, made: &Bound<'_, PyAny>, count: usize) -> PyResult<()> {
    let other = Record::of_any(made)?;
    for at in 0..count {
        if let Some(value) = own.value(at) {
            // SAFETY: a value that was kept lives as long as its record, which is borrowed here.
            let value = unsafe { Bound::from_borrowed_ptr(record.py(), value.as_ptr()) };
            other.keep(value, at, count)?;
        }
    }
    Ok(())
}

/// For each buffer that holds a current record of `class` under its key (`decode_current`) two records, with `kept` and `given` as
/// their meta; None for every other one, and for None.
#[pyfunction]
#[pyo3(signature = (buffers, keys, class, kept, given, /))]
fn decode_twins<'py>(
    buffers: &Bound<'py, PyList>,
    keys: &Bound<'py, PyList>,
    class: &Bound<'py, PyType>,
    kept: &Bound<'py, PyAny>,
    given: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = class.py();
    let layout = layout_of(class)?;
    let layout = layout.get();
    let found = PyList::empty(py);
    for (buffer, key) in buffers.iter().zip(keys.iter()) {
        let pair = match buffer.cast_exact::<PyBytes>() {
            Ok(buffer) => pair(layout, buffer, key.cast::<PyString>()?, kept, given)?,
            Err(_) => None,
        };
        found.append(pair)?;
    }
    Ok(found)
}

fn pair<'py>(
    layout: &Layout,
    buffer: &Bound<'py, PyBytes>,
    key: &Bound<'py, PyString>,
    kept: &Bound<'py, PyAny>,
    given: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = buffer.py();
    let Some(source) = receive_checked(py, layout, buffer.as_bytes(), envelope::key_of(key.to_str()?.as_bytes()))
    else {
        return Ok(None);
    };
    let class = layout.class(py)?;
    let one = Record::allocate(class, Some(buffer), &source)?;
    let other = Record::allocate(class, Some(buffer), &source)?;
    Record::of_any(&one)?.set_meta(&one, kept);
    Record::of_any(&other)?.set_meta(&other, given);
    PyTuple::new(py, [one, other]).map(Some)
}

fn layout_of<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, Layout>> {
    let layout = class.getattr(pyo3::intern!(class.py(), "__layout__")).ok();
    let layout = layout.and_then(|layout| layout.cast_into::<Layout>().ok());
    layout.ok_or_else(|| PyTypeError::new_err("expected a record class"))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(twin, module)?)?;
    module.add_function(wrap_pyfunction!(decode_twins, module)?)
}
