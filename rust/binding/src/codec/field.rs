//! The descriptor of one field: builds the value when it is first read, and keeps it.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use tierstore_core::codec::read::Reader;

use super::layout::Layout;
use super::lazy;
use super::object::Record;
use super::read::{lift, read};
use crate::errors::to_py;
use crate::guard::{answer, raise, report};

#[repr(C)]
struct Descriptor {
    ob_base: ffi::PyObject,
    layout: Py<Layout>,
    at: usize,
}

static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `tp_descr_get`.
///
/// # Safety
/// `descriptor` MUST be a live field descriptor, `object` a live object or null. The thread MUST be attached.
pub unsafe extern "C" fn get(
    descriptor: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    _class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    unsafe {
        answer(|py| {
            if object.is_null() {
                return Ok(ffi::Py_NewRef(descriptor));
            }
            let own = &*descriptor.cast::<Descriptor>();
            let layout = own.layout.bind(py).get();
            let object = std::mem::ManuallyDrop::new(Bound::from_owned_ptr(py, object));
            let Some(record) = Record::of(&object, layout) else { return Err(foreign(py, layout)) };
            match record.value(own.at) {
                Some(value) => Ok(ffi::Py_NewRef(value.as_ptr())),
                None => field(py, record, layout, own.at).map(Bound::into_ptr),
            }
        })
    }
}

unsafe extern "C" fn set(
    descriptor: *mut ffi::PyObject,
    _object: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: the interpreter calls this with a live descriptor.
    unsafe {
        raise(|_| {
            answer(|py| {
                let own = &*descriptor.cast::<Descriptor>();
                let name = own.layout.bind(py).get().fields[own.at].name.bind(py);
                Err(PyAttributeError::new_err(format!("a record is immutable; use replace({name}=…)")))
            });
            -1
        })
    }
}

unsafe extern "C" fn dealloc(descriptor: *mut ffi::PyObject) {
    // SAFETY: called once, when the last reference is gone; the layout is dropped in place before its memory goes.
    unsafe {
        report(|| {
            let class = ffi::Py_TYPE(descriptor);
            ffi::Py_DECREF((*descriptor.cast::<Descriptor>()).layout.as_ptr());
            let free = (*class).tp_free;
            if let Some(free) = free {
                free(descriptor.cast());
            }
            ffi::Py_DECREF(class.cast());
        });
    }
}

#[cold]
fn foreign(py: Python<'_>, layout: &Layout) -> PyErr {
    let name = layout
        .class(py)
        .and_then(|class| class.name())
        .map_or_else(|_| "another class".into(), |name| name.to_string());
    PyTypeError::new_err(format!("this field belongs to {name}"))
}

/// The value of field `at`: built now if it was not yet. AttributeError for a field that a collected record lost.
pub fn field<'py>(py: Python<'py>, record: &Record, layout: &Layout, at: usize) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = record.value(at) {
        // SAFETY: a kept value lives as long as the record, which the caller borrows.
        return Ok(unsafe { Bound::from_borrowed_ptr(py, value.as_ptr()) });
    }
    let field = &layout.fields[at];
    let Some((bytes, owner)) = record.bytes().zip(record.borrowed_buffer(py)) else {
        return Err(PyAttributeError::new_err(format!("{} has no value", field.name.bind(py))));
    };
    let value = if field.revision > record.revision {
        field.make_default(py)?.ok_or_else(|| no_default(py, record, layout, at))?
    } else {
        let (from, mut reader) = reader(record, bytes, at);
        walk(record, layout, from, at, &mut reader)?;
        record.vouch(reader.position() + 1, bytes)?;
        match lazy::field(py, &field.shape, &mut reader, &owner, record.sound())? {
            Some(value) => {
                record.vouch(reader.position(), bytes)?;
                value
            }
            None => {
                let value = read(py, &field.shape, &mut reader, &owner)?;
                record.vouch(reader.position(), bytes)?;
                record.set_walked(at + 1, reader.position());
                value
            }
        }
    };
    record.keep(value, at, layout.fields.len())
}

/// A reader over the record's fields, not yet before any of them: see `walk`.
#[inline]
pub fn reader<'a>(record: &Record, bytes: &'a [u8], at: usize) -> (usize, Reader<'a>) {
    let data = bytes.get(..record.end as usize).unwrap_or(bytes);
    match record.walked() {
        (from, offset) if from <= at => (from, Reader::new(data, offset)),
        _ => (0, Reader::new(data, record.start as usize)),
    }
}

/// Step over the fields `from` to `at`.
#[inline]
pub fn walk(record: &Record, layout: &Layout, from: usize, at: usize, reader: &mut Reader<'_>) -> PyResult<()> {
    for field in layout.fields.get(from..at).unwrap_or_default() {
        if field.revision <= record.revision {
            lift(field.shape.skip(reader))?;
        }
    }
    Ok(())
}

#[cold]
fn no_default(py: Python<'_>, record: &Record, layout: &Layout, at: usize) -> PyErr {
    let field = &layout.fields[at];
    let message = format!(
        "the record has revision {}, which has no field {}, and the field has no default",
        record.revision,
        field.name.bind(py)
    );
    to_py(&tierstore_core::error::Error::corrupt(message))
}

/// Whether `object` is the descriptor of the field of `class` whose name is this very str.
pub fn is_own(object: &Bound<'_, PyAny>, class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> bool {
    let py = object.py();
    let ours = CLASS.get(py).is_some_and(|class| object.get_type().is(class));
    // SAFETY: an object of exactly this class has a Descriptor's memory.
    ours && unsafe {
        let own = &*object.as_ptr().cast::<Descriptor>();
        let layout = own.layout.bind(py).get();
        layout.is_class(class) && layout.fields[own.at].name.as_ptr() == name
    }
}

/// The descriptor of `layout`'s field at wire position `at`.
#[pyfunction]
fn field_descriptor<'py>(layout: &Bound<'py, Layout>, at: usize) -> PyResult<Bound<'py, PyAny>> {
    let py = layout.py();
    if at >= layout.get().fields.len() {
        return Err(PyTypeError::new_err("the layout has no field at this position"));
    }
    let class = CLASS.get(py).ok_or_else(|| PyTypeError::new_err("the module is not ready"))?;
    // SAFETY: the class was made for a Descriptor's memory; both fields are written before the object is seen.
    unsafe {
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class.as_ptr().cast(), 0))?;
        let own = object.as_ptr().cast::<Descriptor>();
        (&raw mut (*own).layout).write(layout.clone().unbind());
        (&raw mut (*own).at).write(at);
        Ok(object)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot { slot, pfunc: function };
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_descr_get, get as *mut c_void),
        slot(ffi::Py_tp_descr_set, set as *mut c_void),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"tierstore._native.FieldDescriptor".as_ptr(),
        basicsize: size_of::<Descriptor>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec lives through the call, which copies what it keeps.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))?.cast_into_unchecked() };
    let _ = CLASS.set(py, class.unbind());
    module.add_function(wrap_pyfunction!(field_descriptor, module)?)
}
