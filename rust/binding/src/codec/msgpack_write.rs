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

enum Step<'py> {
    Value(Bound<'py, PyAny>),
    Key(Bound<'py, PyAny>),
    Done,
}

#[cold]
fn invalid(message: impl Into<String>) -> PyErr {
    to_py(&Error::invalid(message))
}

fn long(written: Option<()>) -> PyResult<()> {
    written.ok_or_else(|| invalid("MessagePack cannot say a length of 4 GiB or more"))
}

pub fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, rules: Rules) -> PyResult<()> {
    let mut open = Vec::new();
    one(out, value, rules, &mut open)?;
    while let Some(top) = open.last_mut() {
        match step(top)? {
            Step::Value(value) => one(out, &value, rules, &mut open)?,
            Step::Key(key) if rules.json && !key.is_instance_of::<PyString>() => {
                return Err(scalar::expected("a str as key of a JSON object", &key));
            }
            Step::Key(key) => one(out, &key, rules, &mut open)?,
            Step::Done => drop(open.pop()),
        }
        if open.len() > rules.depth {
            return Err(invalid(format!("more than {} lists and dicts in one another", rules.depth)));
        }
    }
    Ok(())
}

#[inline]
fn step<'py>(top: &mut Open<'py>) -> PyResult<Step<'py>> {
    match top {
        Open::List { list, at, count } => {
            if at == count {
                return if list.len() == *count { Ok(Step::Done) } else { Err(changed()) };
            }
            *at += 1;
            list.get_item(*at - 1).map(Step::Value).map_err(|_| changed())
        }
        Open::Tuple { tuple, at } => {
            *at += 1;
            if *at > tuple.len() { Ok(Step::Done) } else { tuple.get_item(*at - 1).map(Step::Value) }
        }
        Open::Dict { dict, position, left, value } => {
            if let Some(value) = value.take() {
                return Ok(Step::Value(value));
            }
            match next_entry(dict, position) {
                Some(_) if *left == 0 => Err(changed()),
                None if *left > 0 => Err(changed()),
                None => Ok(Step::Done),
                Some((key, item)) => {
                    *left -= 1;
                    *value = Some(item);
                    Ok(Step::Key(key))
                }
            }
        }
    }
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

fn open_dict<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Open<'py>> {
    let dict = if cfg!(Py_GIL_DISABLED) { dict.copy()? } else { dict.clone() };
    let left = dict.len();
    Ok(Open::Dict { dict, position: 0, left, value: None })
}

#[inline]
fn one<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>, rules: Rules, open: &mut Vec<Open<'py>>) -> PyResult<()> {
    if value.is_exact_instance_of::<PyString>() {
        return long(put::str(out, text(value)?));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return int(out, value);
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        open.push(open_dict(dict)?);
        return long(put::map(out, dict.len()));
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        let count = list.len();
        open.push(Open::List { list: list.clone(), at: 0, count });
        return long(put::array(out, count));
    }
    if value.is_none() {
        put::nil(out);
        return Ok(());
    }
    if let Ok(value) = value.cast_exact::<PyBool>() {
        put::bool(out, value.is_true());
        return Ok(());
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return float(out, number.extract()?, rules);
    }
    seldom(out, value, rules, open)
}

#[inline]
fn int(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut overflow = 0;
    // SAFETY: value is an int, so that only the range can go wrong, and overflow says so.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        put::int(out, number);
        return Ok(());
    }
    match value.extract::<u64>() {
        Ok(number) => put::uint(out, number),
        Err(_) => return Err(invalid("an int beyond 64 bits has no place in MessagePack")),
    }
    Ok(())
}

fn float(out: &mut Vec<u8>, value: f64, rules: Rules) -> PyResult<()> {
    if rules.json && !value.is_finite() {
        return Err(invalid(format!("{value} is no JSON number")));
    }
    put::float(out, value);
    Ok(())
}

/// Tuples, subclasses, and what JSON does not know.
fn seldom<'py>(out: &mut Vec<u8>, value: &Bound<'py, PyAny>, rules: Rules, open: &mut Vec<Open<'py>>) -> PyResult<()> {
    if let Ok(tuple) = value.cast::<PyTuple>() {
        open.push(Open::Tuple { tuple: tuple.clone(), at: 0 });
        return long(put::array(out, tuple.len()));
    }
    if value.is_instance_of::<PyString>() {
        return long(put::str(out, text(value)?));
    }
    if value.is_instance_of::<PyInt>() {
        return int(out, value);
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        open.push(open_dict(dict)?);
        return long(put::map(out, dict.len()));
    }
    if let Ok(list) = value.cast::<PyList>() {
        let count = list.len();
        open.push(Open::List { list: list.clone(), at: 0, count });
        return long(put::array(out, count));
    }
    if rules.json {
        return Err(scalar::expected("a JSON value", value));
    }
    binary(out, value)
}

fn binary(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
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
        return Ok(());
    }
    if let Ok(moment) = value.cast::<Timestamp>() {
        let moment = moment.get();
        put::timestamp(out, Instant { seconds: moment.seconds, nanoseconds: moment.nanoseconds });
        return Ok(());
    }
    if let Ok(ext) = value.cast::<Ext>() {
        return long(put::ext(out, ext.get().code, &ext.get().data));
    }
    Err(scalar::expected("a value that MessagePack knows", value))
}
