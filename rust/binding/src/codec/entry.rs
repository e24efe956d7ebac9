//! Encode and decode, and what records ask of them.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tierstore_core::codec::envelope::{self, ENVELOPE_BYTES, Envelope};
use tierstore_core::codec::sink::Sink;
use tierstore_core::codec::sum::content_hash;
use tierstore_core::error::Error;

use super::field::{reader, walk};
use super::layout::{Layout, NO_KIND};
use super::object::{Record, Source};
use super::out::Out;
use super::raw::Definition;
use super::read::lift;
use super::scalar::{datetime, wrong_type};
use super::write::{body, fields, oldest_reader, start};
use crate::errors::to_py;
use crate::guard::answer;
use crate::room::copied;

/// The layout that declared each kind last. An entry is never freed: decoding reads it without a lock.
static KINDS: [AtomicPtr<ffi::PyObject>; NO_KIND as usize + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; NO_KIND as usize + 1];
/// From this length on a check lets other threads run: below, giving up and taking back the interpreter costs more than it frees.
const DETACH_BYTES: usize = 4 * 1024 * 1024;

/// Buffers of this layout's kind are decoded as its class from now on.
#[pyfunction]
fn bind_kind(layout: &Bound<'_, Layout>) {
    let kind = layout.get().kind;
    if kind != NO_KIND {
        KINDS[usize::from(kind)].store(layout.clone().into_ptr(), Ordering::Release);
    }
}

/// What a call may say: positional arguments and `key`.
struct Call<'a, 'py, const N: usize> {
    given: [&'a Bound<'py, PyAny>; N],
    key: u64,
}

/// # Safety
/// The pointers MUST be those of a METH_FASTCALL | METH_KEYWORDS call.
#[inline]
unsafe fn parse<'a, 'py, const N: usize>(
    py: Python<'py>,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<Call<'a, 'py, N>> {
    // SAFETY: a Bound is a pointer to a live object, and the caller of the call keeps all arguments alive; names is null or
    // a tuple of so many str, whose values follow the positional ones.
    unsafe {
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) as usize };
        if count as usize != N || named > 1 {
            return Err(wrong_type(format!("expected {N} positional arguments and the keyword key")));
        }
        let all = std::slice::from_raw_parts(args.cast::<Bound<'py, PyAny>>(), count as usize + named);
        let mut key = None;
        if named == 1 {
            let name = ffi::PyTuple_GetItem(names, 0);
            if name != intern!(py, "key").as_ptr() && Bound::from_borrowed_ptr(py, name).ne("key")? {
                return Err(wrong_type("unknown keyword; expected key"));
            }
            key = all.get(N);
        }
        let key = match key {
            None => envelope::key_of(b""),
            Some(key) => match key.cast::<PyBytes>() {
                Ok(key) => envelope::key_of(key.as_bytes()),
                Err(_) => return Err(wrong_type("key must be bytes")),
            },
        };
        Ok(Call { given: std::array::from_fn(|at| &all[at]), key })
    }
}

unsafe extern "C" fn encode_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this as a METH_FASTCALL | METH_KEYWORDS function.
    unsafe {
        answer(|py| {
            let call = parse::<1>(py, args, count, names)?;
            encode(call.given[0], call.key).map(Bound::into_ptr)
        })
    }
}

unsafe extern "C" fn decode_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for encode_entry.
    unsafe {
        answer(|py| {
            let call = parse::<1>(py, args, count, names)?;
            let buffer = owned(call.given[0])?;
            let head = lift(envelope::open(buffer.as_bytes(), call.key))?;
            let layout = KINDS[usize::from(head.kind)].load(Ordering::Acquire);
            if layout.is_null() || head.kind == NO_KIND {
                return Err(to_py(&Error::corrupt(format!("no record class of kind {} is imported", head.kind))));
            }
            let layout = std::mem::ManuallyDrop::new(Bound::from_owned_ptr(py, layout).cast_into_unchecked::<Layout>());
            receive(py, layout.get(), &buffer, &head, call.key, false).map(Bound::into_ptr)
        })
    }
}

unsafe extern "C" fn decode_current_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for encode_entry.
    unsafe { answer(|py| decode_class(py, parse::<2>(py, args, count, names)?, true).map(Bound::into_ptr)) }
}

unsafe extern "C" fn decode_as_entry(
    _: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for encode_entry.
    unsafe { answer(|py| decode_class(py, parse::<2>(py, args, count, names)?, false).map(Bound::into_ptr)) }
}

fn decode_class<'py>(py: Python<'py>, call: Call<'_, 'py, 2>, current: bool) -> PyResult<Bound<'py, PyAny>> {
    let [buffer, class] = call.given;
    let layout = class.getattr(intern!(py, "__layout__"))?;
    let layout = layout.cast::<Layout>().map_err(|_| wrong_type("expected a record class"))?.get();
    let buffer = owned(buffer)?;
    let head = open_as(py, layout, buffer.as_bytes(), call.key, current)?;
    receive(py, layout, &buffer, &head, call.key, current)
}

/// The envelope of a record of this layout's kind; with `current` every byte is checked.
fn open_as(py: Python<'_>, layout: &Layout, bytes: &[u8], key: u64, current: bool) -> PyResult<Envelope> {
    let mut head = lift(envelope::open(bytes, key))?;
    if head.kind != layout.kind {
        return Err(to_py(&Error::corrupt(format!(
            "expected a record of kind {}, got kind {}",
            layout.kind, head.kind
        ))));
    }
    if current && !head.checked {
        check_rest(py, bytes)?;
        head.checked = true;
    }
    Ok(head)
}

/// What `decode_current` accepts; None for all that it refuses.
pub fn receive_checked(py: Python<'_>, layout: &Layout, bytes: &[u8], key: u64) -> Option<Source> {
    let head = open_as(py, layout, bytes, key, true).ok()?;
    source_of(layout, &head, key, true).ok()
}

fn check_rest(py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
    let check = || envelope::verify(bytes, 0, usize::MAX);
    lift(if bytes.len() < DETACH_BYTES { check() } else { py.detach(check) }).map(|_| ())
}

/// The bytes object itself, or a copy of another buffer: what may change is no ground to stand on.
#[inline]
fn owned<'py>(buffer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    match buffer.cast_exact::<PyBytes>() {
        Ok(bytes) => Ok(bytes.clone()),
        Err(_) => copied(buffer),
    }
}

#[inline]
fn receive<'py>(
    py: Python<'py>,
    layout: &Layout,
    buffer: &Bound<'py, PyBytes>,
    head: &Envelope,
    key: u64,
    current: bool,
) -> PyResult<Bound<'py, PyAny>> {
    Record::allocate(layout.class(py)?, Some(buffer), &source_of(layout, head, key, current)?)
}

#[inline]
fn source_of(layout: &Layout, head: &Envelope, key: u64, current: bool) -> PyResult<Source> {
    if head.oldest_reader > layout.revision || (current && head.revision < layout.revision) {
        return Err(unreadable(head, layout));
    }
    let start = ENVELOPE_BYTES as u32;
    let end = start + head.body_bytes;
    Ok(Source { key, start, end, revision: head.revision, checked: head.checked, whole: true })
}

#[cold]
fn unreadable(head: &Envelope, layout: &Layout) -> PyErr {
    let message = format!(
        "the record has revision {} and needs a reader of revision {} or newer; this class has revision {}; read it with newer code",
        head.revision, head.oldest_reader, layout.revision
    );
    to_py(&Error::corrupt(message))
}

fn layout_of<'py>(record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Layout>> {
    let layout = record.get_type().getattr(intern!(record.py(), "__layout__"))?;
    Ok(layout.cast_into::<Layout>()?)
}

/// The buffer itself if the record came in it under this key; else a copy for the new key, or the fields by their values.
fn encode<'py>(object: &Bound<'py, PyAny>, key: u64) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let record = Record::of_any(object)?;
    if record.whole
        && let Some(buffer) = record.buffer(py)
    {
        if record.key == key {
            return Ok(buffer.into_any());
        }
        let own = buffer.as_bytes();
        let copy = PyBytes::new_with(py, own.len(), |copy| {
            copy.copy_from_slice(own);
            envelope::rekey(copy, record.key, key);
            Ok(())
        });
        return copy.map(Bound::into_any);
    }
    let layout = layout_of(object)?;
    let layout = layout.get();
    let mut out = start()?;
    let head = body(&mut out, py, layout, record, 0)?;
    lift(envelope::seal(&mut out, layout.kind, record.revision, oldest_reader(record, layout), head, key))?;
    out.finish(py).map(Bound::into_any)
}

/// The buffer that the record came in, else what `encode` makes for the empty key.
#[pyfunction]
fn record_bytes<'py>(record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let own = Record::of_any(record)?;
    match own.buffer(record.py()) {
        Some(buffer) if own.whole => Ok(buffer.into_any()),
        _ => encode(record, envelope::key_of(b"")),
    }
}

/// The record's bytes for the empty key.
#[pyfunction]
fn portable_bytes<'py>(record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    encode(record, envelope::key_of(b""))
}

/// The fields as this class writes them, so that equal records have equal bytes whoever wrote them; a newer writer's as they are.
fn canonical(record: &Bound<'_, PyAny>) -> PyResult<Out> {
    let (layout, own) = (layout_of(record)?, Record::of_any(record)?);
    let layout = layout.get();
    let mut out = Out::whole();
    out.anew = true;
    body(&mut out, record.py(), layout, own, 0)?;
    Ok(out)
}

/// A digest of the record's fields.
#[pyfunction]
fn record_hash(record: &Bound<'_, PyAny>) -> PyResult<isize> {
    Ok(content_hash(canonical(record)?.as_slice()?) as isize)
}

/// Whether two records are of one class and their fields are the same bytes.
#[pyfunction]
fn record_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    if one.is(other) {
        return Ok(true);
    }
    Ok(one.get_type().is(other.get_type()) && canonical(one)?.as_slice()? == canonical(other)?.as_slice()?)
}

/// `changed` has this class's fields; what a newer writer of `original` had behind them is kept, with its revision.
#[pyfunction]
fn graft<'py>(changed: &Bound<'py, PyAny>, original: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = changed.py();
    let layout = layout_of(changed)?;
    let (layout, own) = (layout.get(), Record::of_any(original)?);
    let (true, Some(bytes)) = (own.revision > layout.revision, own.bytes()) else { return Ok(changed.clone()) };
    own.vouch(own.end as usize, bytes)?;
    let known = layout.fields.len();
    let (from, mut reader) = reader(own, bytes, known);
    walk(own, layout, from, known, &mut reader)?;
    let mut out = start()?;
    let head = fields(&mut out, py, layout, Record::of_any(changed)?, 0)?;
    out.put_slice(&bytes[reader.position()..own.end as usize]);
    let (key, oldest) = (envelope::key_of(b""), oldest_reader(own, layout));
    lift(envelope::seal(&mut out, layout.kind, own.revision, oldest, head, key))?;
    let buffer = out.finish(py)?;
    let head = lift(envelope::open(buffer.as_bytes(), key))?;
    receive(py, layout, &buffer, &head, key, false)
}

/// Whether the buffer holds a record of the class's kind, under this key, that says of itself that the class is too old to read it.
#[pyfunction]
#[pyo3(signature = (buffer, class, /, *, key))]
fn is_for_newer(buffer: &[u8], class: &Bound<'_, PyAny>, key: &[u8]) -> PyResult<bool> {
    let layout = class.getattr(intern!(class.py(), "__layout__"))?;
    let layout = layout.cast::<Layout>().map_err(|_| wrong_type("expected a record class"))?.get();
    let head = envelope::open(buffer, envelope::key_of(key));
    Ok(head.is_ok_and(|head| head.kind == layout.kind && head.oldest_reader > layout.revision))
}

/// The revision that wrote the record: its class's own unless it was received.
#[pyfunction]
fn record_revision(record: &Bound<'_, PyAny>) -> PyResult<u16> {
    Ok(Record::of_any(record)?.revision)
}

/// An aware datetime in UTC from microseconds since 1970.
#[pyfunction]
#[pyo3(signature = (microseconds, /))]
fn time_of(py: Python<'_>, microseconds: i64) -> PyResult<Bound<'_, PyAny>> {
    datetime(py, microseconds)
}

static ENTRIES: [Definition; 4] = [
    Definition::new(c"encode", c"encode(record, *, key=b\"\")\n--\n\nThe record's bytes: 32 of envelope, then its fields.", encode_entry),
    Definition::new(c"decode", c"decode(buffer, *, key=b\"\")\n--\n\nThe record in the buffer, of the class that declared its kind.", decode_entry),
    Definition::new(c"decode_current", c"decode_current(buffer, cls, *, key=b\"\")\n--\n\nA record of cls, not older than it, checked to its last byte.", decode_current_entry),
    Definition::new(c"decode_as", c"decode_as(buffer, cls, *, key=b\"\")\n--\n\nA record of cls, whatever class declared its kind last.", decode_as_entry),
];

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for entry in &ENTRIES {
        entry.add(module)?;
    }
    module.add_function(wrap_pyfunction!(bind_kind, module)?)?;
    module.add_function(wrap_pyfunction!(record_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(time_of, module)?)?;
    module.add_function(wrap_pyfunction!(portable_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(record_hash, module)?)?;
    module.add_function(wrap_pyfunction!(record_equal, module)?)?;
    module.add_function(wrap_pyfunction!(record_revision, module)?)?;
    module.add_function(wrap_pyfunction!(is_for_newer, module)?)?;
    module.add_function(wrap_pyfunction!(graft, module)?)
}
