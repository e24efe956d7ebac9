//! L1.6 without a free-threaded interpreter: hits a second of two native threads over those of one, on the sharded cache.
//!
//! `cargo run --release -p tierstore-core --example two_threads`

use std::hint::black_box;
use std::thread::scope;
use std::time::Instant;
use tierstore_core::cache::{Choice, Found, Life, Limits, Match, Removed, Shard, Sharded, mix, share};

const KEYS: u64 = 10_000;
const LOOK_UPS: u64 = 20_000_000;
const SHARDS: usize = 16;
const ROUNDS: usize = 5;

type Cache = Sharded<Shard<u64, u64>>;

fn filled() -> Cache {
    let limits = |number| Limits { entries: share(2 * KEYS as usize, SHARDS, number), weight: u64::MAX };
    let cache = Sharded::new(SHARDS, |number| Shard::new(limits(number), Choice::Default));
    let life = Life { ttl: None, idle: None, weight: 1, tags: &[] };
    for key in 0..KEYS {
        let mut out = Removed::default();
        cache.with(mix(key), |shard| shard.insert(mix(key), (key, key), &life, 0, &mut out));
    }
    cache
}

fn hit(cache: &Cache, key: u64) -> Option<u64> {
    let same = |kept: &u64| if *kept == key { Match::Yes } else { Match::No };
    cache.share(mix(key), |shard| match shard.find(mix(key), same) {
        Found::Hit(slot) => shard.touch_shared(slot, || 0).copied(),
        _ => None,
    })
}

/// Look-ups a second of `threads` together.
fn rate(cache: &Cache, threads: u64) -> f64 {
    let start = Instant::now();
    scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut state = thread + 1;
                for _ in 0..LOOK_UPS {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    black_box(hit(cache, (state >> 33) % KEYS));
                }
            });
        }
    });
    (threads * LOOK_UPS) as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let cache = filled();
    let mut ratios: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (rate(&cache, 1), rate(&cache, 2))).collect();
    ratios.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    let (one, two) = ratios[ROUNDS / 2];
    println!("1 thread {:.1} M/s, 2 threads {:.1} M/s: {:.2} x (goal: 1.7 x)", one / 1e6, two / 1e6, two / one);
}
