//! Who may touch the shards. With the interpreter's lock: whoever is attached, and there is one shard. Without it: whoever holds
//! the lock of the shard, and there are several.
//!
//! The closure that acts on a shard must run no Python code: no call, no comparison of unknown keys, no drop of an object,
//! and no allocation that the collector could use to start. So no other thread and no re-entrant call ever meets it. If it panics,
//! the shard is empty afterwards (`Shard::whole`), but for `look`: a use touches marks, counters and the order of entries, of which
//! none can be left so that an entry is wrong; and what makes a change whole would cost a hit a tenth of its time.

#[cfg(not(Py_GIL_DISABLED))]
pub use attached::Cell;
#[cfg(Py_GIL_DISABLED)]
pub use locked::Cell;

/// Bounds below this many entries are kept by one shard: halves of a small cache evict what the whole would keep.
#[cfg(Py_GIL_DISABLED)]
const WORTH_SHARDING: usize = 4096;
#[cfg(Py_GIL_DISABLED)]
const SHARDS: usize = 16;

#[cfg(not(Py_GIL_DISABLED))]
mod attached {
    use pyo3::prelude::*;
    use std::cell::UnsafeCell;
    use tierstore_core::cache::{Choice, Limits, Shard};

    pub struct Cell<K, V>(UnsafeCell<Shard<K, V>>);

    // SAFETY: every access goes through `with` or `nth`, whose caller is attached to the interpreter, which one thread at a
    // time is; or through `visit`, which the collector calls while the thread that runs it is attached.
    unsafe impl<K: Send, V: Send> Sync for Cell<K, V> {}

    impl<K, V> Cell<K, V> {
        pub fn new(limits: Limits, choice: Choice) -> Self {
            Self(UnsafeCell::new(Shard::new(limits, choice)))
        }

        /// Act on the shard of this hash.
        #[inline(always)]
        pub fn with<R>(&self, py: Python<'_>, _hash: u32, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            self.nth(py, 0, act)
        }

        /// Look up and use, and change nothing else.
        #[inline(always)]
        pub fn look<R>(&self, _py: Python<'_>, _hash: u32, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            // SAFETY: as in `nth`.
            act(unsafe { &mut *self.0.get() })
        }

        /// Nobody looks up at the same time: `look` is as good.
        #[inline(always)]
        pub fn share<R>(&self, _py: Python<'_>, _hash: u32, _act: impl FnOnce(&Shard<K, V>) -> Option<R>) -> Option<R> {
            None
        }

        #[inline(always)]
        pub fn nth<R>(&self, _py: Python<'_>, _number: usize, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            // SAFETY: attached (`_py`), and the closure runs no Python code, so nobody else is in here until it ends.
            unsafe { &mut *self.0.get() }.whole(act)
        }

        pub fn count(&self) -> usize {
            1
        }

        /// For the collector, which may not attach.
        pub fn visit<E>(&self, mut act: impl FnMut(&Shard<K, V>) -> Result<(), E>) -> Result<(), E> {
            // SAFETY: the collector runs attached and never within `with`, which allocates no Python object.
            act(unsafe { &*self.0.get() })
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod locked {
    use super::{SHARDS, WORTH_SHARDING};
    use pyo3::prelude::*;
    use tierstore_core::cache::{Choice, Limits, Shard, Sharded, share};

    pub struct Cell<K, V>(Sharded<Shard<K, V>>);

    impl<K, V> Cell<K, V> {
        /// A bound on weight is kept by one shard, or an entry could be too heavy for its share of it.
        pub fn new(limits: Limits, choice: Choice) -> Self {
            let whole = limits.entries < WORTH_SHARDING || limits.weight != u64::MAX;
            let count = if whole { 1 } else { SHARDS };
            Self(Sharded::new(count, |number| {
                Shard::new(Limits { entries: share(limits.entries, count, number), ..limits }, choice)
            }))
        }

        #[inline(always)]
        pub fn with<R>(&self, _py: Python<'_>, hash: u32, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            self.0.with(hash, |shard| shard.whole(act))
        }

        /// Look up and use, and change nothing else.
        #[inline(always)]
        pub fn look<R>(&self, _py: Python<'_>, hash: u32, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            self.0.with(hash, act)
        }

        /// Look up among others; None: do it by `look`.
        #[inline(always)]
        pub fn share<R>(&self, _py: Python<'_>, hash: u32, act: impl FnOnce(&Shard<K, V>) -> Option<R>) -> Option<R> {
            self.0.share(hash, act)
        }

        #[inline(always)]
        pub fn nth<R>(&self, _py: Python<'_>, number: usize, act: impl FnOnce(&mut Shard<K, V>) -> R) -> R {
            self.0.nth(number, |shard| shard.whole(act))
        }

        pub fn count(&self) -> usize {
            self.0.count()
        }

        /// For the collector, which has stopped the other threads, none of them under a lock: no Python code runs there.
        pub fn visit<E>(&self, mut act: impl FnMut(&Shard<K, V>) -> Result<(), E>) -> Result<(), E> {
            (0..self.0.count()).try_for_each(|number| self.0.nth(number, |shard| act(shard)))
        }
    }
}
