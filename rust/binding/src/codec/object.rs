//! The record itself.
//!
//! A record holds values (built by its constructor), or the bytes object it was received in, or both: a field is built from the
//! bytes when it is first read and kept. Memory: 96 bytes with the collector's header, and 8 a field once one was read.
//!
//! The collector learns of a record only when a value that may be part of a cycle is kept in it (a list, a dict, a nested
//! record): a cache full of records costs a collection nothing. Such a record is also the only one whose death can run deep,
//! so only its death is counted, and put off beyond `MAX_DYING`.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBytes, PyType};
use tierstore_core::codec::envelope;
use tierstore_core::codec::once::OnceSlot;

use super::attribute;
use super::construct::construct;
use super::layout::Layout;
use super::pool;
use super::raw::is_container;
use crate::errors::to_py;
use crate::guard::{endure, raise, report};

pub type Slot = OnceSlot<ffi::PyObject>;

/// Records that die inside the death of another, at most, before the rest waits.
const MAX_DYING: u32 = 16;

#[repr(C)]
pub struct Record {
    ob_base: ffi::PyObject,
    weak: *mut ffi::PyObject,
    /// An owned bytes object, or null for a record that was built from values.
    buffer: *mut ffi::PyObject,
    /// An owned block: its length, then so many slots.
    values: OnceSlot<Slot>,
    /// What a tier says of this reading; owned, or null.
    meta: AtomicPtr<ffi::PyObject>,
    /// The key's hash, for a record that was received on its own.
    pub key: u64,
    /// Where the fields lie in the buffer.
    pub start: u32,
    pub end: u32,
    /// The first field not yet stepped over, and where it starts: `field << 32 | offset`.
    walked: AtomicU64,
    /// Up to where the buffer is known to be sound: 0, a position, or `u32::MAX` for all of it.
    sound: AtomicU32,
    pub revision: u16,
    tracked: AtomicBool,
    /// The buffer is this record's alone: it starts with an envelope.
    pub whole: bool,
}

/// Offer to a slot of a record. Under the GIL nobody else can.
#[inline]
fn offer<T>(slot: &OnceSlot<T>, value: NonNull<T>) -> Result<(), NonNull<T>> {
    if cfg!(Py_GIL_DISABLED) { slot.offer(value) } else { slot.offer_alone(value) }
}

/// Where a record's bytes lie and how far they are to be trusted.
pub struct Source {
    pub key: u64,
    pub start: u32,
    pub end: u32,
    pub revision: u16,
    pub checked: bool,
    pub whole: bool,
}

/// Py_TPFLAGS_MANAGED_DICT and Py_TPFLAGS_MANAGED_WEAKREF: memory before the object, of which a record has none.
const MANAGED: std::ffi::c_ulong = 1 << 4 | 1 << 3;

static BASE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

impl Record {
    /// A record without values over `buffer`, or over nothing.
    #[inline]
    pub fn allocate<'py>(
        class: &Bound<'py, PyType>,
        buffer: Option<&Bound<'py, PyBytes>>,
        source: &Source,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        // SAFETY: class is a record class (layouts adopt no other), so the memory has the size of a Record; every field of it
        // is written before anything else can see the object, and the collector does not know it yet.
        unsafe {
            let record: *mut Record = pool::object(class.as_type_ptr()).cast();
            if record.is_null() {
                return Err(PyErr::fetch(py));
            }
            (&raw mut (*record).weak).write(ptr::null_mut());
            (&raw mut (*record).buffer).write(buffer.map_or(ptr::null_mut(), |buffer| buffer.clone().into_ptr()));
            (&raw mut (*record).values).write(OnceSlot::empty());
            (&raw mut (*record).meta).write(AtomicPtr::new(ptr::null_mut()));
            (&raw mut (*record).key).write(source.key);
            (&raw mut (*record).start).write(source.start);
            (&raw mut (*record).end).write(source.end);
            (&raw mut (*record).walked).write(AtomicU64::new(u64::from(source.start)));
            (&raw mut (*record).revision).write(source.revision);
            (&raw mut (*record).sound).write(AtomicU32::new(if source.checked { u32::MAX } else { 0 }));
            (&raw mut (*record).tracked).write(AtomicBool::new(false));
            (&raw mut (*record).whole).write(source.whole);
            Ok(Bound::from_owned_ptr(py, record.cast()))
        }
    }

    /// The record in `object`, which is one of `layout`'s class.
    #[inline]
    pub fn of<'a>(object: &'a Bound<'_, PyAny>, layout: &Layout) -> Option<&'a Record> {
        // SAFETY: an object of exactly the layout's class has a Record's memory; it is only read, or changed by atomics.
        layout.is_class(object.get_type_ptr()).then(|| unsafe { &*object.as_ptr().cast::<Record>() })
    }

    /// The record in any instance of any record class.
    pub fn of_any<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a Record> {
        let py = object.py();
        let base = BASE.get(py).ok_or_else(|| PyTypeError::new_err("the module is not ready"))?;
        // Not `isinstance`, which believes what an object says of its class.
        // SAFETY: both are live classes.
        if unsafe { ffi::PyType_IsSubtype(object.get_type_ptr(), base.as_ptr().cast()) } == 0 {
            return Err(PyTypeError::new_err(format!("expected a Record, not {}", object.get_type().name()?)));
        }
        // SAFETY: instances of the base have its memory, whatever their class.
        Ok(unsafe { &*object.as_ptr().cast::<Record>() })
    }

    /// The buffer, for as long as the record is borrowed.
    #[inline]
    pub fn borrowed_buffer<'a, 'py>(&'a self, py: Python<'py>) -> Option<Borrowed<'a, 'py, PyBytes>> {
        // SAFETY: the buffer is null or a bytes object that this record owns and never lets go of while it lives.
        unsafe { Borrowed::from_ptr_or_opt(py, self.buffer).map(|object| object.cast_unchecked()) }
    }

    #[inline]
    pub fn buffer<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        // SAFETY: the buffer is null or a bytes object that this record owns.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.buffer).map(|object| object.cast_into_unchecked()) }
    }

    /// The bytes of the buffer, for as long as the record is borrowed.
    #[inline]
    pub fn bytes(&self) -> Option<&[u8]> {
        if self.buffer.is_null() {
            return None;
        }
        // SAFETY: a bytes object never changes, and this record keeps it alive.
        unsafe {
            let data = ffi::PyBytes_AS_STRING(self.buffer).cast::<u8>();
            Some(std::slice::from_raw_parts(data, ffi::Py_SIZE(self.buffer) as usize))
        }
    }

    #[inline]
    pub fn walked(&self) -> (usize, usize) {
        let word = self.walked.load(Ordering::Relaxed);
        ((word >> 32) as usize, word as u32 as usize)
    }

    #[inline]
    pub fn set_walked(&self, field: usize, offset: usize) {
        self.walked.store((field as u64) << 32 | offset as u64, Ordering::Relaxed);
    }

    /// Up to where the buffer is known to be sound; `u32::MAX`: all of it.
    #[inline]
    pub fn sound(&self) -> u32 {
        self.sound.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn is_checked(&self) -> bool {
        self.sound() == u32::MAX
    }

    /// Bytes up to `position` are about to be handed out: check what has not been checked.
    #[inline]
    pub fn vouch(&self, position: usize, bytes: &[u8]) -> PyResult<()> {
        let sound = self.sound() as usize;
        if position <= sound {
            return Ok(());
        }
        let sound = envelope::verify(bytes, sound, position).map_err(|error| to_py(&error))?;
        self.sound.store(u32::try_from(sound).unwrap_or(u32::MAX), Ordering::Relaxed);
        Ok(())
    }

    /// The value of field `at`, if it was built.
    #[inline]
    pub fn value(&self, at: usize) -> Option<NonNull<ffi::PyObject>> {
        self.slots()?.get(at)?.get()
    }

    #[inline]
    fn slots(&self) -> Option<&[Slot]> {
        // SAFETY: a block starts with its length, and so many initialised slots follow; it lives as long as the record.
        self.values.get().map(|block| unsafe {
            let length = *block.as_ptr().cast::<usize>();
            std::slice::from_raw_parts(block.as_ptr().add(1), length)
        })
    }

    fn slots_or_make(&self, count: usize) -> PyResult<&[Slot]> {
        if let Some(slots) = self.slots() {
            return Ok(slots);
        }
        // SAFETY: the pool's blocks hold so many empty slots behind their length, and this one is nobody else's.
        unsafe {
            let Some(own) = NonNull::new(pool::block(count)) else {
                return Err(pyo3::exceptions::PyMemoryError::new_err("no memory is left for a record's fields"));
            };
            if offer(&self.values, own).is_err() {
                pool::give_block(own.as_ptr());
            }
        }
        Ok(self.slots().unwrap_or_default())
    }

    /// Keep `value` as field `at` of `count`; the answer is what is kept, which another thread may have put there first.
    #[inline]
    pub fn keep<'py>(&self, value: Bound<'py, PyAny>, at: usize, count: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let Some(slot) = self.slots_or_make(count)?.get(at) else { return Ok(value) };
        // SAFETY: value is a live object; a kept pointer is owned by the slot until the record dies.
        unsafe {
            let container = is_container(value.as_ptr());
            let own = NonNull::new_unchecked(value.clone().into_ptr());
            let kept = match offer(slot, own) {
                Ok(()) => value,
                Err(winner) => {
                    ffi::Py_DECREF(own.as_ptr());
                    Bound::from_borrowed_ptr(py, winner.as_ptr())
                }
            };
            if container {
                self.track();
            }
            Ok(kept)
        }
    }

    fn track(&self) {
        if !self.tracked.swap(true, Ordering::Relaxed) {
            // SAFETY: the object is whole, and the swap lets this happen once.
            unsafe { ffi::PyObject_GC_Track(ptr::from_ref(self).cast_mut().cast()) };
        }
    }

    /// What `set_meta` kept. `object` MUST be this record's.
    pub fn meta<'py>(&self, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let py = object.py();
        // SAFETY: null, or an object that the record owns; the critical section keeps `set_meta` from freeing it meanwhile.
        with_critical_section(object, || unsafe {
            Bound::from_borrowed_ptr_or_opt(py, self.meta.load(Ordering::Acquire))
        })
    }

    /// Keep `meta`, and drop what was kept before. `object` MUST be this record's.
    pub fn set_meta(&self, object: &Bound<'_, PyAny>, meta: &Bound<'_, PyAny>) {
        let own = meta.clone().into_ptr();
        let old = with_critical_section(object, || self.meta.swap(own, Ordering::AcqRel));
        // SAFETY: the record owned what was swapped out, and is no longer its owner. Dropped here, outside the section, since
        // that may run Python code.
        unsafe { ffi::Py_XDECREF(old) };
        // SAFETY: meta is a live object.
        if unsafe { is_container(own) } {
            self.track();
        }
    }
}

thread_local! {
    static DYING: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<*mut ffi::PyObject>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls this once for a record whose last reference is gone.
    unsafe {
        report(|| {
            let record = &*object.cast::<Record>();
            if !record.tracked.load(Ordering::Relaxed) {
                return free(object);
            }
            ffi::PyObject_GC_UnTrack(object.cast());
            let depth = DYING.get();
            if depth >= MAX_DYING {
                return WAITING.with_borrow_mut(|waiting| waiting.push(object));
            }
            free_within(depth, object);
            if depth == 0 {
                while let Some(next) = WAITING.with_borrow_mut(Vec::pop) {
                    free_within(0, next);
                }
            }
        });
    }
}

/// `free`, with the depth told to the deaths that it causes.
///
/// # Safety
/// As `free`.
unsafe fn free_within(depth: u32, object: *mut ffi::PyObject) {
    /// Tells the old depth again, be it by a panic.
    struct Ending(u32);
    impl Drop for Ending {
        fn drop(&mut self) {
            DYING.set(self.0);
        }
    }
    DYING.set(depth + 1);
    let _ending = Ending(depth);
    // SAFETY: promised by the caller.
    unsafe { free(object) };
}

/// # Safety
/// `object` MUST be a dead record that the collector does not know, and is gone afterwards.
unsafe fn free(object: *mut ffi::PyObject) {
    // SAFETY: promised by the caller.
    unsafe {
        let record = &*object.cast::<Record>();
        if !record.weak.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        empty(record);
        ffi::Py_XDECREF(record.buffer);
        let class = ffi::Py_TYPE(object);
        pool::give_object(object);
        ffi::Py_DECREF(class.cast());
    }
}

/// # Safety
/// No other thread may use the record.
unsafe fn empty(record: &Record) {
    // SAFETY: what slots hold is owned by them; the block came from the pool.
    unsafe {
        for slot in record.slots().unwrap_or_default() {
            if let Some(value) = slot.take_alone() {
                ffi::Py_DECREF(value.as_ptr());
            }
        }
        if let Some(block) = record.values.take_alone() {
            pool::give_block(block.as_ptr());
        }
        let meta = record.meta.load(Ordering::Acquire);
        if !meta.is_null() {
            record.meta.store(ptr::null_mut(), Ordering::Relaxed);
            ffi::Py_DECREF(meta);
        }
    }
}

unsafe extern "C" fn traverse(object: *mut ffi::PyObject, visit: ffi::visitproc, argument: *mut c_void) -> c_int {
    // SAFETY: the collector visits live records only.
    unsafe {
        endure(-1, || {
            let record = &*object.cast::<Record>();
            let mut visited = visit(ffi::Py_TYPE(object).cast(), argument);
            for slot in record.slots().unwrap_or_default() {
                if let (0, Some(value)) = (visited, slot.get()) {
                    visited = visit(value.as_ptr(), argument);
                }
            }
            let meta = record.meta.load(Ordering::Acquire);
            if visited == 0 && !meta.is_null() {
                visited = visit(meta, argument);
            }
            visited
        })
    }
}

/// A cleared record answers AttributeError for the fields it lost: it can be seen only by finalisers within its own cycle.
unsafe extern "C" fn clear(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: the collector clears unreachable records, which no other thread uses. The block stays until the record dies,
    // since a finaliser run by a decref may still read it.
    unsafe {
        raise(|_| {
            let record = &*object.cast::<Record>();
            for slot in record.slots().unwrap_or_default() {
                if let Some(value) = slot.take() {
                    ffi::Py_DECREF(value.as_ptr());
                }
            }
            ffi::Py_XDECREF(record.meta.swap(ptr::null_mut(), Ordering::AcqRel));
            0
        })
    }
}

/// Make `class` the class of `layout`.
#[pyfunction]
fn adopt(class: &Bound<'_, PyType>, layout: &Bound<'_, Layout>) -> PyResult<()> {
    let py = class.py();
    let base = BASE.get(py).ok_or_else(|| PyTypeError::new_err("the module is not ready"))?.bind(py);
    // SAFETY: reading and writing the slots of a live heap type under its creation, before it has instances.
    unsafe {
        let raw = class.as_type_ptr();
        let own_size = (*raw).tp_basicsize == (*base.as_type_ptr()).tp_basicsize && (*raw).tp_dictoffset == 0;
        if !class.is_subclass(base)? || !own_size || ffi::PyType_GetFlags(raw) & MANAGED != 0 {
            return Err(PyTypeError::new_err(
                "a record class must have `__slots__ = ()`, and bases without a `__dict__`",
            ));
        }
        layout.get().set_class(class)?;
        // The interpreter's own would walk the bases, and track and untrack each record, on every death.
        (*raw).tp_dealloc = Some(dealloc);
        attribute::install(raw);
    }
    Ok(())
}

/// Give the record the `meta` of this reading.
#[pyfunction]
fn attach_meta(record: &Bound<'_, PyAny>, meta: &Bound<'_, PyAny>) -> PyResult<()> {
    Record::of_any(record)?.set_meta(record, meta);
    Ok(())
}

#[pyfunction]
fn meta_of<'py>(record: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(Record::of_any(record)?.meta(record))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = base_type(py)?;
    module.add("RecordBase", &base)?;
    if BASE.set(py, base.unbind()).is_err() {
        return Err(PyImportError::new_err(
            "tierstore works in one interpreter of a process, and another one has loaded it already",
        ));
    }
    module.add_function(wrap_pyfunction!(adopt, module)?)?;
    module.add_function(wrap_pyfunction!(attach_meta, module)?)?;
    module.add_function(wrap_pyfunction!(meta_of, module)?)
}

fn base_type(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let weak = std::mem::offset_of!(Record, weak) as ffi::Py_ssize_t;
    let mut members = [
        ffi::PyMemberDef {
            name: c"__weaklistoffset__".as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: weak,
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        },
        ffi::PyMemberDef::default(),
    ];
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot { slot, pfunc: function };
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_new, construct as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"tierstore._native.RecordBase".as_ptr(),
        basicsize: size_of::<Record>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC) as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec and all it points to live through the call, which copies what it keeps (the name is static).
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))?.cast_into_unchecked()) }
}
