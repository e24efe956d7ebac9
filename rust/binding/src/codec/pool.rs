//! Memory of dead records, kept for the next ones: a record lives for a few fields read, and its memory costs more than they do.
//!
//! Objects have one size whatever their class; blocks of slots are kept by their count. On a free-threaded build nothing is kept:
//! its allocator has pools of its own for each thread.

use pyo3::ffi;

use super::object::Slot;

/// A block: its count of slots, then the slots.
#[inline]
fn block_bytes(count: usize) -> usize {
    (count + 1) * size_of::<Slot>()
}

#[cfg(not(Py_GIL_DISABLED))]
mod kept {
    use std::cell::UnsafeCell;

    use super::*;

    const MAX_OBJECTS: usize = 256;
    const MAX_BLOCKS: usize = 256;
    const MAX_SLOTS: usize = 32;

    struct Stack<const N: usize> {
        length: usize,
        items: [*mut u8; N],
    }

    impl<const N: usize> Stack<N> {
        const EMPTY: Self = Self { length: 0, items: [std::ptr::null_mut(); N] };

        #[inline]
        fn pop(&mut self) -> Option<*mut u8> {
            self.length = self.length.checked_sub(1)?;
            self.items.get(self.length).copied()
        }

        /// Whether there was room.
        #[inline]
        fn push(&mut self, item: *mut u8) -> bool {
            let Some(place) = self.items.get_mut(self.length) else { return false };
            *place = item;
            self.length += 1;
            true
        }
    }

    struct Kept {
        objects: Stack<MAX_OBJECTS>,
        blocks: [Stack<MAX_BLOCKS>; MAX_SLOTS + 1],
    }

    struct Pool(UnsafeCell<Kept>);
    // SAFETY: every caller holds the GIL, and nothing in here calls the interpreter while the reference is held.
    unsafe impl Sync for Pool {}
    static POOL: Pool =
        Pool(UnsafeCell::new(Kept { objects: Stack::EMPTY, blocks: [const { Stack::EMPTY }; MAX_SLOTS + 1] }));

    /// # Safety
    /// The caller MUST hold the GIL.
    #[inline]
    pub unsafe fn pop_object() -> Option<*mut ffi::PyObject> {
        // SAFETY: under the GIL, and no other reference lives: see Sync above.
        unsafe { (*POOL.0.get()).objects.pop().map(<*mut u8>::cast) }
    }

    /// # Safety
    /// The caller MUST hold the GIL.
    #[inline]
    pub unsafe fn push_object(object: *mut ffi::PyObject) -> bool {
        // SAFETY: as in pop_object.
        unsafe { (*POOL.0.get()).objects.push(object.cast()) }
    }

    /// # Safety
    /// The caller MUST hold the GIL.
    #[inline]
    pub unsafe fn pop_block(count: usize) -> Option<*mut Slot> {
        // SAFETY: as in pop_object.
        unsafe { (*POOL.0.get()).blocks.get_mut(count)?.pop().map(<*mut u8>::cast) }
    }

    /// # Safety
    /// The caller MUST hold the GIL, and the block's slots MUST be empty.
    #[inline]
    pub unsafe fn push_block(block: *mut Slot, count: usize) -> bool {
        // SAFETY: as in pop_object.
        unsafe { (*POOL.0.get()).blocks.get_mut(count).is_some_and(|stack| stack.push(block.cast())) }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod kept {
    use super::*;

    pub unsafe fn pop_object() -> Option<*mut ffi::PyObject> {
        None
    }

    pub unsafe fn push_object(_: *mut ffi::PyObject) -> bool {
        false
    }

    pub unsafe fn pop_block(_: usize) -> Option<*mut Slot> {
        None
    }

    pub unsafe fn push_block(_: *mut Slot, _: usize) -> bool {
        false
    }
}

/// Memory of a record of `class`, unknown to the collector, with its head set and the rest as it was; null with the exception set.
///
/// # Safety
/// The thread MUST be attached, and `class` MUST be a record class.
#[inline]
pub unsafe fn object(class: *mut ffi::PyTypeObject) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller; all record classes have one size, and a kept object has no owner.
    unsafe {
        match kept::pop_object() {
            Some(object) => ffi::PyObject_Init(object, class),
            None => ffi::PyObject_GC_New(class),
        }
    }
}

/// # Safety
/// The thread MUST be attached. `object` MUST be a dead record that the collector does not know.
#[inline]
pub unsafe fn give_object(object: *mut ffi::PyObject) {
    // SAFETY: promised by the caller.
    unsafe {
        if !kept::push_object(object) {
            ffi::PyObject_GC_Del(object.cast());
        }
    }
}

/// A block of `count` empty slots; null if there is no memory.
///
/// # Safety
/// The thread MUST be attached.
#[inline]
pub unsafe fn block(count: usize) -> *mut Slot {
    // SAFETY: zeroed memory is so many empty slots; a slot has a usize's size, so that the count fits before them.
    unsafe {
        if let Some(block) = kept::pop_block(count) {
            return block;
        }
        let block: *mut Slot = ffi::PyMem_Calloc(1, block_bytes(count)).cast();
        if !block.is_null() {
            *block.cast::<usize>() = count;
        }
        block
    }
}

/// # Safety
/// The thread MUST be attached. `block` MUST come from `block`, its slots be empty, and nobody else use it.
#[inline]
pub unsafe fn give_block(block: *mut Slot) {
    // SAFETY: promised by the caller.
    unsafe {
        let count = *block.cast::<usize>();
        if !kept::push_block(block, count) {
            ffi::PyMem_Free(block.cast());
        }
    }
}
