//! Shards behind a lock each, for callers that run at the same time: an interpreter without a global lock.
//!
//! The hash chooses the shard by its lowest bits (a shard's table uses the highest). Within a shard, callers who only look up
//! share it, and each thread says so in a lane of its own: a lock in one word would travel between the processors with every
//! look-up, which costs more than the look-up (measured on 2 cores: two threads behind a mutex a shard did 0.3 to 1.0 times the
//! work of one). Whoever changes the shard first closes it, then waits until every lane is empty. No foreign code runs in
//! either, so nobody waits for long.

use super::sync::{AtomicBool, AtomicU32, AtomicU64, LANES, Mutex, Ordering, PoisonError, lane, spin_loop, yield_now};
use std::cell::UnsafeCell;

/// Looks at a lane before the processor is given to another thread: a look-up takes less.
const SPINS: u32 = 100;

/// Keeps two lanes off one cache line (128: adjacent lines are fetched in pairs on x86-64).
#[repr(align(128))]
#[derive(Default)]
struct Lane {
    inside: AtomicU32,
    hits: AtomicU64,
}

struct Guarded<T> {
    lanes: [Lane; LANES],
    closed: AtomicBool,
    turn: Mutex<()>,
    data: UnsafeCell<T>,
}

// SAFETY: `data` is reached by `&mut` only between `close` and `open`, which one thread at a time may be, with every lane empty;
// and by `&` only from within a lane that was entered while the shard was open.
unsafe impl<T: Send + Sync> Sync for Guarded<T> {}

/// Leaves the lane, or opens the shard, when the closure has ended or panicked.
struct Leaving<'a>(&'a AtomicU32);
struct Opening<'a>(&'a AtomicBool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T> Guarded<T> {
    fn new(data: T) -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane::default()),
            closed: AtomicBool::new(false),
            turn: Mutex::new(()),
            data: UnsafeCell::new(data),
        }
    }

    /// None if the shard is closed, or `act` answers None. An answer counts as a hit.
    #[inline]
    fn share<R>(&self, act: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        let lane = &self.lanes[lane()];
        lane.inside.fetch_add(1, Ordering::SeqCst);
        let leaving = Leaving(&lane.inside);
        // Both orders are sequentially consistent: if this load misses that the shard was closed, the one that closed it sees
        // this lane taken (Dekker's pattern).
        if self.closed.load(Ordering::SeqCst) {
            return None;
        }
        // SAFETY: the lane was entered while the shard was open, so nobody has it by `&mut` until the lane is left.
        let answer = act(unsafe { &*self.data.get() });
        if answer.is_some() {
            lane.hits.fetch_add(1, Ordering::Relaxed);
        }
        drop(leaving);
        answer
    }

    /// The closure also gets the hits that were counted in the lanes since the last time.
    ///
    /// A panic within it poisons nothing: `Shard::whole` is for those who would leave something half changed.
    fn alone<R>(&self, act: impl FnOnce(&mut T, u64) -> R) -> R {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::SeqCst);
        let _opening = Opening(&self.closed);
        let mut hits = 0;
        for lane in &self.lanes {
            let mut looks = 0;
            while lane.inside.load(Ordering::SeqCst) != 0 {
                looks += 1;
                if looks % SPINS == 0 { yield_now() } else { spin_loop() }
            }
            hits += lane.hits.swap(0, Ordering::Relaxed);
        }
        // SAFETY: the shard is closed and every lane was empty since, and `turn` keeps others who would close it out.
        act(unsafe { &mut *self.data.get() }, hits)
    }
}

/// What takes over the hits that were counted beside it.
pub trait Counted {
    fn count_hits(&mut self, hits: u64);
}

pub struct Sharded<T> {
    shards: Box<[Guarded<T>]>,
}

impl<T: Counted> Sharded<T> {
    /// `count` is a power of two; `make` gets the number of each.
    #[must_use]
    pub fn new(count: usize, make: impl FnMut(usize) -> T) -> Self {
        debug_assert!(count.is_power_of_two());
        Self { shards: (0..count).map(make).map(Guarded::new).collect() }
    }

    /// Look up among others. None if `act` answers so or the shard is being changed: then do it by `with`.
    #[inline]
    pub fn share<R>(&self, hash: u32, act: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        self.shards[hash as usize & (self.shards.len() - 1)].share(act)
    }

    /// Act on the shard of this hash alone.
    #[inline]
    pub fn with<R>(&self, hash: u32, act: impl FnOnce(&mut T) -> R) -> R {
        self.nth(hash as usize & (self.shards.len() - 1), act)
    }

    /// Act on one shard alone, by its number.
    #[inline]
    pub fn nth<R>(&self, number: usize, act: impl FnOnce(&mut T) -> R) -> R {
        self.shards[number].alone(|data, hits| {
            if hits != 0 {
                data.count_hits(hits);
            }
            act(data)
        })
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.shards.len()
    }
}

/// The share of a bound that each of `count` shards may use; together exactly `bound`.
#[must_use]
pub fn share(bound: usize, count: usize, number: usize) -> usize {
    bound / count + usize::from(number < bound % count)
}
