//! The concurrent wrapper under a scheduler that tries other orders of its steps: nobody is in a shard beside one who changes it,
//! nobody waits for ever, and every hit is counted.
//!
//! The file under test is taken as it is, over the scheduler's atomics and locks. `SCHEDULES=1000000 cargo test --release -p
//! tierstore-core --test sharded_schedules` looks longer. What a weak processor may reorder is miri's part (CONTRIBUTING.md).

use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[path = "../src/cache/sharded.rs"]
#[allow(dead_code)]
mod sharded;

/// Two lanes, so that both are waited for; readers with the same number share one.
mod sync {
    pub use shuttle::hint::spin_loop;
    pub use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
    pub use shuttle::sync::{Mutex, PoisonError};
    pub use shuttle::thread::yield_now;
    use std::cell::Cell;

    pub const LANES: usize = 2;

    shuttle::thread_local! {
        pub static LANE: Cell<usize> = Cell::new(0);
    }

    pub fn lane() -> usize {
        LANE.with(Cell::get)
    }
}

use sharded::{Counted, Sharded};

/// Notices company that it should not have. Its own atomics are no steps of the schedule.
#[derive(Default)]
struct Watched {
    readers: AtomicUsize,
    changing: AtomicBool,
    value: AtomicU64,
    hits: u64,
}

impl Counted for Watched {
    fn count_hits(&mut self, hits: u64) {
        self.hits += hits;
    }
}

impl Watched {
    fn read(&self) -> Option<u64> {
        self.readers.fetch_add(1, Ordering::SeqCst);
        let before = self.value.load(Ordering::SeqCst);
        thread::yield_now();
        assert!(!self.changing.load(Ordering::SeqCst), "a reader is in beside one who changes");
        assert_eq!(self.value.load(Ordering::SeqCst), before);
        self.readers.fetch_sub(1, Ordering::SeqCst);
        before.is_multiple_of(2).then_some(before)
    }

    fn change(&mut self) {
        assert!(!self.changing.swap(true, Ordering::SeqCst), "two change at once");
        thread::yield_now();
        assert_eq!(self.readers.load(Ordering::SeqCst), 0, "one who changes is in beside a reader");
        self.value.fetch_add(1, Ordering::SeqCst);
        self.changing.store(false, Ordering::SeqCst);
    }
}

fn story() {
    let cache = Arc::new(Sharded::new(2, |_| Watched::default()));
    let hits = Arc::new(AtomicU64::new(0));
    let readers = [0, 1, 1].map(|lane| {
        let (cache, hits) = (cache.clone(), hits.clone());
        thread::spawn(move || {
            sync::LANE.with(|own| own.set(lane));
            for hash in [0, 1, 0] {
                match cache.share(hash, Watched::read) {
                    Some(_) => assert!(hits.fetch_add(1, Ordering::SeqCst) < 9),
                    None => cache.with(hash, |shard| assert!(shard.read().is_none_or(|value| value.is_multiple_of(2)))),
                }
            }
        })
    });
    let writers = [0, 1].map(|hash| {
        let cache = cache.clone();
        thread::spawn(move || {
            cache.with(hash, Watched::change);
            cache.with(0, Watched::change);
        })
    });
    readers.into_iter().chain(writers).for_each(|each| each.join().expect("no assertion failed"));
    let counted: u64 = (0..2).map(|number| cache.nth(number, |shard| shard.hits)).sum();
    assert_eq!(counted, hits.load(Ordering::SeqCst));
    assert_eq!(cache.share(0, |_| Some(())), Some(()), "it is open again");
}

fn schedules() -> usize {
    std::env::var("SCHEDULES").map_or(1_000, |count| count.parse().expect("SCHEDULES is a number"))
}

#[test]
fn any_order_of_steps() {
    shuttle::check_random(story, schedules());
}

#[test]
fn orders_with_few_interruptions() {
    shuttle::check_pct(story, schedules(), 4);
}
