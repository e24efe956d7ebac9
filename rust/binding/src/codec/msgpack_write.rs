//! MessagePack from plain Python values, each in its shortest form; a dict keeps its order.
//!
//! What most values are (str, int, float, None, bool) is written where it is met, and so is a list or dict of nothing else. One that
//! has others in it waits in a list while they are written, so depth costs no stack.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use tierstore_core::codec::msgpack::{self as put, Timestamp as Instant};
use tierstore_core::codec::sink::Sink;
use tierstore_core::error::Error;
use tierstore_core::room::push;

use super::lent::{item_of, next_entry, own};
use super::many::in_order;
use super::msgpack::{Ext, Timestamp};
use super::out::Out;
use super::read::lift;
use super::scalar;
use super::write::text;
use crate::errors::to_py;
use crate::room::copied;

#[derive(Clone, Copy)]
pub struct Rules {
    /// Only what JSON knows: no bytes, no moments, no NaN, str keys.
    pub json: bool,
    pub depth: usize,
}

/// A list, tuple or dict whose head is written, and perhaps not all of its items.
enum Open<'py> {
    List { list: Bound<'py, PyList>, at: usize, count: usize },
    Tuple { tuple: Bound<'py, PyTuple>, at: usize },
    Dict { dict: Bound<'py, PyDict>, position: ffi::Py_ssize_t, left: usize, value: Option<Bound<'py, PyAny>> },
}

pub fn encode<'py>(out: &mut Out, value: &Bound<'py, PyAny>, rules: Rules) -> PyResult<()> {
    if scalar(out, value, rules)? {
        return Ok(());
    }
    let mut waiting: Vec<Open<'py>> = Vec::new();
    let mut next = other(out, &mut waiting, value, rules)?;
    loop {
        next = match (next, waiting.last_mut()) {
            (Some(item), _) => other(out, &mut waiting, &item, rules)?,
            (None, None) => return Ok(()),
            (None, Some(innermost)) => {
                let item = innermost.write(out, rules)?;
                if item.is_none() {
                    waiting.pop();
                }
                item
            }
        };
    }
}

impl<'py> Open<'py> {
    fn is_empty(&self) -> bool {
        match self {
            Open::List { count, .. } => *count == 0,
            Open::Tuple { tuple, .. } => tuple.is_empty(),
            Open::Dict { left, .. } => *left == 0,
        }
    }

    /// Write items up to the first that is no scalar: that one is the answer, and comes next. None: this one is complete.
    #[inline(always)]
    fn write(&mut self, out: &mut Out, rules: Rules) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Open::List { list, at, count } => {
                for place in *at..*count {
                    let item = item_of(list, place).ok_or_else(changed)?;
                    if !scalar(out, &item, rules)? {
                        *at = place + 1;
                        return Ok(Some(own(&item)));
                    }
                }
                if list.len() == *count { Ok(None) } else { Err(changed()) }
            }
            Open::Tuple { tuple, at } => {
                for place in *at..tuple.len() {
                    // SAFETY: the tuple has this item.
                    let item = unsafe { tuple.get_borrowed_item_unchecked(place) };
                    if !scalar(out, &item, rules)? {
                        *at = place + 1;
                        return Ok(Some(own(&item)));
                    }
                }
                Ok(None)
            }
            Open::Dict { dict, position, left, value } => {
                if let Some(item) = value.take()
                    && !scalar(out, &item, rules)?
                {
                    return Ok(Some(item));
                }
                while let Some((key, item)) = next_entry(dict, position) {
                    *left = left.checked_sub(1).ok_or_else(changed)?;
                    if is_str(&key) {
                        str(out, &key)?;
                    } else if rules.json && !key.is_instance_of::<PyString>() {
                        return Err(scalar::expected("str as the key of a JSON object", &key));
                    } else {
                        *value = Some(own(&item));
                        return Ok(Some(own(&key)));
                    }
                    if !scalar(out, &item, rules)? {
                        return Ok(Some(own(&item)));
                    }
                }
                if *left == 0 { Ok(None) } else { Err(changed()) }
            }
        }
    }
}

#[inline(always)]
fn is_str(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
}

/// Write a str, int, float, None or bool; False for all else, subclasses of these too. Runs no Python code.
#[inline(always)]
fn scalar(out: &mut Out, value: &Bound<'_, PyAny>, rules: Rules) -> PyResult<bool> {
    if is_str(value) {
        str(out, value)?;
    } else if value.is_exact_instance_of::<PyInt>() {
        int(out, value)?;
    } else if value.is_exact_instance_of::<PyFloat>() {
        // SAFETY: it is a float.
        float(out, unsafe { ffi::PyFloat_AS_DOUBLE(value.as_ptr()) }, rules)?;
    } else if value.is_none() {
        put::nil(out);
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        put::bool(out, value.is_true());
    } else {
        return Ok(false);
    }
    Ok(true)
}

#[inline(always)]
fn str(out: &mut Out, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let text = text(value)?;
    said(put::str_head(out, text.len()))?;
    // SAFETY: a str never changes, and keeps its UTF-8 as long as it lives.
    unsafe { out.put_of(value, text) };
    Ok(())
}

#[inline(always)]
fn int(out: &mut Out, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match scalar::int64(value) {
        Some(number @ -32..=127) => out.put([number as u8]),
        Some(number) => put::int(out, number),
        None => match value.extract::<u64>() {
            Ok(number) => put::uint(out, number),
            Err(_) => return Err(invalid("an int must fit 64 bits in MessagePack")),
        },
    }
    Ok(())
}

#[inline(always)]
fn float(out: &mut Out, value: f64, rules: Rules) -> PyResult<()> {
    if rules.json && !value.is_finite() {
        return Err(invalid(format!("{value} cannot be written as a JSON number")));
    }
    put::float(out, value);
    Ok(())
}

/// Write what is no scalar. A list, tuple or dict is written up to its first item that is none either: that one is the answer, and
/// the rest waits.
#[inline]
fn other<'py>(
    out: &mut Out,
    waiting: &mut Vec<Open<'py>>,
    value: &Bound<'py, PyAny>,
    rules: Rules,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let opened = if let Ok(dict) = value.cast_exact::<PyDict>() {
        Some(open_dict(out, dict)?)
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        Some(open_list(out, list)?)
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        Some(open_tuple(out, tuple)?)
    } else {
        seldom(out, value, rules)?
    };
    let Some(mut inner) = opened.filter(|inner| !inner.is_empty()) else { return Ok(None) };
    if waiting.len() >= rules.depth {
        return Err(invalid(format!("lists and dicts must be nested at most {} deep", rules.depth)));
    }
    let item = inner.write(out, rules)?;
    if item.is_some() {
        lift(push(waiting, inner))?;
    }
    Ok(item)
}

#[inline(always)]
fn open_list<'py>(out: &mut Out, list: &Bound<'py, PyList>) -> PyResult<Open<'py>> {
    let count = list.len();
    said(put::array(out, count))?;
    Ok(Open::List { list: list.clone(), at: 0, count })
}

#[inline(always)]
fn open_tuple<'py>(out: &mut Out, tuple: &Bound<'py, PyTuple>) -> PyResult<Open<'py>> {
    said(put::array(out, tuple.len()))?;
    Ok(Open::Tuple { tuple: tuple.clone(), at: 0 })
}

#[inline(always)]
fn open_dict<'py>(out: &mut Out, dict: &Bound<'py, PyDict>) -> PyResult<Open<'py>> {
    let dict = in_order(dict)?;
    let left = dict.len();
    said(put::map(out, left))?;
    Ok(Open::Dict { dict, position: 0, left, value: None })
}

/// Bytes, subclasses, scalars that are keys, and what JSON does not know.
#[inline(never)]
fn seldom<'py>(out: &mut Out, value: &Bound<'py, PyAny>, rules: Rules) -> PyResult<Option<Open<'py>>> {
    if !rules.json
        && let Ok(bytes) = value.cast_exact::<PyBytes>()
    {
        own_bytes(out, bytes)?;
    } else if scalar(out, value, rules)? {
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        return open_tuple(out, tuple).map(Some);
    } else if let Ok(dict) = value.cast::<PyDict>() {
        return open_dict(out, dict).map(Some);
    } else if let Ok(list) = value.cast::<PyList>() {
        return open_list(out, list).map(Some);
    } else if value.is_instance_of::<PyString>() {
        str(out, value)?;
    } else if value.is_instance_of::<PyInt>() {
        int(out, value)?;
    } else if let Ok(number) = value.cast::<PyFloat>() {
        float(out, number.value(), rules)?;
    } else if rules.json {
        return Err(scalar::expected("a JSON value", value));
    } else {
        binary(out, value)?;
    }
    Ok(None)
}

#[inline(always)]
fn own_bytes(out: &mut Out, value: &Bound<'_, PyBytes>) -> PyResult<()> {
    let bytes = value.as_bytes();
    said(put::bin_head(out, bytes.len()))?;
    // SAFETY: a bytes object never changes.
    unsafe { out.put_of(value, bytes) };
    Ok(())
}

fn binary(out: &mut Out, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return own_bytes(out, bytes);
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let bytes = copied(value)?;
        said(put::bin_head(out, bytes.as_bytes().len()))?;
        out.put_slice(bytes.as_bytes());
        return Ok(());
    }
    if value.is_instance_of::<PyDateTime>() {
        let micros = scalar::datetime_micros(value)?;
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        put::timestamp(out, Instant { seconds, nanoseconds: micros as u32 * 1000 });
        return Ok(());
    }
    if let Ok(moment) = value.cast::<Timestamp>() {
        let moment = moment.get();
        put::timestamp(out, Instant { seconds: moment.seconds, nanoseconds: moment.nanoseconds });
        return Ok(());
    }
    if let Ok(ext) = value.cast::<Ext>() {
        return said(put::ext(out, ext.get().code, &ext.get().data));
    }
    Err(scalar::expected("a value that MessagePack has a type for", value))
}

/// Whether its length could be written.
#[inline(always)]
fn said(written: Option<()>) -> PyResult<()> {
    written.ok_or_else(|| invalid("a value must be shorter than 4 GiB in MessagePack"))
}

#[cold]
fn invalid(message: impl Into<String>) -> PyErr {
    to_py(&Error::invalid(message))
}

#[cold]
fn changed() -> PyErr {
    invalid("a list or dict changed while it was encoded")
}
