//! Bytes on their way to a bytes object.
//!
//! Its length is known only at the end. So they are gathered in memory that the thread keeps for this, and copied once, into an
//! object of the right size. (A bytes object that grows, and is cut at its end, asks the allocator for more than it keeps: beyond
//! 128 KiB it was mapped anew at each call, at 2 µs for every 4 KiB.) Long texts and bytes are not gathered: they are copied from
//! where they lie.
//!
//! Where no memory is left a part is dropped, and the end is a MemoryError: writers need not ask at each byte.

use std::cell::Cell;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tierstore_core::codec::sink::Sink;
use tierstore_core::error::Error;

use crate::errors::to_py;

/// Shorter parts are copied twice for less than it costs to note them.
const LONG_BYTES: usize = 512;
/// What a thread keeps at most.
const MAX_KEPT_BYTES: usize = 256 * 1024;
const FIRST_BYTES: usize = 1024;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub struct Out {
    gathered: Vec<u8>,
    long: Vec<Long>,
    /// From this length on a part is left where it is until the end.
    long_bytes: usize,
    /// No memory was left for a part: it is missing, and there is nothing to finish.
    full: bool,
    /// Records that were received are written as their class writes them now, not as they came.
    pub anew: bool,
}

/// A part that belongs behind the first `at` of the gathered bytes.
struct Long {
    at: usize,
    bytes: *const [u8],
    /// A reference that keeps the bytes alive.
    owner: *mut ffi::PyObject,
}

impl Drop for Long {
    fn drop(&mut self) {
        // SAFETY: the reference is this one's. Pointers keep `Out` in its thread, which is attached where it encodes. (A `Py` would
        // put the end off: functions that the interpreter calls without PyO3 count as not attached.)
        unsafe { ffi::Py_DECREF(self.owner) };
    }
}

impl Out {
    /// For bytes that are looked at, measured or summed before they are finished.
    pub fn whole() -> Self {
        Self::of(usize::MAX)
    }

    /// For bytes that are only written: long parts stay where they are.
    pub fn in_parts() -> Self {
        Self::of(LONG_BYTES)
    }

    fn of(long_bytes: usize) -> Self {
        let mut gathered = KEPT.take();
        let full = gathered.try_reserve(FIRST_BYTES).is_err();
        Self { gathered, long: Vec::new(), long_bytes, full, anew: false }
    }

    /// What `put_slice` does, perhaps without a copy.
    ///
    /// # Safety
    /// The bytes MUST stay as they are while `owner` lives.
    #[inline]
    pub unsafe fn put_of(&mut self, owner: &Bound<'_, PyAny>, bytes: &[u8]) {
        if bytes.len() < self.long_bytes {
            self.put_slice(bytes);
        } else if self.long.try_reserve(1).is_ok() {
            self.long.push(Long { at: self.gathered.len(), bytes, owner: owner.clone().into_ptr() });
        } else {
            self.full = true;
        }
    }

    /// MemoryError if a part is missing.
    #[inline]
    pub fn check(&self) -> PyResult<()> {
        if self.full { Err(to_py(&Error::memory())) } else { Ok(()) }
    }

    /// Whether so many bytes more have a place.
    #[inline(always)]
    fn has_room(&mut self, more: usize) -> bool {
        more <= self.gathered.capacity() - self.gathered.len() || self.grow(more)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) -> bool {
        self.full = self.full || self.gathered.try_reserve(more).is_err();
        !self.full
    }

    /// All bytes, if they are `whole`.
    #[inline]
    pub fn as_slice(&self) -> PyResult<&[u8]> {
        self.check()?;
        Ok(&self.gathered)
    }

    pub fn finish(self, py: Python<'_>) -> PyResult<Bound<'_, PyBytes>> {
        self.check()?;
        let long_bytes: usize = self.long.iter().map(|long| long.bytes.len()).sum();
        let length = self.gathered.len() + long_bytes;
        // SAFETY: a new bytes object has room for so many bytes, all of which are written before anyone sees it: the parts are
        // those that were counted. A long part's bytes are as `put_of` was promised.
        unsafe {
            let made = ffi::PyBytes_FromStringAndSize(ptr::null(), length as ffi::Py_ssize_t);
            let made = Bound::from_owned_ptr_or_err(py, made)?;
            let mut place = ffi::PyBytes_AS_STRING(made.as_ptr()).cast::<u8>().cast_mut();
            let mut put = |bytes: &[u8]| {
                ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
                place = place.add(bytes.len());
            };
            let mut copied = 0;
            for long in &self.long {
                put(&self.gathered[copied..long.at]);
                put(&*long.bytes);
                copied = long.at;
            }
            put(&self.gathered[copied..]);
            Ok(made.cast_into_unchecked())
        }
    }
}

impl Sink for Out {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if self.has_room(N) {
            self.gathered.extend_from_slice(&bytes);
        }
    }

    #[inline(always)]
    fn put_slice(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            self.gathered.extend_from_slice(bytes);
        }
    }

    #[inline]
    fn written(&mut self) -> &mut [u8] {
        &mut self.gathered
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if self.gathered.capacity() <= MAX_KEPT_BYTES {
            self.gathered.clear();
            KEPT.set(std::mem::take(&mut self.gathered));
        }
    }
}
