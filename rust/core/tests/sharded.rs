//! The shards behind their locks, on eight real threads: under miri and the sanitizers too (CONTRIBUTING.md). `STORM_SECONDS=60`
//! goes on for longer.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tierstore_core::cache::{Choice, Found, Life, Limits, Match, Reason, Removed, Shard, Sharded, mix, share};

const THREADS: u64 = 8;
const ROUNDS: u64 = if cfg!(miri) { 60 } else { 20_000 };
const ENTRIES: usize = 64;
const KEYS: u64 = 200;

/// Boxed, so that a value that is used after it was dropped is seen.
type Cache = Sharded<Shard<u64, Box<u64>>>;

#[test]
fn shares_add_up() {
    for bound in [16, 17, 100, 12_345] {
        assert_eq!((0..16).map(|number| share(bound, 16, number)).sum::<usize>(), bound);
    }
}

#[test]
fn threads_find_what_they_put() {
    for choice in [Choice::Default, Choice::Lru] {
        let limits = |number| Limits { entries: share(ENTRIES, 4, number), weight: u64::MAX };
        let cache = Sharded::new(4, |number| Shard::new(limits(number), choice));
        let end = seconds().map(|seconds| Instant::now() + Duration::from_secs(seconds) / 2);
        let cache = &cache;
        let hits: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || storm(cache, end, thread))).collect();
            threads.into_iter().map(|each| each.join().expect("no assertion failed")).sum()
        });
        let entries: usize = (0..4).map(|number| cache.nth(number, |shard| shard.len())).sum();
        assert!(entries <= ENTRIES);
        let counted: u64 = (0..4).map(|number| cache.nth(number, |shard| shard.counters.hits)).sum();
        assert!(counted == hits && hits > 0);
    }
}

fn seconds() -> Option<u64> {
    std::env::var("STORM_SECONDS").ok().map(|seconds| seconds.parse().expect("STORM_SECONDS is a number"))
}

/// Random operations for ROUNDS, or until `end`. How many hits there were.
fn storm(cache: &Cache, end: Option<Instant>, thread: u64) -> u64 {
    let (mut state, mut hits, mut round) = (thread, 0, 0);
    while end.map_or(round < ROUNDS, |end| !round.is_multiple_of(1000) || Instant::now() < end) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = (state >> 33) % KEYS;
        match (state >> 48) % 32 {
            0 => change(cache, key, |shard, slot, out| shard.remove(slot, Reason::Invalidated, out)),
            1 => change(cache, key, |shard, slot, _| {
                assert!(
                    shard.swap(slot, Box::new(key)).is_ok_and(|old| *old == key)
                        || key.is_multiple_of(3)
                        || key % 2 == 1
                )
            }),
            2 => cache.nth(0, |shard| assert!(shard.sweep(round, 16, &mut Removed::default()) <= 16)),
            3 => {
                cache.nth(1, |shard| assert!(shard.invalidate_tag("odd", mix(KEYS), 16, &mut Removed::default()) <= 16))
            }
            4 if round.is_multiple_of(64) => cache.nth(2, |shard| shard.clear(&mut Removed::default())),
            _ => hits += u64::from(get_or_put(cache, key, round)),
        }
        round += 1;
    }
    hits
}

fn same(key: u64) -> impl Fn(&u64) -> Match + Copy {
    move |kept| if *kept == key { Match::Yes } else { Match::No }
}

fn change(cache: &Cache, key: u64, act: impl Fn(&mut Shard<u64, Box<u64>>, u32, &mut Removed<u64, Box<u64>>)) {
    let mut out = Removed::default();
    cache.with(mix(key), |shard| {
        if let Found::Hit(slot) = shard.find(mix(key), same(key)) {
            act(shard, slot, &mut out);
        }
    });
}

fn get_or_put(cache: &Cache, key: u64, now: u64) -> bool {
    let (hash, mut out) = (mix(key), Removed::default());
    let found = cache.share(hash, |shard| match shard.find(hash, same(key)) {
        Found::Hit(slot) => shard.touch_shared(slot, || now).map(|value| **value),
        _ => None,
    });
    if found.is_some() {
        assert_eq!(found, Some(key));
        return true;
    }
    cache.with(hash, |shard| {
        if let Found::Hit(slot) = shard.find(hash, same(key))
            && let Some(value) = shard.touch(slot, || now, &mut out)
        {
            assert_eq!(**value, key);
            return true;
        }
        if let Found::Miss(_) = shard.find(hash, same(key)) {
            let tags: Vec<Arc<str>> = (key % 2 == 1).then(|| Arc::from("odd")).into_iter().collect();
            let life = Life { ttl: key.is_multiple_of(3).then_some(50), idle: None, weight: 1, tags: &tags };
            shard.insert(hash, (key, Box::new(key)), &life, now, &mut out);
        }
        false
    })
}
