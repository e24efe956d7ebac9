//! A change of a shard is made whole, or the shard is emptied.
//!
//! Nothing in a shard is meant to panic, nor is what its owner does in it. If something does, the shard may be half changed: an entry
//! that is in the slab and not in the table, a weight counted twice. A cache that has lost everything is right, one that is half
//! changed need not be.

use super::shard::Shard;
use std::mem;

/// Empties the shard, unless it is forgotten.
struct Emptying<'a, K, V>(&'a mut Shard<K, V>);

impl<K, V> Drop for Emptying<'_, K, V> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<K, V> Shard<K, V> {
    /// Act on the shard. After a panic of `act` it is empty, and refuses the fills under way; what was in it is never dropped,
    /// since that could run foreign code here.
    #[inline(always)]
    pub fn whole<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let emptying = Emptying(self);
        let answer = act(emptying.0);
        mem::forget(emptying);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, Found, Life, Limits, Match, Removed, Sharded};
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    const LIFE: Life<'static> = Life { ttl: None, idle: None, weight: 1, tags: &[] };

    fn shard<V>() -> Shard<u32, V> {
        Shard::new(Limits { entries: 10, weight: u64::MAX }, Choice::Default)
    }

    fn put<V>(shard: &mut Shard<u32, V>, key: u32, value: V) {
        shard.insert(key, (key, value), &LIFE, 0, &mut Removed::default());
    }

    fn get<V: Clone>(shard: &mut Shard<u32, V>, key: u32) -> Option<V> {
        match shard.find(key, |other| if *other == key { Match::Yes } else { Match::No }) {
            Found::Hit(slot) => shard.touch_live(slot, || 0).cloned(),
            _ => None,
        }
    }

    fn panicking<V>(shard: &mut Shard<u32, V>, act: impl FnOnce(&mut Shard<u32, V>)) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            shard.whole(|shard| {
                act(shard);
                panic!("planted");
            })
        }));
        assert!(ended.is_err());
    }

    #[test]
    fn a_change_that_ends_stays() {
        let mut shard = shard();
        assert_eq!(shard.whole(|shard| shard.begin()), 0);
        shard.whole(|shard| put(shard, 1, "one"));
        assert_eq!(get(&mut shard, 1), Some("one"));
    }

    #[test]
    fn a_change_that_panics_leaves_a_shard_that_is_empty_and_works() {
        let mut shard = shard();
        put(&mut shard, 1, "one");
        get(&mut shard, 1);
        panicking(&mut shard, |shard| put(shard, 2, "two"));
        assert_eq!((shard.len(), shard.weight()), (0, 0));
        assert_eq!((get(&mut shard, 1), get(&mut shard, 2)), (None, None));
        assert_eq!(shard.counters.hits, 1, "what was counted stays");
        for key in 0..20 {
            put(&mut shard, key, "new");
        }
        assert_eq!((shard.len(), get(&mut shard, 19)), (10, Some("new")));
    }

    #[test]
    fn a_fill_that_was_under_way_is_refused() {
        let mut shard = shard();
        let ticket = shard.begin();
        assert!(shard.holds(7, &[], ticket));
        panicking(&mut shard, |shard| put(shard, 1, "one"));
        assert!(!shard.holds(7, &[], ticket));
        let ticket = shard.begin();
        assert!(shard.holds(7, &[], ticket));
    }

    #[test]
    fn nothing_is_dropped_in_it() {
        let (mut shard, value) = (shard(), Rc::new(()));
        put(&mut shard, 1, value.clone());
        panicking(&mut shard, |_| ());
        assert_eq!((shard.len(), Rc::strong_count(&value)), (0, 2));
    }

    #[test]
    fn others_get_the_shard_after_a_panic() {
        let shards = Sharded::new(1, |_| shard::<u32>());
        shards.with(1, |shard| put(shard, 1, 10));
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| shards.with(1, |shard| shard.whole(|_| panic!("planted")))).join().is_err()
        });
        assert!(ended);
        shards.with(1, |shard| {
            assert_eq!(get(shard, 1), None);
            put(shard, 1, 11);
        });
        let shared = shards.share(1, |shard| match shard.find(1, |_| Match::Yes) {
            Found::Hit(slot) => shard.touch_shared(slot, || 0).copied(),
            _ => None,
        });
        assert_eq!(shared, Some(11), "neither closed nor poisoned");
    }
}
