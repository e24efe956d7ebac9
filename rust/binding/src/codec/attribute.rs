//! The look-up of a record's attribute: the interpreter's own, with a cache of fields before it.
//!
//! Most attributes that are read of a record are fields. The interpreter finds a field's descriptor in its cache too, but asks
//! on the way what else the name could mean; here one comparison says that it is a field still. It rests on the class's version
//! tag, which the interpreter gives to no two classes, and takes away when anything in the class or its bases changes.

use std::cell::UnsafeCell;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;

use super::field;
use crate::guard::raise;

const PLACE_BITS: u32 = 10;

/// What a name means in a class of this version. Empty: tag 0, which is no version, and no name.
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    name: *mut ffi::PyObject,
    /// Alive as long as a class has the tag; null: the name is no field. A name that is a field is its layout's own str, which
    /// lives as long as the descriptor; of any other, a new str at the address of a dead one is at worst looked up the long way.
    descriptor: *mut ffi::PyObject,
}

struct Cache(UnsafeCell<[Entry; 1 << PLACE_BITS]>);
// SAFETY: `attribute` is used only where there is a GIL, which its callers hold; nothing runs while an entry is read or written.
unsafe impl Sync for Cache {}
static CACHE: Cache =
    Cache(UnsafeCell::new([Entry { tag: 0, name: ptr::null_mut(), descriptor: ptr::null_mut() }; 1 << PLACE_BITS]));

/// Let `class` look its fields up here, unless it looks up attributes in a way of its own.
///
/// # Safety
/// `class` MUST be a live record class.
pub unsafe fn install(class: *mut ffi::PyTypeObject) {
    let generic: ffi::getattrofunc = ffi::PyObject_GenericGetAttr;
    // SAFETY: promised by the caller.
    unsafe {
        let own = (*class).tp_getattro;
        if !cfg!(Py_GIL_DISABLED) && own.is_some_and(|own| ptr::fn_addr_eq(own, generic)) {
            (*class).tp_getattro = Some(attribute);
        }
    }
}

unsafe extern "C" fn attribute(object: *mut ffi::PyObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this with a live record and a live str; an entry of the class's tag has a live descriptor.
    unsafe {
        raise(|py| {
            let class = ffi::Py_TYPE(object);
            let tag = (*class).tp_version_tag;
            let place = CACHE.0.get().cast::<Entry>().add(place_of(tag, name));
            let entry = *place;
            if entry.tag == tag && entry.name == name {
                if !entry.descriptor.is_null() {
                    // The class may lose it while a default is made.
                    ffi::Py_INCREF(entry.descriptor);
                    let value = field::get(entry.descriptor, object, class.cast());
                    ffi::Py_DECREF(entry.descriptor);
                    return value;
                }
            } else if tag != 0 {
                *place = Entry { tag, name, descriptor: descriptor_of(py, class, name) };
            }
            ffi::PyObject_GenericGetAttr(object, name) // which also gives the class a tag, if it has none
        })
    }
}

#[inline]
fn place_of(tag: u32, name: *mut ffi::PyObject) -> usize {
    let mixed = (name as u64 ^ u64::from(tag) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - PLACE_BITS)) as usize
}

/// The descriptor of the field that `name` means in the class, or null: the first class in its order that has the name decides.
/// Runs no Python code.
///
/// # Safety
/// `class` MUST be a live record class and `name` a live str.
#[cold]
unsafe fn descriptor_of(py: Python<'_>, class: *mut ffi::PyTypeObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller; a class has an order, a tuple of classes. Only a static class of the interpreter may have no
    // dict here: object, which has no fields.
    unsafe {
        let order = (*class).tp_mro;
        for at in 0..ffi::PyTuple_GET_SIZE(order) {
            let dict = (*ffi::PyTuple_GET_ITEM(order, at).cast::<ffi::PyTypeObject>()).tp_dict;
            if dict.is_null() {
                break;
            }
            let found = ffi::PyDict_GetItemWithError(dict, name);
            if let Some(found) = Bound::from_borrowed_ptr_or_opt(py, found) {
                return if field::is_own(&found, class, name) { found.as_ptr() } else { ptr::null_mut() };
            }
            ffi::PyErr_Clear(); // of a str that could not be hashed, there is none
        }
        ptr::null_mut()
    }
}
