//! Shards behind a lock each, for callers that run at the same time: an interpreter without a global lock.
//!
//! The hash chooses the shard by its lowest bits (a shard's table uses the highest), so callers of different keys seldom meet,
//! and none waits for long: no foreign code runs under a lock.

use std::sync::{Mutex, PoisonError};

/// Keeps two locks off one cache line (128: adjacent lines are fetched in pairs on x86-64).
#[repr(align(128))]
struct Padded<T>(T);

pub struct Sharded<T> {
    shards: Box<[Padded<Mutex<T>>]>,
}

impl<T> Sharded<T> {
    /// `count` is a power of two; `make` gets the number of each.
    #[must_use]
    pub fn new(count: usize, make: impl FnMut(usize) -> T) -> Self {
        debug_assert!(count.is_power_of_two());
        Self { shards: (0..count).map(make).map(Mutex::new).map(Padded).collect() }
    }

    /// Act on the shard of this hash.
    #[inline]
    pub fn with<R>(&self, hash: u32, act: impl FnOnce(&mut T) -> R) -> R {
        self.nth(hash as usize & (self.shards.len() - 1), act)
    }

    /// Act on one shard by its number.
    ///
    /// A panic within `act` poisons nothing: a shard has no state between two of its methods that the next could not bear.
    #[inline]
    pub fn nth<R>(&self, number: usize, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.shards[number].0.lock().unwrap_or_else(PoisonError::into_inner))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Choice, Found, Life, Limits, Match, Removed, Shard, mix};

    #[test]
    fn shares_add_up() {
        for bound in [16, 17, 100, 12_345] {
            assert_eq!((0..16).map(|number| share(bound, 16, number)).sum::<usize>(), bound);
        }
    }

    #[test]
    fn threads_find_what_they_put() {
        let rounds = if cfg!(miri) { 40 } else { 20_000 };
        let cache = Sharded::new(4, |number| {
            Shard::new(Limits { entries: share(64, 4, number), weight: u64::MAX }, Choice::Default)
        });
        std::thread::scope(|scope| {
            for thread in 0..3u64 {
                let cache = &cache;
                scope.spawn(move || (0..rounds).for_each(|round| put_and_get(cache, (round * 7 + thread) % 100)));
            }
        });
        let entries: usize = (0..4).map(|number| cache.nth(number, |shard| shard.len())).sum();
        assert!(entries <= 64);
    }

    fn put_and_get(cache: &Sharded<Shard<u64, Box<u64>>>, key: u64) {
        let (hash, mut out) = (mix(key), Removed::default());
        let same = |kept: &u64| if *kept == key { Match::Yes } else { Match::No };
        cache.with(hash, |shard| match shard.find(hash, same) {
            Found::Hit(slot) => {
                assert_eq!(shard.touch(slot, || 0, &mut out).map(|value| **value), Some(key));
            }
            _ => {
                let life = Life { ttl: None, idle: None, weight: 1, tags: &[] };
                shard.insert(hash, (key, Box::new(key)), &life, 0, &mut out);
            }
        });
    }
}
