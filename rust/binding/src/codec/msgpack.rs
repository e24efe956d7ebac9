//! MessagePack for plain Python values. Open arrays and maps stand in a list, so depth costs no stack.

use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyList, PyTuple};
use tierstore_core::codec::msgpack::{MAX_DEPTH, Splitter, TIMESTAMP, Timestamp as Instant, Token, Tokens};
use tierstore_core::error::Error;

use super::msgpack_write;
use super::read::{lift, str as text};
use super::{keys, scalar};
use crate::errors::to_py;

/// An extension value of a type that this codec gives no meaning.
#[pyclass(frozen, eq, hash, get_all, module = "tierstore.codec")]
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Ext {
    pub code: i8,
    pub data: Vec<u8>,
}

#[pymethods]
impl Ext {
    #[new]
    fn new(code: i8, data: Vec<u8>) -> Self {
        Self { code, data }
    }

    fn __repr__(&self) -> String {
        format!("Ext({}, {} bytes)", self.code, self.data.len())
    }
}

/// A moment to the nanosecond: seconds since 1970 in UTC, and 0 to 999,999,999 nanoseconds.
#[pyclass(frozen, eq, hash, get_all, module = "tierstore.codec")]
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanoseconds: u32,
}

#[pymethods]
impl Timestamp {
    #[new]
    #[pyo3(signature = (seconds, nanoseconds=0))]
    fn new(seconds: i64, nanoseconds: u32) -> PyResult<Self> {
        if nanoseconds > 999_999_999 {
            return Err(to_py(&Error::invalid(format!("{nanoseconds} nanoseconds: the limit is 999999999"))));
        }
        Ok(Self { seconds, nanoseconds })
    }

    fn __repr__(&self) -> String {
        format!("Timestamp(seconds={}, nanoseconds={})", self.seconds, self.nanoseconds)
    }
}

/// What a decoder accepts.
#[derive(Clone, Copy)]
pub struct Limits {
    /// UTF-8 without fault, str keys, no key twice.
    strict: bool,
    depth: usize,
}

enum Open<'py> {
    Array { list: Bound<'py, PyList>, at: usize, count: usize },
    Map { dict: Bound<'py, PyDict>, left: usize, pairs: usize, key: Option<Bound<'py, PyAny>> },
}

/// One value from the tokens. What is claimed by all open arrays and maps together may never exceed the bytes left, so that
/// memory stays within a small multiple of the input.
fn decode<'py>(py: Python<'py>, tokens: &mut Tokens<'_>, limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    let mut open: Vec<Open<'py>> = Vec::new();
    let mut owed = 0usize;
    loop {
        let token = lift(tokens.token())?;
        let claimed = match token {
            Token::Array(count) => count,
            Token::Map(pairs) => pairs * 2,
            _ => 0,
        };
        owed = owed - usize::from(!open.is_empty()) + claimed;
        if owed > tokens.remaining() && claimed > 0 {
            return Err(to_py(&tokens.fail(format!("{owed} items claimed in {} bytes", tokens.remaining()))));
        }
        let mut value = match token {
            Token::Array(count) if count > 0 => {
                open.push(Open::Array { list: empty_list(py, count)?, at: 0, count });
                check_depth(&open, tokens, limits)?;
                continue;
            }
            Token::Map(left) if left > 0 => {
                open.push(Open::Map { dict: PyDict::new(py), left, pairs: left, key: None });
                check_depth(&open, tokens, limits)?;
                continue;
            }
            token => scalar_value(py, token, tokens, limits, is_key(&open))?,
        };
        loop {
            let Some(top) = open.last_mut() else { return Ok(value) };
            if !place(top, value, tokens, limits)? {
                break;
            }
            value = match open.pop() {
                Some(Open::Array { list, .. }) => list.into_any(),
                Some(Open::Map { dict, .. }) => dict.into_any(),
                None => return Err(to_py(&tokens.fail("no array or map is open"))),
            };
            if is_key(&open) {
                value = as_key(value, tokens, limits)?;
            }
        }
    }
}

#[inline]
fn check_depth(open: &[Open<'_>], tokens: &Tokens<'_>, limits: Limits) -> PyResult<()> {
    if open.len() <= limits.depth {
        return Ok(());
    }
    Err(to_py(&tokens.fail(format!("more than {} arrays and maps in one another", limits.depth))))
}

#[inline]
fn is_key(open: &[Open<'_>]) -> bool {
    matches!(open.last(), Some(Open::Map { key: None, .. }))
}

fn empty_list(py: Python<'_>, count: usize) -> PyResult<Bound<'_, PyList>> {
    // SAFETY: a new list of empty places, which only `place` fills before anyone sees the list.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, ffi::PyList_New(count as ffi::Py_ssize_t))?.cast_into_unchecked()) }
}

/// Put `value` where the innermost array or map wants it; whether that one is complete now.
#[inline]
fn place<'py>(top: &mut Open<'py>, value: Bound<'py, PyAny>, tokens: &Tokens<'_>, limits: Limits) -> PyResult<bool> {
    match top {
        Open::Array { list, at, count } => {
            // SAFETY: at is below count, the list's length; the place is empty and takes over the reference.
            unsafe { ffi::PyList_SetItem(list.as_ptr(), *at as ffi::Py_ssize_t, value.into_ptr()) };
            *at += 1;
            Ok(at == count)
        }
        Open::Map { dict, left, pairs, key } => {
            let Some(own) = key.take() else {
                *key = Some(value);
                return Ok(false);
            };
            // SAFETY: three live objects; the dict takes references of its own.
            if unsafe { ffi::PyDict_SetItem(dict.as_ptr(), own.as_ptr(), value.as_ptr()) } < 0 {
                return Err(PyErr::fetch(value.py()));
            }
            *left -= 1;
            if *left == 0 && limits.strict && dict.len() != *pairs {
                return Err(to_py(&tokens.fail("a key stands twice in a map")));
            }
            Ok(*left == 0)
        }
    }
}

#[inline]
fn scalar_value<'py>(
    py: Python<'py>,
    token: Token<'_>,
    tokens: &Tokens<'_>,
    limits: Limits,
    key: bool,
) -> PyResult<Bound<'py, PyAny>> {
    if key {
        return match token {
            Token::Str(bytes) if limits.strict => keys::key(py, bytes),
            Token::Str(bytes) => utf8(py, bytes, limits),
            token => as_key(scalar_value(py, token, tokens, limits, false)?, tokens, limits),
        };
    }
    Ok(match token {
        Token::Str(bytes) => utf8(py, bytes, limits)?,
        Token::Uint(value) => value.into_pyobject(py)?.into_any(),
        Token::Int(value) => value.into_pyobject(py)?.into_any(),
        Token::Nil => py.None().into_bound(py),
        Token::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Token::F64(value) => PyFloat::new(py, value).into_any(),
        Token::F32(value) => PyFloat::new(py, f64::from(value)).into_any(),
        Token::Bin(bytes) => PyBytes::new(py, bytes).into_any(),
        Token::Array(_) => PyList::empty(py).into_any(),
        Token::Map(_) => PyDict::new(py).into_any(),
        Token::Ext(TIMESTAMP, data) => moment(py, lift(Instant::from_ext(data))?)?,
        Token::Ext(code, data) => Bound::new(py, Ext { code, data: data.to_vec() })?.into_any(),
    })
}

fn utf8<'py>(py: Python<'py>, bytes: &[u8], limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    match text(py, bytes) {
        Err(_) if !limits.strict => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape")),
        result => result,
    }
}

/// Strict maps have str keys; others take what can be hashed, an array as a tuple.
fn as_key<'py>(value: Bound<'py, PyAny>, tokens: &Tokens<'_>, limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    if limits.strict {
        return Err(to_py(&tokens.fail("a map's key is not a str: strict=False accepts it")));
    }
    let value = match value.cast::<PyList>() {
        Ok(list) => PyTuple::new(value.py(), list.iter())?.into_any(),
        Err(_) => value,
    };
    value.hash().map_err(|_| to_py(&tokens.fail("a map's key cannot be hashed")))?;
    Ok(value)
}

/// A datetime where it is exact, else a Timestamp.
fn moment(py: Python<'_>, value: Instant) -> PyResult<Bound<'_, PyAny>> {
    let micros =
        value.seconds.checked_mul(1_000_000).map(|micros| micros.saturating_add(i64::from(value.nanoseconds / 1000)));
    if let (0, Some(micros)) = (value.nanoseconds % 1000, micros)
        && let Ok(exact) = scalar::datetime(py, micros)
    {
        return Ok(exact);
    }
    Ok(Bound::new(py, Timestamp { seconds: value.seconds, nanoseconds: value.nanoseconds })?.into_any())
}

fn whole<'py>(py: Python<'py>, bytes: &[u8], limits: Limits) -> PyResult<Bound<'py, PyAny>> {
    let mut tokens = Tokens::new(bytes);
    let value = decode(py, &mut tokens, limits)?;
    if !tokens.is_empty() {
        return Err(to_py(&tokens.fail(format!("{} bytes behind the value", tokens.remaining()))));
    }
    Ok(value)
}

/// The JSON value in a field's bytes.
pub fn decode_whole<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    whole(py, bytes, Limits { strict: true, depth: MAX_DEPTH })
}

/// Run `body` over the bytes of any buffer: without a copy if nobody can change them.
pub fn with_bytes<'py, T>(buffer: &Bound<'py, PyAny>, body: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    if let Ok(bytes) = buffer.cast::<PyBytes>() {
        return body(bytes.as_bytes());
    }
    let py = buffer.py();
    let view = PyBuffer::<u8>::get(buffer)?;
    if view.readonly() && view.is_c_contiguous() {
        // SAFETY: the view holds so many bytes in one piece, alive and unchanged until it is dropped below.
        let bytes = unsafe { std::slice::from_raw_parts(view.buf_ptr().cast::<u8>(), view.len_bytes()) };
        return body(if bytes.is_empty() { &[] } else { bytes });
    }
    body(&view.to_vec(py)?)
}

fn check_size(length: usize, max_size: Option<usize>) -> PyResult<()> {
    match max_size {
        Some(limit) if length > limit => Err(to_py(&Error::corrupt(format!("{length} bytes: the limit is {limit}")))),
        _ => Ok(()),
    }
}

#[pyfunction]
#[pyo3(signature = (buffer, *, strict=true, max_depth=MAX_DEPTH, max_size=None))]
fn msgpack_decode<'py>(
    buffer: &Bound<'py, PyAny>,
    strict: bool,
    max_depth: usize,
    max_size: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = buffer.py();
    with_bytes(buffer, |bytes| {
        check_size(bytes.len(), max_size)?;
        whole(py, bytes, Limits { strict, depth: max_depth })
    })
}

#[pyfunction]
#[pyo3(signature = (obj, *, max_depth=MAX_DEPTH))]
fn msgpack_encode<'py>(obj: &Bound<'py, PyAny>, max_depth: usize) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(2048);
    msgpack_write::encode(&mut out, obj, msgpack_write::Rules { json: false, depth: max_depth })?;
    Ok(PyBytes::new(obj.py(), &out))
}

/// Append a JSON value as MessagePack.
pub fn encode_json(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    msgpack_write::encode(out, value, msgpack_write::Rules { json: true, depth: MAX_DEPTH })
}

struct Stream {
    held: Vec<u8>,
    splitter: Splitter,
}

/// Concatenated values out of a stream that comes in pieces.
#[pyclass(frozen, module = "tierstore.codec")]
pub struct MsgpackStream {
    state: std::sync::Mutex<Stream>,
    limits: Limits,
    max_size: usize,
}

#[pymethods]
impl MsgpackStream {
    #[new]
    #[pyo3(signature = (*, strict=true, max_depth=MAX_DEPTH, max_size=64 * 1024 * 1024))]
    fn new(strict: bool, max_depth: usize, max_size: usize) -> Self {
        let state = Stream { held: Vec::new(), splitter: Splitter::default() }.into();
        Self { state, limits: Limits { strict, depth: max_depth }, max_size }
    }

    /// Take a piece; the values that are whole now.
    fn feed<'py>(&self, py: Python<'py>, piece: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let values = with_bytes(piece, |bytes| self.split(bytes))?;
        values.iter().map(|value| whole(py, value, self.limits)).collect()
    }

    /// Bytes of a value that is not whole yet.
    #[getter]
    fn pending(&self) -> usize {
        self.lock().held.len()
    }
}

impl MsgpackStream {
    fn lock(&self) -> std::sync::MutexGuard<'_, Stream> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The bytes of each whole value. Only bytes are handled under the lock.
    fn split(&self, bytes: &[u8]) -> PyResult<Vec<Vec<u8>>> {
        let mut stream = self.lock();
        let Stream { held, splitter } = &mut *stream;
        held.extend_from_slice(bytes);
        let (mut start, mut values) = (0, Vec::new());
        while start < held.len() {
            let Some(length) = lift(splitter.advance(&held[start..]))? else { break };
            check_size(length, Some(self.max_size))?;
            values.push(held[start..start + length].to_vec());
            start += length;
        }
        held.drain(..start);
        check_size(held.len(), Some(self.max_size))?;
        Ok(values)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ext>()?;
    module.add_class::<Timestamp>()?;
    module.add_class::<MsgpackStream>()?;
    module.add_function(wrap_pyfunction!(msgpack_encode, module)?)?;
    module.add_function(wrap_pyfunction!(msgpack_decode, module)?)
}
