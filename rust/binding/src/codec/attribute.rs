//! The look-up of a record's attribute: the interpreter's own, with a cache of fields before it.
//!
//! Most attributes that are read of a record are fields. The interpreter finds a field's descriptor in its cache too, but asks
//! on the way what else the name could mean; here one comparison says that it is a field still. It rests on the class's version
//! tag, which the interpreter gives to no two classes, and takes away when anything in the class or its bases changes.

use std::cell::UnsafeCell;
use std::ptr;

use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::field;

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
        let class = ffi::Py_TYPE(object);
        let tag = (*class).tp_version_tag;
        let place = CACHE.0.get().cast::<Entry>().add(place_of(tag, name));
        let entry = *place;
        if entry.tag == tag && entry.name == name {
            if !entry.descriptor.is_null() {
                return field::get(entry.descriptor, object, class.cast());
            }
        } else if tag != 0 {
            match look_up(class, tag, name) {
                Ok(found) => *place = found,
                Err(error) => {
                    error.restore(Python::assume_attached());
                    return ptr::null_mut();
                }
            }
        }
        ffi::PyObject_GenericGetAttr(object, name) // which also gives the class a tag, if it has none
    }
}

#[inline]
fn place_of(tag: u32, name: *mut ffi::PyObject) -> usize {
    let mixed = (name as u64 ^ u64::from(tag) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - PLACE_BITS)) as usize
}

/// # Safety
/// `class` MUST be a live class and `name` a live str; `tag` the class's. The thread MUST be attached.
#[cold]
unsafe fn look_up(class: *mut ffi::PyTypeObject, tag: u32, name: *mut ffi::PyObject) -> PyResult<Entry> {
    // SAFETY: promised by the caller. What the class answers is ours to drop; a descriptor stays alive in the class.
    unsafe {
        let py = Python::assume_attached();
        let descriptor = match Bound::from_owned_ptr_or_err(py, ffi::PyObject_GetAttr(class.cast(), name)) {
            // The class may have run code of its own, which may have changed it.
            Ok(found) if (*class).tp_version_tag == tag && field::is_own(&found, class, name) => found.as_ptr(),
            Err(error) if !error.is_instance_of::<PyAttributeError>(py) => return Err(error),
            _ => ptr::null_mut(),
        };
        Ok(Entry { tag, name, descriptor })
    }
}
