//! The shards behind their locks, on real threads: under miri and the sanitizers too.

use tierstore_core::cache::{Choice, Found, Life, Limits, Match, Removed, Shard, Sharded, mix, share};

const ROUNDS: u64 = if cfg!(miri) { 60 } else { 20_000 };

#[test]
fn shares_add_up() {
    for bound in [16, 17, 100, 12_345] {
        assert_eq!((0..16).map(|number| share(bound, 16, number)).sum::<usize>(), bound);
    }
}

#[test]
fn threads_find_what_they_put() {
    let cache = Sharded::new(4, |number| {
        Shard::new(Limits { entries: share(64, 4, number), weight: u64::MAX }, Choice::Default)
    });
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let cache = &cache;
            scope.spawn(move || (0..ROUNDS).for_each(|round| put_and_get(cache, (round * 7 + thread) % 100)));
        }
    });
    let entries: usize = (0..4).map(|number| cache.nth(number, |shard| shard.len())).sum();
    assert!(entries <= 64);
    let used: u64 = (0..4).map(|number| cache.nth(number, |shard| shard.counters.hits)).sum();
    assert!(used > 0);
}

fn put_and_get(cache: &Sharded<Shard<u64, Box<u64>>>, key: u64) {
    let (hash, mut out) = (mix(key), Removed::default());
    let same = |kept: &u64| if *kept == key { Match::Yes } else { Match::No };
    let found = cache.share(hash, |shard| match shard.find(hash, same) {
        Found::Hit(slot) => shard.touch_shared(slot, || 0).map(|value| **value),
        _ => None,
    });
    if found.is_some() {
        return assert_eq!(found, Some(key));
    }
    cache.with(hash, |shard| match shard.find(hash, same) {
        Found::Hit(slot) => assert_eq!(shard.touch(slot, || 0, &mut out).map(|value| **value), Some(key)),
        _ => {
            let life = Life { ttl: None, idle: None, weight: 1, tags: &[] };
            shard.insert(hash, (key, Box::new(key)), &life, 0, &mut out);
        }
    });
}
