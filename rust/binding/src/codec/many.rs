//! bincode bytes from lists, dicts and what is like them: items that may change while they are written, and keys that must differ.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use tierstore_core::codec::read::Reader;
use tierstore_core::codec::sink::Sink;
use tierstore_core::codec::write as put;
use tierstore_core::error::Error;

use super::lent::{item_of, next_entry, own};
use super::out::Out;
use super::read::read;
use super::scalar::expected;
use super::shape::Compiled;
use super::write::{any, int, text};
use crate::errors::to_py;
use crate::room;

/// An item takes a byte at least, and places within a record are 32 bits wide.
const MAX_ITEMS: usize = u32::MAX as usize;

#[inline(never)]
pub fn items(out: &mut Out, item: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    if let Ok(list) = value.cast::<PyList>() {
        return of_list(out, item, list, nesting);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return counted(out, tuple.len(), tuple.iter().map(Ok), |out, value| any(out, item, &value, nesting));
    }
    let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    if is_text || !is_abc(value, intern!(value.py(), "Sequence"))? {
        return Err(expected("a list, tuple or other sequence", value));
    }
    counted(out, value.len()?, value.try_iter()?, |out, value| any(out, item, &value, nesting))
}

/// Write what most items are, and exactly that; False for all else. Runs no Python code.
#[inline(always)]
fn plain(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match shape {
        Compiled::Str if value.is_exact_instance_of::<PyString>() => put::bytes(out, text(value)?),
        Compiled::Int(kind) if value.is_exact_instance_of::<PyInt>() => int(out, *kind, value)?,
        Compiled::F64 if value.is_exact_instance_of::<PyFloat>() => {
            // SAFETY: it is a float.
            out.put(unsafe { ffi::PyFloat_AS_DOUBLE(value.as_ptr()) }.to_le_bytes());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[inline(never)]
fn of_list(out: &mut Out, item: &Compiled, list: &Bound<'_, PyList>, nesting: u32) -> PyResult<()> {
    let count = list.len();
    put::uint(out, count as u64);
    for at in 0..count {
        let value = item_of(list, at).ok_or_else(changed)?;
        if !plain(out, item, &value)? {
            any(out, item, &own(&value), nesting)?;
        }
    }
    if list.len() == count { Ok(()) } else { Err(changed()) }
}

/// `count` and then what `one` writes of each; what changed while it was read is refused.
fn counted<T>(
    out: &mut Out,
    count: usize,
    all: impl Iterator<Item = PyResult<T>>,
    one: impl Fn(&mut Out, T) -> PyResult<()>,
) -> PyResult<()> {
    if count > MAX_ITEMS {
        return Err(to_py(&Error::invalid(format!("a collection has {count} items, expected at most {MAX_ITEMS}"))));
    }
    put::uint(out, count as u64);
    let mut written = 0;
    for value in all {
        if written == count {
            return Err(changed());
        }
        one(out, value?)?;
        written += 1;
    }
    if written == count { Ok(()) } else { Err(changed()) }
}

#[cold]
fn changed() -> PyErr {
    to_py(&Error::invalid("a collection changed while it was encoded"))
}

#[inline(never)]
pub fn pairs(out: &mut Out, pair: &(Compiled, Compiled), value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    let seen = PyDict::new(value.py());
    let one = |out: &mut Out, (key, item): (Bound<'_, PyAny>, Bound<'_, PyAny>), may_recur: bool| {
        let start = out.written().len();
        entry_part(out, &pair.0, &key, nesting)?;
        if may_recur {
            out.check()?;
            distinct(&seen, &pair.0, &out.written()[start..])?;
        }
        entry_part(out, &pair.1, &item, nesting)
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        let dict = in_order(dict)?;
        let may_recur = !differ_encoded(&pair.0, &dict);
        let mut position = 0;
        let entries = std::iter::from_fn(|| next_entry(&dict, &mut position));
        let entries = entries.map(|(key, item)| Ok((own(&key), own(&item))));
        return counted(out, dict.len(), entries, |out, entry| one(out, entry, may_recur));
    }
    if !is_abc(value, intern!(value.py(), "Mapping"))? {
        return Err(expected("a dict or other mapping", value));
    }
    let entries = value.call_method0(intern!(value.py(), "items"))?.try_iter()?;
    let entries = room::list(entries)?;
    counted(out, entries.len(), entries.into_iter().map(|entry| entry.extract()), |out, entry| one(out, entry, true))
}

fn entry_part(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    if plain(out, shape, value)? { Ok(()) } else { any(out, shape, value, nesting) }
}

/// Whether the keys of a dict, which are not equal, cannot be so as bytes either: where all are exactly str, or int. Floats of 32 bits,
/// two forms of one moment, and keys with an equality of their own can.
fn differ_encoded(shape: &Compiled, dict: &Bound<'_, PyDict>) -> bool {
    let mut position = 0;
    let mut keys = std::iter::from_fn(|| next_entry(dict, &mut position)).map(|(key, _)| key);
    match shape {
        Compiled::Str => keys.all(|key| key.is_exact_instance_of::<PyString>()),
        Compiled::Int(_) => keys.all(|key| key.is_exact_instance_of::<PyInt>()),
        _ => false,
    }
}

/// The dict itself; of a subclass, which may have an order of its own, and on a free-threaded build what `dict` makes of it.
pub fn in_order<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    if dict.is_exact_instance_of::<PyDict>() {
        return if cfg!(Py_GIL_DISABLED) { dict.copy() } else { Ok(dict.clone()) };
    }
    Ok(dict.py().get_type::<PyDict>().call1((dict,))?.cast_into::<PyDict>()?)
}

/// Note a key as it will be read; one that was noted before, and one that cannot be a key then, is refused.
fn distinct(seen: &Bound<'_, PyDict>, shape: &Compiled, key: &[u8]) -> PyResult<()> {
    let py = seen.py();
    let owner = room::bytes(py, key)?;
    let key = read(py, shape, &mut Reader::new(owner.as_bytes(), 0), &owner)?;
    let before = seen.len();
    match seen.set_item(key, py.None()) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => {
            Err(to_py(&Error::invalid("a dict has a key that cannot be hashed when it is read")))
        }
        Ok(()) if seen.len() == before => {
            Err(to_py(&Error::invalid("a dict has two keys that are the same when they are read")))
        }
        set => set,
    }
}

/// Whether `value` is an instance of the class of this name in `collections.abc`. That may run Python code, whose errors are told: an
/// interrupt is no answer.
pub fn is_abc(value: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    value.is_instance(&value.py().import(intern!(value.py(), "collections.abc"))?.getattr(name)?)
}
