//! The short way in for the calls that a service makes most: `get(key)`, `cache[key]`, `put(key, value)`, `cache[key] = value`.
//!
//! What is usual is done here on bare pointers: no guard of the thread state, no argument parser, and the plain calling
//! convention that CPython 3.11 and later specialise. What is not (a key that Python must compare, an entry past its time,
//! keywords, a listener) is handed unchanged to the method behind, which PyO3 made.
//!
//! A `Py` is never dropped here: without PyO3's guard it would only be queued. Old values are released by `Py_DECREF`,
//! after the borrow.

use super::class::{Cache, Object};
use super::clock::now_ms;
use super::key::{hash_pointer, quick};
use crate::guard::raise;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::OnceLock;
use tierstore_core::cache::{Found, Match, Shard};

pub type Pointer = *mut ffi::PyObject;

/// What PyO3 made, to which the unusual is handed.
struct Behind {
    get: Py<PyAny>,
    put: Py<PyAny>,
    subscript: ffi::binaryfunc,
    assign: ffi::objobjargproc,
}

static BEHIND: OnceLock<Behind> = OnceLock::new();

/// SAFETY is that of the callers: `key` is live, and so is a candidate, which the shard holds.
#[inline(always)]
fn compare(key: Pointer, candidate: &Object) -> Match {
    // SAFETY: both are live, as said.
    unsafe { quick(candidate.as_ptr(), key) }
}

enum Quick {
    /// A new reference.
    Hit(Pointer),
    Miss,
    /// An exception is set.
    Failed,
    Unusual,
}

/// SAFETY: attached; `object` is a `Cache` (its type's slots and descriptors check that); `key` is live.
#[inline(always)]
unsafe fn find(object: Pointer, key: Pointer) -> Quick {
    // SAFETY: as the caller promises.
    let (py, cache) = unsafe { open(&object) };
    // SAFETY: attached, and `key` is live.
    let Some(hash) = (unsafe { hash_pointer(key) }) else { return Quick::Failed };
    let shared = cache.shards.share(py, hash, |shard| match shard.find(hash, |candidate| compare(key, candidate)) {
        // SAFETY: as below.
        Found::Hit(slot) => shard.touch_shared(slot, now_ms).map(|value| unsafe { ffi::Py_NewRef(value.as_ptr()) }),
        _ => None,
    });
    if let Some(value) = shared {
        return Quick::Hit(value);
    }
    // SAFETY: the key is live, and the closure of `look` runs no Python code.
    cache.shards.look(py, hash, |shard| unsafe { look(shard, hash, key) })
}

/// SAFETY: `key` is live, and the caller has the shard to itself.
#[inline(always)]
unsafe fn look(shard: &mut Shard<Object, Object>, hash: u32, key: Pointer) -> Quick {
    match shard.find(hash, |candidate| compare(key, candidate)) {
        Found::Hit(slot) => match shard.touch_live(slot, now_ms) {
            // SAFETY: the shard holds a reference, so the object is live.
            Some(value) => Quick::Hit(unsafe { ffi::Py_NewRef(value.as_ptr()) }),
            None => Quick::Unusual,
        },
        Found::Miss(_) => {
            shard.counters.misses += 1;
            Quick::Miss
        }
        Found::Ask(_) => Quick::Unusual,
    }
}

/// `find`, not copied into its callers, so that the compiler copies all of it into `get`.
///
/// SAFETY: as `find`.
#[inline(never)]
unsafe fn find_apart(object: Pointer, key: Pointer) -> Quick {
    // SAFETY: as the caller promises.
    unsafe { find(object, key) }
}

/// SAFETY: attached; `object` is a `Cache` and live while the answer is used.
#[inline(always)]
unsafe fn open<'a>(object: &'a Pointer) -> (Python<'a>, &'a Cache) {
    // SAFETY: attached, as the caller promises.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a live `Cache`, as the caller promises; the class is frozen, so a shared reference is all there ever is.
    let cache = unsafe { Bound::ref_from_ptr(py, object).cast_unchecked::<Cache>().get() };
    (py, cache)
}

/// Store if nothing is unusual: 0 done, -1 an exception is set, None unusual.
///
/// SAFETY: as `find`; `value` is live too.
#[inline(always)]
unsafe fn store(object: Pointer, key: Pointer, value: Pointer) -> Option<i32> {
    // SAFETY: as the caller promises.
    let (py, cache) = unsafe { open(&object) };
    if !cache.plain {
        return None;
    }
    // SAFETY: attached, and `key` is live.
    let Some(hash) = (unsafe { hash_pointer(key) }) else { return Some(-1) };
    // SAFETY: both are live; from here on each of the two references is given to the shard or released below.
    let (own_key, own_value) = unsafe { (take(py, key), take(py, value)) };
    let stored = cache.shards.with(py, hash, |shard| match shard.find(hash, |candidate| compare(key, candidate)) {
        Found::Hit(slot) => match shard.swap(slot, own_value) {
            Ok(old) => Stored::Instead(own_key, old),
            Err(value) => Stored::Not(own_key, value),
        },
        Found::Miss(gap) => match shard.insert_plain(gap, hash, (own_key, own_value)) {
            Ok(gone) => {
                shard.refuse_fills(hash);
                gone.map_or(Stored::New, |(key, value)| Stored::Instead(key, value))
            }
            Err((key, value)) => Stored::Not(key, value),
        },
        Found::Ask(_) => Stored::Not(own_key, own_value),
    });
    let (done, key, value) = match stored {
        Stored::New => return Some(0),
        Stored::Instead(key, value) => (Some(0), key, value),
        Stored::Not(key, value) => (None, key, value),
    };
    drop((key.into_bound(py), value.into_bound(py)));
    done
}

/// What became of a pair, and the two references that are to be released.
enum Stored {
    New,
    Instead(Object, Object),
    Not(Object, Object),
}

/// SAFETY: attached, and `object` is live.
#[inline(always)]
unsafe fn take(py: Python<'_>, object: Pointer) -> Object {
    // SAFETY: as the caller promises.
    unsafe { Bound::from_borrowed_ptr(py, object) }.unbind()
}

/// Call `behind` as a method of `object` with the same arguments.
///
/// SAFETY: attached; `arguments` are `count` positional ones and then those that `names` (may be null) names.
#[cold]
unsafe fn hand_on(
    behind: &Py<PyAny>,
    object: Pointer,
    arguments: *const Pointer,
    count: isize,
    names: Pointer,
) -> Pointer {
    // SAFETY: as the caller promises; the copy lives until the call returns.
    unsafe {
        let named = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) };
        let given = std::slice::from_raw_parts(arguments, (count + named) as usize);
        let all: Vec<Pointer> = std::iter::once(object).chain(given.iter().copied()).collect();
        ffi::PyObject_Vectorcall(behind.as_ptr(), all.as_ptr(), (count + 1) as usize, names)
    }
}

fn behind() -> &'static Behind {
    BEHIND.get().expect("installed before the class can be reached")
}

/// SAFETY: called by CPython, with the METH_FASTCALL convention.
unsafe extern "C" fn get(object: Pointer, arguments: *mut Pointer, count: isize) -> Pointer {
    // SAFETY: CPython passes a `Cache` and `count` live arguments, attached.
    unsafe {
        raise(|_| {
            if count == 1 || count == 2 {
                let found = find(object, *arguments);
                if let Quick::Hit(value) = found {
                    return value;
                }
                match found {
                    Quick::Miss if count == 2 => return ffi::Py_NewRef(*arguments.add(1)),
                    Quick::Miss => return ffi::Py_NewRef(ffi::Py_None()),
                    Quick::Failed => return null_mut(),
                    Quick::Hit(_) | Quick::Unusual => {}
                }
            }
            hand_on(&behind().get, object, arguments, count, null_mut())
        })
    }
}

/// SAFETY: called by CPython, with the METH_FASTCALL | METH_KEYWORDS convention.
unsafe extern "C" fn put(object: Pointer, arguments: *const Pointer, count: isize, names: Pointer) -> Pointer {
    // SAFETY: CPython passes a `Cache` and live arguments, attached.
    unsafe {
        raise(|_| {
            if count == 2 && names.is_null() {
                match store(object, *arguments, *arguments.add(1)) {
                    Some(0) => return ffi::Py_NewRef(ffi::Py_None()),
                    Some(_) => return null_mut(),
                    None => {}
                }
            }
            hand_on(&behind().put, object, arguments, count, names)
        })
    }
}

/// SAFETY: called by CPython, with the METH_O convention.
unsafe extern "C" fn get_many(object: Pointer, keys: Pointer) -> Pointer {
    // SAFETY: CPython passes a `Cache` and one live argument, attached.
    unsafe {
        raise(|_| {
            // Without a GIL another thread may shrink a list between a look at its length and one at its item.
            let sequence = if cfg!(Py_GIL_DISABLED) {
                ffi::PySequence_Tuple(keys)
            } else {
                ffi::PySequence_Fast(keys, c"get_many takes an iterable of keys".as_ptr())
            };
            if sequence.is_null() {
                return null_mut();
            }
            let found = find_all(object, sequence);
            ffi::Py_DECREF(sequence);
            found
        })
    }
}

/// The values of a list or tuple of keys. The list may change meanwhile, in the keys' own code: the answer is as long as it
/// was at first, and a key that is gone is a miss.
///
/// SAFETY: as `find`; `keys` is a live list or tuple.
unsafe fn find_all(object: Pointer, keys: Pointer) -> Pointer {
    // SAFETY: as the caller promises; an item is held while its code may run, and each index is checked before its use.
    unsafe {
        let count = ffi::PySequence_Fast_GET_SIZE(keys);
        let values = ffi::PyList_New(count);
        if values.is_null() {
            return values;
        }
        ffi::PyObject_GC_UnTrack(values.cast()); // whoever walks the collector's lists meanwhile does not see its empty places
        for index in 0..count {
            let value = if index < ffi::PySequence_Fast_GET_SIZE(keys) {
                let key = ffi::Py_NewRef(ffi::PySequence_Fast_GET_ITEM(keys, index));
                let value = find_or_none(object, key);
                ffi::Py_DECREF(key);
                value
            } else {
                ffi::Py_NewRef(ffi::Py_None())
            };
            if value.is_null() {
                ffi::Py_DECREF(values);
                return null_mut();
            }
            ffi::PyList_SET_ITEM(values, index, value);
        }
        ffi::PyObject_GC_Track(values.cast());
        values
    }
}

/// `cache.get(key)`: a new reference, or null with an exception set.
///
/// SAFETY: as `find`.
#[inline(always)]
pub unsafe fn find_or_none(object: Pointer, mut key: Pointer) -> Pointer {
    // SAFETY: as the caller promises.
    unsafe {
        match find_apart(object, key) {
            Quick::Hit(value) => value,
            Quick::Miss => ffi::Py_NewRef(ffi::Py_None()),
            Quick::Failed => null_mut(),
            Quick::Unusual => hand_on(&behind().get, object, &raw mut key, 1, null_mut()),
        }
    }
}

/// SAFETY: called by CPython as `mp_subscript`.
unsafe extern "C" fn subscript(object: Pointer, key: Pointer) -> Pointer {
    // SAFETY: CPython passes a `Cache` and a live key, attached.
    unsafe {
        raise(|_| match find_apart(object, key) {
            Quick::Hit(value) => value,
            Quick::Failed => null_mut(),
            Quick::Miss => {
                let tuple = ffi::PyTuple_Pack(1, key);
                if !tuple.is_null() {
                    ffi::PyErr_SetObject(ffi::PyExc_KeyError, tuple);
                    ffi::Py_DECREF(tuple);
                }
                null_mut()
            }
            Quick::Unusual => (behind().subscript)(object, key),
        })
    }
}

/// SAFETY: called by CPython as `mp_ass_subscript`; a null value deletes.
unsafe extern "C" fn assign(object: Pointer, key: Pointer, value: Pointer) -> i32 {
    // SAFETY: CPython passes a `Cache`, a live key and a live or null value, attached.
    unsafe {
        raise(|_| {
            if !value.is_null()
                && let Some(done) = store(object, key, value)
            {
                return done;
            }
            (behind().assign)(object, key, value)
        })
    }
}

const GET_DOC: &CStr = c"get($self, key, default=None, /)\n--\n\nThe value, or `default`. A hit is a use.";
const GET_MANY_DOC: &CStr = c"get_many($self, keys, /)\n--\n\nOne value or None for each key, in order.";
const PUT_DOC: &CStr = c"put($self, key, value, /, *, ttl=None, tti=None, weight=None, tags=None)\n--\n\n\
    Put a value, for `ttl` seconds from now, `tti` seconds from each use, where given; else as the cache was made.";

/// Put the short ways in front of the methods and slots that PyO3 made.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let kind = class.as_type_ptr();
    // SAFETY: PyO3 made a heap type with mapping slots, and nobody else can have seen it: the module is being made.
    let mapping = unsafe { &mut *(*kind).tp_as_mapping };
    let (Some(subscript_behind), Some(assign_behind)) = (mapping.mp_subscript, mapping.mp_ass_subscript) else {
        return Ok(());
    };
    let (get_behind, put_behind) = (class.getattr("get")?.unbind(), class.getattr("put")?.unbind());
    let made = Behind { get: get_behind, put: put_behind, subscript: subscript_behind, assign: assign_behind };
    if BEHIND.set(made).is_err() {
        return Ok(());
    }
    mapping.mp_subscript = Some(subscript);
    mapping.mp_ass_subscript = Some(assign);
    let methods = [
        (c"get_many", ffi::PyMethodDefPointer { PyCFunction: get_many }, ffi::METH_O, GET_MANY_DOC),
        (c"get", ffi::PyMethodDefPointer { PyCFunctionFast: get }, ffi::METH_FASTCALL, GET_DOC),
        (
            c"put",
            ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: put },
            ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            PUT_DOC,
        ),
    ];
    methods.into_iter().try_for_each(|(name, function, flags, doc)| install_method(class, name, function, flags, doc))
}

/// Make `function` a method of the class. It must have the calling convention of its flags.
pub fn install_method(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: i32,
    doc: &'static CStr,
) -> PyResult<()> {
    let definition =
        ffi::PyMethodDef { ml_name: name.as_ptr(), ml_meth: function, ml_flags: flags, ml_doc: doc.as_ptr() };
    // SAFETY: the definition lives for ever, as the descriptor needs; the function has the convention of its flags.
    let method = unsafe {
        let described = ffi::PyDescr_NewMethod(class.as_type_ptr(), Box::leak(Box::new(definition)));
        Bound::from_owned_ptr_or_err(class.py(), described)?
    };
    class.setattr(name.to_str().unwrap_or_default(), method)
}
