//! bincode bytes from Python values.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString, PyTuple};
use tierstore_core::codec::envelope::ENVELOPE_BYTES;
use tierstore_core::codec::shape::Int;
use tierstore_core::codec::sink::Sink;
use tierstore_core::codec::write as put;
use tierstore_core::error::Error;

use super::field::field;
use super::layout::Layout;
use super::many::{items, pairs};
use super::msgpack;
use super::object::{Record, Source};
use super::out::Out;
use super::scalar::{self, expected};
use super::shape::{Class, Compiled};
use crate::errors::to_py;
use crate::room::copied;

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
pub fn any(out: &mut Out, shape: &Compiled, value: &Bound<'_, PyAny>, nesting: u32) -> PyResult<()> {
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
    to_py(&Error::invalid(format!("expected a tuple of {expected}, got one of {found}")))
}

/// The UTF-8 of a str; a lone surrogate has none. ASCII, the usual case, is read where it lies.
#[inline]
pub fn text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    let text = value.cast::<PyString>().map_err(|_| expected("a str", value))?;
    // SAFETY: value is a str; a compact ASCII one holds so many bytes, and another compact one may know its UTF-8. Neither
    // changes while the str is borrowed.
    #[cfg(not(any(Py_3_14, Py_GIL_DISABLED)))]
    unsafe {
        use pyo3::ffi;
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
        Err(_) => Err(to_py(&Error::invalid("a str contains a lone surrogate, which UTF-8 cannot encode"))),
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
        put::bytes(out, copied(value)?.as_bytes());
        return Ok(());
    }
    Err(expected("bytes", value))
}

#[inline(always)]
pub fn int(out: &mut Out, kind: Int, value: &Bound<'_, PyAny>) -> PyResult<()> {
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
    let fail = |_| out_of_range(kind); // value is an int: only its range can be wrong
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
fn out_of_range(kind: Int) -> PyErr {
    to_py(&Error::invalid(format!("an int does not fit {}", format!("{kind:?}").to_lowercase())))
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
        return Err(to_py(&Error::invalid("a float does not fit f32")));
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
    let stands = stands(out, record, layout, nesting) && record.bytes().is_some();
    if nesting >= MAX_NESTING && !(out.anew && stands) {
        return Err(to_py(&Error::invalid(format!("records must be nested at most {MAX_NESTING} deep"))));
    }
    let (revision, oldest) = match stands {
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
        && stands(out, record, layout, nesting)
    {
        record.vouch(record.end as usize, bytes)?;
        out.put_slice(&bytes[record.start as usize..record.end as usize]);
        let head =
            if record.whole { u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize } else { 0 };
        return Ok(head.min(out.written().len() - start));
    }
    match record.buffer(py) {
        Some(buffer) => reread(out, layout, record, &buffer, nesting),
        None => fields(out, py, layout, record, nesting),
    }
}

/// Append the fields of a received record as its buffer has them, whatever became of the lists and dicts that were read from it.
#[inline(never)]
fn reread(
    out: &mut Out,
    layout: &Layout,
    record: &Record,
    buffer: &Bound<'_, PyBytes>,
    nesting: u32,
) -> PyResult<usize> {
    let py = buffer.py();
    let (key, start, end, revision) = (record.key, record.start, record.end, record.revision);
    let source = Source { key, start, end, revision, checked: record.is_checked(), whole: record.whole };
    let fresh = Record::allocate(layout.class(py)?, Some(buffer), &source)?;
    let fresh = Record::of_any(&fresh)?;
    for (at, own) in layout.fields.iter().enumerate() {
        if own.revision > revision && !own.removed {
            fresh.keep(field(py, record, layout, at)?, at, layout.fields.len())?; // a default, which is made once
        }
    }
    fields(out, py, layout, fresh, nesting)
}

/// Whether the bytes that a record came in are what is to be written. Anew not an older writer's, nor where such may be within, as far
/// as records are written in one another.
fn stands(out: &Out, record: &Record, layout: &Layout, nesting: u32) -> bool {
    let is_current = record.revision == layout.revision && !layout.has_records;
    !out.anew || is_current || record.revision > layout.revision || nesting >= MAX_NESTING
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
pub fn start() -> PyResult<Out> {
    let mut out = Out::whole();
    out.put([0; ENVELOPE_BYTES]);
    out.check()?;
    Ok(out)
}
