//! Python values from bincode bytes.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyMemoryView, PySlice, PyString, PyTuple};
use tierstore_core::codec::read::Reader;
use tierstore_core::codec::shape::{Int, variant};
use tierstore_core::codec::text::{Text, Width};
use tierstore_core::error::{Error, Result as CoreResult};
use tierstore_core::room::room as room_for;

use super::object::{Record, Source};
use super::run::Run;
use super::shape::{Class, Compiled};
use super::{intern, lazy, msgpack, scalar};
use crate::errors::to_py;
use crate::items::list_of;
use crate::room;

/// A fault of the core, as an exception.
#[inline(always)]
pub fn lift<T>(result: CoreResult<T>) -> PyResult<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(fault(&error)),
    }
}

#[cold]
#[inline(never)]
fn fault(error: &Error) -> PyErr {
    to_py(error)
}

/// Build the value of `shape` at the reader. `owner` is the bytes object that the reader reads: lazy values keep it.
/// Recursion is as deep as the declaration.
#[inline(always)]
pub fn read<'py>(
    py: Python<'py>,
    shape: &Compiled,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    match shape {
        Compiled::Str => intern::word(py, lift(reader.bytes())?),
        shape => any(py, shape, reader, owner),
    }
}

fn any<'py>(
    py: Python<'py>,
    shape: &Compiled,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    use tierstore_core::codec::shape::Shape::*;
    Ok(match shape {
        Str => intern::word(py, lift(reader.bytes())?)?,
        Int(kind) => int(py, *kind, reader)?,
        Bytes => room::bytes(py, lift(reader.bytes())?)?.into_any(),
        Datetime => scalar::datetime(py, lift(reader.int_of(64))?)?,
        Bool => lift(reader.flag())?.into_pyobject(py)?.to_owned().into_any(),
        Option(inner) => match lift(reader.flag())? {
            true => read(py, inner, reader, owner)?,
            false => py.None().into_bound(py),
        },
        Enum(class, values) => member(class, read(py, values, reader, owner)?)?,
        Json => msgpack::decode_whole(py, lift(reader.bytes())?)?,
        F64 => PyFloat::new(py, f64::from_le_bytes(lift(reader.array())?)).into_any(),
        F32 => PyFloat::new(py, f64::from(f32::from_le_bytes(lift(reader.array())?))).into_any(),
        None => py.None().into_bound(py),
        Char => PyString::new(py, lift(reader.char())?.encode_utf8(&mut [0; 4])).into_any(),
        View => view(py, reader, owner)?,
        Date => scalar::date(py, lift(reader.int_of(32))?)?,
        Timedelta => scalar::timedelta(py, lift(reader.int128())?)?,
        Uuid => scalar::uuid(py, lift(reader.array())?)?,
        Decimal => scalar::decimal(py, lift(reader.bytes())?)?,
        Record(class) => record(py, class, reader, owner)?,
        List(item) => list_of(py, items(py, item, reader, owner)?)?,
        Many(item) => room::tuple(py, items(py, item, reader, owner)?)?.into_any(),
        Sequence(item) => lazy::sequence(py, item, lift(Run::take(reader, owner, &[item]))?)?,
        Dict(pair) => dict(py, pair, reader, owner)?,
        Mapping(pair) => lazy::mapping(py, pair, lift(Run::take(reader, owner, &[&pair.0, &pair.1]))?)?,
        Tuple(items) => PyTuple::new(py, fixed(py, items, reader, owner)?)?.into_any(),
        Struct(class, items) => structure(py, class, &fixed(py, items, reader, owner)?)?,
        Union(variants) => {
            let (_, shape) = lift(variant(variants, reader))?;
            read(py, shape, reader, owner)?
        }
    })
}

/// A str of UTF-8 bytes. ASCII, the usual case, is copied as it is.
#[inline]
pub fn str<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a new ASCII string has room for so many one-byte characters, and nobody has seen it yet.
    unsafe {
        if bytes.is_ascii() && !bytes.is_empty() {
            let text = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(bytes.len() as ffi::Py_ssize_t, 127))?;
            let data = ffi::PyUnicode_DATA(text.as_ptr()).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
            return Ok(text);
        }
    }
    match Text::new(bytes) {
        Ok(text) => wide(py, &text),
        Err(error) => {
            Err(to_py(&Error::corrupt(format!("a text is not UTF-8 from its byte {} on", error.valid_up_to()))))
        }
    }
}

/// A str that is not ASCII, or empty.
fn wide<'py>(py: Python<'py>, text: &Text<'_>) -> PyResult<Bound<'py, PyAny>> {
    let highest = match text.width {
        Width::Ascii => 0x7F,
        Width::One => 0xFF,
        Width::Two => 0xFFFF,
        Width::Four => 0x10_FFFF,
    };
    // SAFETY: a new string for so many characters up to the highest holds as many of the width, and nobody has seen it yet. (An
    // empty one is shared, and nothing is written to it.)
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(text.length as ffi::Py_ssize_t, highest))?;
        let data = ffi::PyUnicode_DATA(made.as_ptr());
        match text.width {
            Width::Ascii | Width::One => text.fill(places(data.cast::<u8>(), text), |code| code as u8),
            Width::Two => text.fill(places(data.cast::<u16>(), text), |code| code as u16),
            Width::Four => text.fill(places(data.cast::<u32>(), text), |code| code),
        }
        Ok(made)
    }
}

/// # Safety
/// `data` MUST be the memory of a new string for the text's characters, of this width.
unsafe fn places<'a, T>(data: *mut T, text: &Text<'_>) -> &'a mut [T] {
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts_mut(data, text.length) }
}

#[inline]
fn int<'py>(py: Python<'py>, kind: Int, reader: &mut Reader<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match kind {
        Int::U8 => lift(reader.byte())?.into_pyobject(py)?,
        Int::I8 => (lift(reader.byte())? as i8).into_pyobject(py)?,
        Int::U128 => lift(reader.uint128())?.into_pyobject(py)?,
        Int::I128 => lift(reader.int128())?.into_pyobject(py)?,
        Int::U16 | Int::U32 | Int::U64 => lift(reader.uint_of(kind.bits()))?.into_pyobject(py)?,
        Int::I16 | Int::I32 | Int::I64 => lift(reader.int_of(kind.bits()))?.into_pyobject(py)?,
    }
    .into_any())
}

fn member<'py>(class: &Class, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let Class::Enum { class, members } = class else { return Ok(value) };
    let py = value.py();
    if let Some(member) = members.bind(py).get_item(&value)? {
        return Ok(member);
    }
    class
        .bind(py)
        .call1((&value,))
        .map_err(|_| to_py(&Error::corrupt(format!("a value is not that of a member of {class}"))))
}

fn view<'py>(py: Python<'py>, reader: &mut Reader<'_>, owner: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    let length = lift(reader.bytes())?.len();
    let (start, end) = (reader.position() - length, reader.position());
    PyMemoryView::from(owner.as_any())?.get_item(PySlice::new(py, start as isize, end as isize, 1))
}

/// A nested record: a frame with a length, that starts with its revision.
fn record<'py>(
    py: Python<'py>,
    class: &Class,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let layout = class.layout(py)?.bind(py).get();
    let frame = lift(reader.bytes())?;
    let mut inner = Reader::new(frame, 0);
    let revision = lift(inner.uint_of(16))? as u16;
    let oldest = lift(inner.uint_of(16))? as u16;
    if oldest > layout.revision {
        let message = format!(
            "a nested record has revision {revision}, which a class of revision {} cannot read",
            layout.revision
        );
        return Err(to_py(&Error::corrupt(message)));
    }
    let end = reader.position();
    let start = end - inner.remaining();
    let (start, end) = (start as u32, end as u32);
    // A nested record has no key of its own: its place holds the oldest reader.
    let source = Source { key: u64::from(oldest), start, end, revision, checked: true, whole: false };
    Record::allocate(layout.class(py)?, Some(owner), &source)
}

fn items<'py>(
    py: Python<'py>,
    item: &Compiled,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let count = lift(reader.count(item.least()))?;
    let mut items = lift(room_for(count))?;
    for _ in 0..count {
        items.push(read(py, item, reader, owner)?);
    }
    Ok(items)
}

fn dict<'py>(
    py: Python<'py>,
    pair: &(Compiled, Compiled),
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let count = lift(reader.count(pair.0.least() + pair.1.least()))?;
    let dict = PyDict::new(py);
    for _ in 0..count {
        let key = read(py, &pair.0, reader, owner)?;
        let value = read(py, &pair.1, reader, owner)?;
        dict.set_item(key, value).map_err(|error| match error.is_instance_of::<PyTypeError>(py) {
            true => to_py(&reader.fail("a dict has a key that cannot be hashed")),
            false => error,
        })?;
    }
    if dict.len() != count {
        return Err(to_py(&reader.fail("a dict has the same key twice")));
    }
    Ok(dict.into_any())
}

fn fixed<'py>(
    py: Python<'py>,
    items: &[Compiled],
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    items.iter().map(|item| read(py, item, reader, owner)).collect()
}

fn structure<'py>(py: Python<'py>, class: &Class, values: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
    let Class::Struct { class, names } = class else { return Err(to_py(&Error::corrupt("expected a struct"))) };
    let keywords = PyDict::new(py);
    for (name, value) in names.iter().zip(values) {
        keywords.set_item(name.bind(py), value)?;
    }
    class.bind(py).call((), Some(&keywords))
}
