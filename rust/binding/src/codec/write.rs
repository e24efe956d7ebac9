//! bincode bytes from Python values.

use std::collections::HashSet;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use tierstore_core::codec::envelope::ENVELOPE_BYTES;
use tierstore_core::codec::shape::Int;
use tierstore_core::codec::sink::Sink;
use tierstore_core::codec::write as put;
use tierstore_core::error::Error;

use super::field::field;
use super::layout::Layout;
use super::lent::{item_of, next_entry, own};
use super::msgpack;
use super::object::Record;
use super::out::Out;
use super::scalar::{self, expected};
use super::shape::{Class, Compiled};
use crate::errors::to_py;

/// Records inside one another, at most: each level takes some of the thread's stack, which may be 64 KiB.
const MAX_NESTING: u32 = 16;

/// Append `value` as `shape` says. `nesting` counts records inside one another.
#[inline(always)]
pub fn write(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    match shape {
        Compiled::Str => put::bytes(out, text(value)?),
        Compiled::Int(kind) => int(out, *kind, value)?,
        shape => return any(out, shape, value, nesting),
    }
    Ok(())
}

/// What recurs stands in functions of its own, and apart from what does not, so that a level of nesting takes little of the stack.
fn any(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    use tierstore_core::codec::shape::Shape::*;
    match shape {
        Option(_) if value.is_none() => {
            out.put([0]);
            Ok(())
        }
        Option(inner) => {
            out.put([1]);
            any(out, inner, value, nesting)
        }
        Record(class) => record(out, class.layout(value.py())?.bind(value.py()).get(), value, nesting),
        List(item) | Many(item) => items(out, item, value, nesting),
        Sequence(item) => items(out, item, value, nesting),
        Dict(pair) => pairs(out, pair, value, nesting),
        Mapping(pair) => pairs(out, pair, value, nesting),
        Tuple(shapes) => tuple(out, shapes, value, nesting),
        Struct(class, shapes) => structure(out, class, shapes, value, nesting),
        Union(variants) => union(out, variants, value, nesting),
        Enum(class, values) => any(out, values, &member(class, value)?, nesting),
        leaf => one(out, leaf, value),
    }
}

/// A value that has no others in it.
#[inline(never)]
fn one(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>) -> PyResult<()> {
    use tierstore_core::codec::shape::Shape::*;
    match shape {
        Str => put::bytes(out, text(value)?),
        Int(kind) => int(out, *kind, value)?,
        Bytes | View => bytes(out, value)?,
        Datetime => put::int(out, scalar::datetime_micros(value)?),
        Bool => out.put([u8::from(value.cast::<PyBool>().map_err(|_| expected("a bool", value))?.is_true())]),
        Json => put::framed(out, |out| msgpack::encode_json(out, value))?,
        F64 => out.put(float(value)?.to_le_bytes()),
        F32 => out.put(short_float(value)?.to_le_bytes()),
        Char => out.put_slice(one_char(value)?),
        Date => put::int(out, scalar::date_days(value)?),
        Timedelta => put::int128(out, scalar::timedelta_micros(value)?),
        Uuid => out.put(scalar::uuid_bytes(value)?),
        Decimal => put::bytes(out, text(scalar::decimal_text(value)?.as_any())?),
        _ if value.is_none() => {}
        _ => return Err(expected("None", value)),
    }
    Ok(())
}

#[inline(never)]
fn tuple(out: &mut Out, shapes: &[Compiled], value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    let tuple = value.cast::<PyTuple>().map_err(|_| expected("a tuple", value))?;
    if tuple.len() != shapes.len() {
        return Err(wrong_length(shapes.len(), tuple.len()));
    }
    for (shape, item) in shapes.iter().zip(tuple.iter()) {
        any(out, shape, &item, nesting)?;
    }
    Ok(())
}

#[cold]
fn wrong_length(expected: usize, found: usize) -> PyErr {
    to_py(&Error::invalid(format!("a tuple of {expected} is expected, not of {found}")))
}

/// The UTF-8 of a str; a lone surrogate has none. ASCII, the usual case, is read where it lies.
#[inline]
pub fn text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    let text = value.cast::<PyString>().map_err(|_| expected("a str", value))?;
    // SAFETY: value is a str; a compact ASCII one holds so many bytes, and another compact one may know its UTF-8. Neither
    // changes while the str is borrowed.
    #[cfg(not(Py_GIL_DISABLED))]
    unsafe {
        let own = value.as_ptr();
        if ffi::PyUnicode_IS_COMPACT_ASCII(own) != 0 {
            let length = ffi::PyUnicode_GET_LENGTH(own) as usize;
            return Ok(std::slice::from_raw_parts(ffi::PyUnicode_DATA(own).cast::<u8>(), length));
        }
        let compact = own.cast::<ffi::PyCompactUnicodeObject>();
        if ffi::PyUnicode_IS_COMPACT(own) != 0 && !(*compact).utf8.is_null() {
            return Ok(std::slice::from_raw_parts((*compact).utf8.cast::<u8>(), (*compact).utf8_length as usize));
        }
    }
    match text.to_str() {
        Ok(text) => Ok(text.as_bytes()),
        Err(_) => Err(to_py(&Error::invalid("a lone surrogate has no place in UTF-8"))),
    }
}

fn one_char<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    let bytes = text(value)?;
    match std::str::from_utf8(bytes).map(|text| text.chars().count()) {
        Ok(1) => Ok(bytes),
        _ => Err(expected("a str of one character", value)),
    }
}

fn bytes(out: &mut Out, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(own) = value.cast::<PyBytes>() {
        put::bytes(out, own.as_bytes());
        return Ok(());
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<pyo3::types::PyMemoryView>() {
        put::bytes(out, &copied(value)?);
        return Ok(());
    }
    Err(expected("bytes", value))
}

/// The bytes of any buffer, whatever its items are: a copy, since another thread might change it meanwhile.
pub fn copied(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match pyo3::buffer::PyBuffer::<u8>::get(value) {
        Ok(buffer) => buffer.to_vec(value.py()),
        Err(error) => {
            let view = pyo3::types::PyMemoryView::from(value).map_err(|_| error)?;
            Ok(view.call_method0("tobytes")?.cast::<PyBytes>()?.as_bytes().to_vec())
        }
    }
}

#[inline(always)]
fn int(out: &mut Out, kind: Int, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if kind == Int::I64
        && value.is_exact_instance_of::<PyInt>()
        && let Some(number) = scalar::small_int(value)
    {
        put::int(out, number);
        return Ok(());
    }
    any_int(out, kind, value)
}

fn any_int(out: &mut Out, kind: Int, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if !value.is_exact_instance_of::<PyInt>() && (!value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>())
    {
        return Err(expected("an int", value));
    }
    let fail = |_| out_of_range(kind, value); // value is an int: only its range can be wrong
    match kind {
        Int::U8 => out.put([value.extract::<u8>().map_err(fail)?]),
        Int::I8 => out.put([value.extract::<i8>().map_err(fail)? as u8]),
        Int::U16 => put::uint(out, value.extract::<u16>().map_err(fail)?.into()),
        Int::U32 => put::uint(out, value.extract::<u32>().map_err(fail)?.into()),
        Int::U64 => put::uint(out, value.extract::<u64>().map_err(fail)?),
        Int::U128 => put::uint128(out, value.extract::<u128>().map_err(fail)?),
        Int::I16 => put::int(out, value.extract::<i16>().map_err(fail)?.into()),
        Int::I32 => put::int(out, value.extract::<i32>().map_err(fail)?.into()),
        Int::I64 => put::int(out, value.extract::<i64>().map_err(fail)?),
        Int::I128 => put::int128(out, value.extract::<i128>().map_err(fail)?),
    }
    Ok(())
}

#[cold]
fn out_of_range(kind: Int, value: &Bound<'_, PyAny>) -> PyErr {
    let digits = value.str().map_or_else(|_| "a huge number".into(), |digits| digits.to_string());
    to_py(&Error::invalid(format!("{digits} does not fit {}", format!("{kind:?}").to_lowercase())))
}

/// A float, or an int that a float can hold.
fn float(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number =
        value.is_instance_of::<PyFloat>() || (value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>());
    if number {
        value.extract::<f64>().map_err(|_| expected("a float", value))
    } else {
        Err(expected("a float", value))
    }
}

fn short_float(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    let long = float(value)?;
    let short = long as f32;
    if short.is_infinite() && long.is_finite() {
        return Err(to_py(&Error::invalid(format!("{long} does not fit f32"))));
    }
    Ok(short)
}

fn member<'py>(class: &Class, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    match class {
        Class::Enum { class, .. } if value.is_instance(class.bind(py))? => value.getattr(pyo3::intern!(py, "_value_")),
        Class::Enum { class, .. } => Err(expected(&format!("a member of {class}"), value)),
        _ => Err(expected("an enum", value)),
    }
}

#[inline(never)]
fn items(out: &mut Out, item: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
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
    mut one: impl FnMut(&mut Out, T) -> PyResult<()>,
) -> PyResult<()> {
    put::uint(out, count as u64);
    let mut written = 0;
    for value in all {
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
fn pairs(out: &mut Out, pair: &(Compiled, Compiled), value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    let mut seen = HashSet::new();
    let mut one = |out: &mut Out, (key, item): (Bound<'_, PyAny>, Bound<'_, PyAny>), may_recur: bool| {
        let start = out.written().len();
        entry_part(out, &pair.0, &key, nesting)?;
        if may_recur && !seen.insert(out.written()[start..].to_vec()) {
            return Err(to_py(&Error::invalid("two keys of a dict are the same when they are encoded")));
        }
        entry_part(out, &pair.1, &item, nesting)
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        let dict = if cfg!(Py_GIL_DISABLED) { dict.copy()? } else { dict.clone() };
        let may_recur = !differ_encoded(&pair.0, &dict);
        let mut position = 0;
        let entries = std::iter::from_fn(|| next_entry(&dict, &mut position));
        let entries = entries.map(|(key, item)| Ok((own(&key), own(&item))));
        return counted(out, dict.len(), entries, |out, entry| one(out, entry, may_recur));
    }
    if !is_abc(value, intern!(value.py(), "Mapping"))? {
        return Err(expected("a dict or other mapping", value));
    }
    let entries = value.call_method0(intern!(value.py(), "items"))?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
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

/// Whether `value` is an instance of the class of this name in `collections.abc`. That may run Python code, whose errors are told: an
/// interrupt is no answer.
fn is_abc(value: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    value.is_instance(&value.py().import(intern!(value.py(), "collections.abc"))?.getattr(name)?)
}

#[inline(never)]
fn structure(
    out: &mut Out,
    class: &Class,
    shapes: &[Compiled],
    value: &Bound<'_, PyAny>,
    nesting: u32,
) -> PyResult<()> {
    let py = value.py();
    let Class::Struct { class, names } = class else { return Err(expected("a dataclass", value)) };
    if !value.is_instance(class.bind(py))? {
        return Err(expected(&class.bind(py).name()?.to_string(), value));
    }
    for (name, shape) in names.iter().zip(shapes) {
        any(out, shape, &value.getattr(name)?, nesting)?;
    }
    Ok(())
}

#[inline(never)]
fn union(out: &mut Out, variants: &[Compiled], value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    for (index, variant) in variants.iter().enumerate() {
        if let Compiled::Struct(Class::Struct { class, .. }, _) = variant
            && value.get_type().is(class)
        {
            put::uint(out, index as u64);
            return any(out, variant, value, nesting);
        }
    }
    Err(expected("one of the union's classes", value))
}

/// A nested record: its length, revision, oldest reader and fields. One that was received is copied as it is.
#[inline(never)]
fn record(out: &mut Out, layout: &Layout, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
    let py = value.py();
    let Some(record) = Record::of(value, layout) else {
        return Err(expected(&layout.class(py)?.name()?.to_string(), value));
    };
    if nesting >= MAX_NESTING {
        return Err(to_py(&Error::invalid(format!("records more than {MAX_NESTING} deep in one another"))));
    }
    let (revision, oldest) = match stands(out, record, layout) {
        true => (record.revision, oldest_reader(record, layout)),
        false => (layout.revision, layout.oldest_reader),
    };
    put::framed(out, |out| {
        put::uint(out, revision.into());
        put::uint(out, oldest.into());
        body(out, py, layout, record, nesting + 1).map(|_| ())
    })
}

/// What a record says of its oldest reader: one that was received keeps its writer's word.
pub fn oldest_reader(record: &Record, layout: &Layout) -> u16 {
    match record.bytes() {
        None => layout.oldest_reader,
        Some(bytes) if record.whole => u16::from_le_bytes([bytes[4], bytes[5]]),
        Some(_) => record.key as u16,
    }
}

/// Append a record's fields; the answer is how many bytes of them come before the first bulk field.
pub fn body(out: &mut Out, py: Python<'_>, layout: &Layout, record: &Record, nesting: u32) -> PyResult<usize> {
    let start = out.written().len();
    if let Some(bytes) = record.bytes()
        && stands(out, record, layout)
    {
        record.vouch(record.end as usize, bytes)?;
        out.put_slice(&bytes[record.start as usize..record.end as usize]);
        let head =
            if record.whole { u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize } else { 0 };
        return Ok(head.min(out.written().len() - start));
    }
    fields(out, py, layout, record, nesting)
}

/// Whether the bytes that a record came in are what is to be written. Not of an older writer's, nor where such may be within.
fn stands(out: &Out, record: &Record, layout: &Layout) -> bool {
    !out.anew || record.revision > layout.revision || (record.revision == layout.revision && !layout.has_records)
}

/// Append the fields by their values.
#[inline(never)]
pub fn fields(out: &mut Out, py: Python<'_>, layout: &Layout, record: &Record, nesting: u32) -> PyResult<usize> {
    let start = out.written().len();
    let mut head = None;
    for (at, own) in layout.fields.iter().enumerate() {
        if own.bulk && head.is_none() {
            head = Some(out.written().len() - start);
        }
        let value = match own.removed {
            true => own.make_default(py)?.unwrap_or_else(|| py.None().into_bound(py)),
            false => field(py, record, layout, at)?,
        };
        write(out, &own.shape, &value, nesting).map_err(|error| named(py, error, layout, at))?;
    }
    Ok(head.unwrap_or(out.written().len() - start).min(out.written().len() - start))
}

/// A ValidationError without a place gets the field's name as its place.
#[cold]
fn named(py: Python<'_>, error: PyErr, layout: &Layout, at: usize) -> PyErr {
    let place = |error: &PyErr| -> PyResult<Option<(String, Option<String>)>> {
        let value = error.value(py);
        if value.get_type().name()? != "ValidationError" {
            return Ok(None);
        }
        let class = layout.class(py)?.name()?.to_string();
        let own = format!("{class}.{}", layout.fields[at].name.bind(py));
        let inner: Option<String> = value.getattr("place")?.extract()?;
        let place = inner.as_ref().map_or(own.clone(), |inner| format!("{own}: {inner}"));
        Ok(Some((place, inner)))
    };
    let Ok(Some((place, inner))) = place(&error) else { return error };
    let text = error.value(py).getattr("message").and_then(|text| text.extract::<String>()).unwrap_or_default();
    let own_text = inner.and_then(|inner| text.strip_suffix(&format!(" ({inner})")).map(str::to_owned));
    let text = own_text.unwrap_or(text);
    to_py(&Error::invalid(text).at(tierstore_core::error::Place::Name(place)))
}

/// A record's bytes start with the envelope's place.
pub fn start() -> Out {
    let mut out = Out::whole();
    out.put([0; ENVELOPE_BYTES]);
    out
}
