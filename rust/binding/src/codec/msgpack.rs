//! MessagePack for plain Python values: its functions, the types that Python lacks, and streams.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCFunction, PyMemoryView, PyType};
use tierstore_core::codec::msgpack::{MAX_DEPTH, Splitter};
use tierstore_core::error::{Error, Kind};
use tierstore_core::room::{copy, push, room};

use super::msgpack_read::{Limits, whole};
use super::msgpack_write;
use super::out::Out;
use super::raw::Definition;
use super::read::lift;
use crate::errors::to_py;
use crate::guard::answer;
use crate::room::copied;

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

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (i8, Bound<'py, PyBytes>)) {
        (py.get_type::<Self>(), (self.code, PyBytes::new(py, &self.data)))
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
            return Err(to_py(&Error::invalid(format!("nanoseconds must be at most 999999999, got {nanoseconds}"))));
        }
        Ok(Self { seconds, nanoseconds })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (i64, u32)) {
        (py.get_type::<Self>(), (self.seconds, self.nanoseconds))
    }

    fn __repr__(&self) -> String {
        format!("Timestamp(seconds={}, nanoseconds={})", self.seconds, self.nanoseconds)
    }
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
    let (true, Ok(view)) = (shows_bytes(buffer), PyBuffer::<u8>::get(buffer)) else {
        return body(copied(buffer)?.as_bytes());
    };
    if view.readonly() && view.is_c_contiguous() {
        // SAFETY: the view holds so many bytes in one piece, alive and unchanged until it is dropped below.
        let bytes = unsafe { std::slice::from_raw_parts(view.buf_ptr().cast::<u8>(), view.len_bytes()) };
        return body(if bytes.is_empty() { &[] } else { bytes });
    }
    body(copied(buffer)?.as_bytes())
}

/// Whether `buffer` is a view of a bytes object. A view that is read-only may show what others write to.
fn shows_bytes(buffer: &Bound<'_, PyAny>) -> bool {
    let Ok(view) = buffer.cast::<PyMemoryView>() else { return false };
    view.getattr(intern!(view.py(), "obj")).is_ok_and(|owner| owner.is_instance_of::<PyBytes>())
}

fn check_size(length: usize, max_size: Option<usize>) -> PyResult<()> {
    match max_size {
        Some(limit) if length > limit => Err(to_py(&too_long(length, limit))),
        _ => Ok(()),
    }
}

fn too_long(length: usize, limit: usize) -> Error {
    Error::corrupt(format!("the buffer must have at most {limit} bytes (max_size), got {length}"))
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
    let mut out = Out::in_parts();
    msgpack_write::encode(&mut out, obj, msgpack_write::Rules { json: false, depth: max_depth })?;
    out.finish(obj.py())
}

/// Append a JSON value as MessagePack.
pub fn encode_json(out: &mut Out, value: &Bound<'_, PyAny>) -> PyResult<()> {
    msgpack_write::encode(out, value, msgpack_write::Rules { json: true, depth: MAX_DEPTH })
}

/// The functions above as the interpreter calls them. Without keywords, as nearly always, nothing is to be read of the arguments.
static GENERAL: PyOnceLock<[Py<PyCFunction>; 2]> = PyOnceLock::new();

unsafe extern "C" fn decode_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this as a METH_FASTCALL | METH_KEYWORDS function.
    unsafe { answer(|py| entry(py, args, count, names, 0, |buffer| msgpack_decode(buffer, true, MAX_DEPTH, None))) }
}

unsafe extern "C" fn encode_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for decode_entry.
    unsafe { answer(|py| entry(py, args, count, names, 1, |value| Ok(msgpack_encode(value, MAX_DEPTH)?.into_any()))) }
}

/// # Safety
/// The pointers MUST be those of a METH_FASTCALL | METH_KEYWORDS call.
#[inline(always)]
unsafe fn entry(
    py: Python<'_>,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
    general: usize,
    plain: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<*mut ffi::PyObject> {
    // SAFETY: the caller of the call keeps all arguments alive; a Bound is a pointer to a live object.
    unsafe {
        if count == 1 && names.is_null() {
            return plain(&*args.cast::<Bound<'_, PyAny>>()).map(Bound::into_ptr);
        }
        let functions = GENERAL.get(py).ok_or_else(|| PyTypeError::new_err("the module is not ready"))?;
        let made = ffi::PyObject_Vectorcall(functions[general].as_ptr(), args, count as usize, names);
        Bound::from_owned_ptr_or_err(py, made).map(Bound::into_ptr)
    }
}

static ENTRIES: [Definition; 2] = [
    Definition::new(
        c"msgpack_decode",
        c"msgpack_decode(buffer, *, strict=True, max_depth=512, max_size=None)\n--\n\nThe one value in the buffer.",
        decode_entry,
    ),
    Definition::new(
        c"msgpack_encode",
        c"msgpack_encode(obj, *, max_depth=512)\n--\n\nA plain value in its shortest form.",
        encode_entry,
    ),
];

struct Stream {
    held: Vec<u8>,
    splitter: Splitter,
    /// Where a value ends is not known any more: nothing is taken, and nothing held, from then on.
    fault: Option<Error>,
}

impl Stream {
    fn take_whole(&mut self, values: &mut Vec<Vec<u8>>, max_size: usize) -> Result<(), Error> {
        let mut start = 0;
        let fault = loop {
            if start == self.held.len() {
                break Ok(());
            }
            match self.splitter.advance(&self.held[start..]) {
                Ok(Some(length)) if length > max_size => break Err(too_long(length, max_size)),
                Ok(Some(length)) => {
                    if let Err(fault) = copy(&self.held[start..start + length]).and_then(|value| push(values, value)) {
                        break Err(fault);
                    }
                    start += length;
                }
                Ok(None) if self.held.len() - start > max_size => {
                    break Err(too_long(self.held.len() - start, max_size));
                }
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        self.held.drain(..start);
        fault
    }
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
        let state = Stream { held: Vec::new(), splitter: Splitter::default(), fault: None }.into();
        Self { state, limits: Limits { strict, depth: max_depth }, max_size }
    }

    /// Take a piece; the values that are whole now. A faulty value is refused when it is the first: those before it are answered,
    /// and those behind it wait for the next call. Where its fault leaves unknown where it ends, or it is longer than `max_size`,
    /// that is the end of the stream: each further call refuses, and nothing is held.
    fn feed<'py>(&self, py: Python<'py>, piece: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let values = with_bytes(piece, |bytes| self.split(bytes))?;
        let mut found = lift(room(values.len()))?;
        for (at, value) in values.iter().enumerate() {
            match whole(py, value, self.limits) {
                Ok(value) => found.push(value),
                Err(error) => {
                    let first = found.is_empty();
                    self.put_back(&values[if first { at + 1 } else { at }..]);
                    return if first { Err(error) } else { Ok(found) };
                }
            }
        }
        Ok(found)
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

    /// The bytes of each whole value up to the first fault, which stays for the next call unless it is the first of all.
    fn split(&self, bytes: &[u8]) -> PyResult<Vec<Vec<u8>>> {
        let mut stream = self.lock();
        let mut values = Vec::new();
        if stream.fault.is_none() {
            lift(stream.held.try_reserve(bytes.len()).map_err(|_| Error::memory()))?;
            stream.held.extend_from_slice(bytes);
            if let Err(fault) = stream.take_whole(&mut values, self.max_size)
                && values.is_empty()
            {
                if fault.kind == Kind::Memory {
                    return Err(to_py(&fault)); // nothing is lost: it waits for the next call
                }
                stream.held = Vec::new();
                stream.fault = Some(fault);
            }
        }
        stream.fault.as_ref().map_or(Ok(values), |fault| Err(to_py(fault)))
    }

    fn put_back(&self, values: &[Vec<u8>]) {
        let mut stream = self.lock();
        let length: usize = values.iter().map(Vec::len).sum();
        match room(length + stream.held.len()) {
            Ok(mut held) => {
                values.iter().for_each(|value| held.extend_from_slice(value));
                held.extend_from_slice(&stream.held);
                stream.held = held;
                stream.splitter = Splitter::default();
            }
            Err(fault) => {
                stream.held = Vec::new();
                stream.fault = Some(fault); // values are lost: the stream ends
            }
        }
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ext>()?;
    module.add_class::<Timestamp>()?;
    module.add_class::<MsgpackStream>()?;
    let (py, decode, encode) =
        (module.py(), wrap_pyfunction!(msgpack_decode, module)?, wrap_pyfunction!(msgpack_encode, module)?);
    let _ = GENERAL.set(py, [decode.unbind(), encode.unbind()]);
    ENTRIES.iter().try_for_each(|entry| entry.add(module))
}
