//! Plain Python values from MessagePack. Open arrays and maps stand in a list, so depth costs no stack.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList, PyString};
use tierstore_core::codec::msgpack::{TIMESTAMP, Timestamp as Instant, Token, Tokens};
use tierstore_core::room::{copy, push};

use super::msgpack::{Ext, Timestamp};
use super::read::lift;
use super::{intern, scalar};
use crate::errors::to_py;
use crate::items::{empty_list, full, set_item};
use crate::room;

/// What a decoder accepts.
#[derive(Clone, Copy)]
pub struct Limits {
    /// UTF-8 without fault, str keys, no key twice.
    pub strict: bool,
    pub depth: usize,
}

/// An array or a map whose items are still coming.
struct Open<'py> {
    container: Container<'py>,
    /// Items, or pairs.
    count: usize,
    left: usize,
    /// Values that those around it still want.
    around: usize,
}

enum Container<'py> {
    Array(Bound<'py, PyList>),
    /// The key waits for its value.
    Map(Bound<'py, PyDict>, Option<Bound<'py, PyAny>>),
}

enum Step<'py> {
    Value(Bound<'py, PyAny>),
    Inner(Inner),
}

/// The head of an array or a map that is not empty.
enum Inner {
    Array(usize),
    Map(usize),
}

/// One value from the tokens.
fn decode<'py>(py: Python<'py>, tokens: &mut Tokens<'_>, limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    let mut outer: Vec<Open<'py>> = Vec::new();
    let mut top = match step(py, lift(tokens.token())?, limits)? {
        Step::Value(value) => return Ok(value),
        Step::Inner(inner) => Open::new(py, &inner, 0, tokens)?,
    };
    loop {
        if outer.len() >= limits.depth {
            let message = format!("arrays and maps must be nested at most {} deep", limits.depth);
            return Err(to_py(&tokens.fail(message)));
        }
        match top.fill(py, tokens, limits)? {
            Some(inner) => {
                let inner = Open::new(py, &inner, top.wanted(), tokens)?;
                lift(push(&mut outer, std::mem::replace(&mut top, inner)))?;
            }
            None => {
                let value = top.finish(tokens, limits)?;
                let Some(next) = outer.pop() else { return Ok(value) };
                top = next;
                top.put(value, tokens, limits)?;
            }
        }
    }
}

impl<'py> Open<'py> {
    /// What is claimed by all open arrays and maps together may never exceed the bytes left, so that memory stays within a small
    /// multiple of the input.
    fn new(py: Python<'py>, inner: &Inner, around: usize, tokens: &Tokens<'_>) -> PyResult<Self> {
        let (count, claimed) = match *inner {
            Inner::Array(count) => (count, count),
            Inner::Map(pairs) => (pairs, pairs * 2),
        };
        if around + claimed > tokens.remaining() {
            let message =
                format!("{} items do not fit the {} bytes that are left", around + claimed, tokens.remaining());
            return Err(to_py(&tokens.fail(message)));
        }
        let container = match inner {
            Inner::Array(_) => Container::Array(empty_list(py, count)?),
            Inner::Map(_) => Container::Map(PyDict::new(py), None),
        };
        Ok(Self { container, count, left: count, around })
    }

    /// Values that are to come for this one and those around it, besides the one that is being read.
    fn wanted(&self) -> usize {
        let own = match &self.container {
            Container::Array(_) => self.left,
            Container::Map(_, Some(_)) => self.left * 2,
            Container::Map(_, None) => self.left * 2 + 1,
        };
        self.around + own
    }

    /// Take items up to the first that is an array or a map: its head is the answer. None: this one is complete.
    #[inline]
    fn fill(&mut self, py: Python<'py>, tokens: &mut Tokens<'_>, limits: Limits) -> PyResult<Option<Inner>> {
        match &mut self.container {
            Container::Array(list) => {
                while self.left > 0 {
                    self.left -= 1;
                    match step(py, lift(tokens.token())?, limits)? {
                        Step::Value(value) => set_item(list, self.count - self.left - 1, value),
                        Step::Inner(inner) => return Ok(Some(inner)),
                    }
                }
            }
            Container::Map(dict, waiting) => loop {
                let key = match waiting.take() {
                    Some(key) => key,
                    None if self.left == 0 => break,
                    None => {
                        self.left -= 1;
                        match key_step(py, tokens, limits)? {
                            Step::Value(key) => key,
                            Step::Inner(inner) => return Ok(Some(inner)),
                        }
                    }
                };
                match step(py, lift(tokens.token())?, limits)? {
                    Step::Value(value) => set_pair(dict, &key, &value)?,
                    Step::Inner(inner) => {
                        *waiting = Some(key);
                        return Ok(Some(inner));
                    }
                }
            },
        }
        Ok(None)
    }

    /// Put the array or map whose head was the last answer of `fill` in its place.
    fn put(&mut self, value: Bound<'py, PyAny>, tokens: &Tokens<'_>, limits: Limits) -> PyResult<()> {
        match &mut self.container {
            Container::Array(list) => set_item(list, self.count - self.left - 1, value),
            Container::Map(dict, waiting) => match waiting.take() {
                Some(key) => set_pair(dict, &key, &value)?,
                None => *waiting = Some(as_key(value, tokens, limits)?),
            },
        }
        Ok(())
    }

    fn finish(self, tokens: &Tokens<'_>, limits: Limits) -> PyResult<Bound<'py, PyAny>> {
        match self.container {
            Container::Array(list) => Ok(full(list)),
            Container::Map(dict, _) if limits.strict && dict.len() != self.count => {
                Err(to_py(&tokens.fail("a map has the same key twice")))
            }
            Container::Map(dict, _) => Ok(dict.into_any()),
        }
    }
}

#[inline(always)]
fn set_pair<'py>(dict: &Bound<'py, PyDict>, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
    // SAFETY: three live objects; the dict takes references of its own.
    match unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(dict.py())),
    }
}

#[inline(always)]
fn key_step<'py>(py: Python<'py>, tokens: &mut Tokens<'_>, limits: Limits) -> PyResult<Step<'py>> {
    match lift(tokens.token())? {
        Token::Str(bytes) if limits.strict => intern::key(py, bytes).map(Step::Value),
        token => match step(py, token, limits)? {
            Step::Value(value) if !value.is_instance_of::<PyString>() => as_key(value, tokens, limits).map(Step::Value),
            step => Ok(step),
        },
    }
}

/// Three copies of this, each within its loop, decode a fifth faster than one that is called.
#[inline(always)]
fn step<'py>(py: Python<'py>, token: Token<'_>, limits: Limits) -> PyResult<Step<'py>> {
    Ok(Step::Value(match token {
        Token::Str(bytes) => utf8(py, bytes, limits)?,
        Token::Uint(value) => value.into_pyobject(py)?.into_any(),
        Token::Array(count) if count > 0 => return Ok(Step::Inner(Inner::Array(count))),
        Token::Map(pairs) if pairs > 0 => return Ok(Step::Inner(Inner::Map(pairs))),
        Token::Nil => py.None().into_bound(py),
        Token::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Token::F64(value) => PyFloat::new(py, value).into_any(),
        Token::F32(value) => PyFloat::new(py, f64::from(value)).into_any(),
        Token::Int(value) => value.into_pyobject(py)?.into_any(),
        Token::Bin(bytes) => room::bytes(py, bytes)?.into_any(),
        Token::Array(_) => PyList::empty(py).into_any(),
        Token::Map(_) => PyDict::new(py).into_any(),
        Token::Ext(code, data) => extension(py, code, data)?,
    }))
}

fn extension<'py>(py: Python<'py>, code: i8, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match code {
        TIMESTAMP => moment(py, lift(Instant::from_ext(data))?),
        _ => Ok(Bound::new(py, Ext { code, data: lift(copy(data))? })?.into_any()),
    }
}

fn utf8<'py>(py: Python<'py>, bytes: &[u8], limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    match intern::word(py, bytes) {
        Err(_) if !limits.strict => room::bytes(py, bytes)?.call_method1("decode", ("utf-8", "surrogateescape")),
        result => result,
    }
}

/// Strict maps have str keys; others take what can be hashed, an array as a tuple.
fn as_key<'py>(value: Bound<'py, PyAny>, tokens: &Tokens<'_>, limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    if limits.strict {
        return Err(to_py(&tokens.fail("a map has a key that is not a str; pass strict=False to accept it")));
    }
    let value = match value.cast::<PyList>() {
        Ok(list) => room::tuple(value.py(), room::list(list.iter().map(Ok))?)?.into_any(),
        Err(_) => value,
    };
    value.hash().map_err(|_| to_py(&tokens.fail("a map has a key that cannot be hashed")))?;
    Ok(value)
}

/// A datetime where it is exact, else a Timestamp.
fn moment(py: Python<'_>, value: Instant) -> PyResult<Bound<'_, PyAny>> {
    let micros =
        value.seconds.checked_mul(1_000_000).map(|micros| micros.saturating_add(i64::from(value.nanoseconds / 1000)));
    if let (0, Some(micros)) = (value.nanoseconds % 1000, micros)
        && scalar::is_datetime(micros)
    {
        return scalar::datetime(py, micros);
    }
    Ok(Bound::new(py, Timestamp { seconds: value.seconds, nanoseconds: value.nanoseconds })?.into_any())
}

pub fn whole<'py>(py: Python<'py>, bytes: &[u8], limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    let mut tokens = Tokens::new(bytes);
    let value = decode(py, &mut tokens, limits)?;
    if !tokens.is_empty() {
        return Err(to_py(&tokens.fail(format!("{} bytes follow the value; expected none", tokens.remaining()))));
    }
    Ok(value)
}
