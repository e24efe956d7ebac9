//! Bytes on their way to a bytes object.
//!
//! Its length is known only at the end. So they are gathered in memory that the thread keeps for this, and copied once, into an
//! object of the right size. (A bytes object that grows, and is cut at its end, asks the allocator for more than it keeps: beyond
//! 128 KiB it was mapped anew at each call, at 2 µs for every 4 KiB.) Long texts and bytes are not gathered: they are copied from
//! where they lie.

use std::cell::Cell;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tierstore_core::codec::sink::Sink;

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
        gathered.reserve(FIRST_BYTES);
        Self { gathered, long: Vec::new(), long_bytes, anew: false }
    }

    /// What `put_slice` does, perhaps without a copy.
    ///
    /// # Safety
    /// The bytes MUST stay as they are while `owner` lives.
    #[inline]
    pub unsafe fn put_of(&mut self, owner: &Bound<'_, PyAny>, bytes: &[u8]) {
        if bytes.len() < self.long_bytes {
            self.put_slice(bytes);
        } else {
            self.long.push(Long { at: self.gathered.len(), bytes, owner: owner.clone().into_ptr() });
        }
    }

    /// All bytes, if they are `whole`.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.gathered
    }

    pub fn finish(self, py: Python<'_>) -> PyResult<Bound<'_, PyBytes>> {
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
        self.gathered.extend_from_slice(&bytes);
    }

    #[inline(always)]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
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
