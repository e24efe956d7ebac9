//! MessagePack from plain Python values, each in its shortest form; a dict keeps its order.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use tierstore_core::codec::msgpack::{self as put, Timestamp as Instant};
use tierstore_core::error::Error;

use super::msgpack::{Ext, Timestamp};
use super::scalar;
use super::write::{copied, text};
use crate::errors::to_py;

#[derive(Clone, Copy)]
pub struct Rules {
    /// Only what JSON knows: no bytes, no moments, no NaN, str keys.
    pub json: bool,
    pub depth: usize,
}

enum Open<'py> {
    List { list: Bound<'py, PyList>, at: usize, count: usize },
    Tuple { tuple: Bound<'py, PyTuple>, at: usize },
    Dict { dict: Bound<'py, PyDict>, position: ffi::Py_ssize_t, left: usize, value: Option<Bound<'py, PyAny>> },
}

#[cold]
fn invalid(message: impl Into<String>) -> PyErr {
    to_py(&Error::invalid(message))
}

/// No list or dict follows what was written.
#[inline(always)]
fn long<'py>(written: Option<()>) -> PyResult<Option<Open<'py>>> {
    match written {
        Some(()) => Ok(None),
        None => Err(invalid("MessagePack cannot say a length of 4 GiB or more")),
    }
}

fn open_list<'py>(out: &mut Vec<u8>, list: &Bound<'py, PyList>) -> PyResult<Option<Open<'py>>> {
    let count = list.len();
    long(put::array(out, count))?;
    Ok(Some(Open::List { list: list.clone(), at: 0, count }))
}

pub fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, rules: Rules) -> PyResult<()> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut inner = one(out, value, rules)?;
    loop {
        if let Some(inner) = inner {
            if open.len() >= rules.depth {
                return Err(invalid(format!("more than {} lists and dicts in one another", rules.depth)));
            }
            open.push(inner);
        }
        let Some(top) = open.last_mut() else { return Ok(()) };
        inner = top.write(out, rules)?;
        if inner.is_none() {
            open.pop();
        }
    }
}

impl<'py> Open<'py> {
    /// Write items up to the first list or dict, whose head is written: that one is the answer. None: this one is complete.
    #[inline]
    fn write(&mut self, out: &mut Vec<u8>, rules: Rules) -> PyResult<Option<Self>> {
        match self {
            Open::List { list, at, count } => {
                while *at < *count {
                    *at += 1;
                    let inner = one(out, &list.get_item(*at - 1).map_err(|_| changed())?, rules)?;
                    if inner.is_some() {
                        return Ok(inner);
                    }
                }
                if list.len() == *count { Ok(None) } else { Err(changed()) }
            }
            Open::Tuple { tuple, at } => {
                while *at < tuple.len() {
                    *at += 1;
                    let inner = one(out, &tuple.get_item(*at - 1)?, rules)?;
                    if inner.is_some() {
                        return Ok(inner);
                    }
                }
                Ok(None)
            }
            Open::Dict { dict, position, left, value } => loop {
                let item = match value.take() {
                    Some(item) => item,
                    None => match next_entry(dict, position) {
                        None if *left == 0 => return Ok(None),
                        Some((key, item)) if *left > 0 => {
                            *left -= 1;
                            let inner = key_head(out, &key, rules)?;
                            if inner.is_some() {
                                *value = Some(item);
                                return Ok(inner);
                            }
                            item
                        }
                        _ => return Err(changed()),
                    },
                };
                let inner = one(out, &item, rules)?;
                if inner.is_some() {
                    return Ok(inner);
                }
            },
        }
    }
}

#[inline(always)]
fn key_head<'py>(out: &mut Vec<u8>, key: &Bound<'py, PyAny>, rules: Rules) -> PyResult<Option<Open<'py>>> {
    if key.is_exact_instance_of::<PyString>() {
        return long(put::str(out, text(key)?));
    }
    if rules.json && !key.is_instance_of::<PyString>() {
        return Err(scalar::expected("a str as key of a JSON object", key));
    }
    one(out, key, rules)
}

#[cold]
fn changed() -> PyErr {
    invalid("a list or dict changed while it was encoded")
}

fn next_entry<'py>(
    dict: &Bound<'py, PyDict>,
    position: &mut ffi::Py_ssize_t,
) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the dict is alive, and under the GIL (on a free-threaded build it is this call's own copy, see `open_dict`); both
    // references are taken before anything else runs.
    unsafe {
        if ffi::PyDict_Next(dict.as_ptr(), position, &raw mut key, &raw mut value) == 0 {
            return None;
        }
        let py = dict.py();
        Some((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)))
    }
}

fn open_dict<'py>(out: &mut Vec<u8>, dict: &Bound<'py, PyDict>) -> PyResult<Option<Open<'py>>> {
    let dict = if cfg!(Py_GIL_DISABLED) { dict.copy()? } else { dict.clone() };
    let left = dict.len();
    long(put::map(out, left))?;
    Ok(Some(Open::Dict { dict, position: 0, left, value: None }))
}

#[inline]
fn one<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>, rules: Rules) -> PyResult<Option<Open<'py>>> {
    if value.is_exact_instance_of::<PyString>() {
        return long(put::str(out, text(value)?));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return int(out, value);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return open_dict(out, dict);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return open_list(out, list);
    }
    if value.is_none() {
        put::nil(out);
        return Ok(None);
    }
    if let Ok(value) = value.cast_exact::<PyBool>() {
        put::bool(out, value.is_true());
        return Ok(None);
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return float(out, number.value(), rules);
    }
    seldom(out, value, rules)
}

#[inline]
fn int<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>) -> PyResult<Option<Open<'py>>> {
    let mut overflow = 0;
    // SAFETY: value is an int, so that only the range can go wrong, and overflow says so.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        put::int(out, number);
        return Ok(None);
    }
    match value.extract::<u64>() {
        Ok(number) => put::uint(out, number),
        Err(_) => return Err(invalid("an int beyond 64 bits has no place in MessagePack")),
    }
    Ok(None)
}

fn float<'py>(out: &mut Vec<u8>, value: f64, rules: Rules) -> PyResult<Option<Open<'py>>> {
    if rules.json && !value.is_finite() {
        return Err(invalid(format!("{value} is no JSON number")));
    }
    put::float(out, value);
    Ok(None)
}

/// Tuples, subclasses, and what JSON does not know.
fn seldom<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>, rules: Rules) -> PyResult<Option<Open<'py>>> {
    if let Ok(tuple) = value.cast::<PyTuple>() {
        long(put::array(out, tuple.len()))?;
        return Ok(Some(Open::Tuple { tuple: tuple.clone(), at: 0 }));
    }
    if value.is_instance_of::<PyString>() {
        return long(put::str(out, text(value)?));
    }
    if value.is_instance_of::<PyInt>() {
        return int(out, value);
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return open_dict(out, dict);
    }
    if let Ok(list) = value.cast::<PyList>() {
        return open_list(out, list);
    }
    if rules.json {
        return Err(scalar::expected("a JSON value", value));
    }
    binary(out, value)
}

fn binary<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>) -> PyResult<Option<Open<'py>>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return long(put::bin(out, bytes.as_bytes()));
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        return long(put::bin(out, &copied(value)?));
    }
    if value.is_instance_of::<PyDateTime>() {
        let micros = scalar::datetime_micros(value)?;
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        put::timestamp(out, Instant { seconds, nanoseconds: micros as u32 * 1000 });
        return Ok(None);
    }
    if let Ok(moment) = value.cast::<Timestamp>() {
        let moment = moment.get();
        put::timestamp(out, Instant { seconds: moment.seconds, nanoseconds: moment.nanoseconds });
        return Ok(None);
    }
    if let Ok(ext) = value.cast::<Ext>() {
        return long(put::ext(out, ext.get().code, &ext.get().data));
    }
    Err(scalar::expected("a value that MessagePack knows", value))
}
