//! What `sharded` is built of. `tests/sharded_schedules.rs` puts a scheduler's own in place of these.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

pub use std::hint::spin_loop;
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub use std::sync::{Mutex, PoisonError};
pub use std::thread::yield_now;

/// Threads share a lane where there are more of them.
pub const LANES: usize = 16;

/// The lane of this thread.
pub fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    LANE.with(|lane| {
        if lane.get() == usize::MAX {
            lane.set(NEXT.fetch_add(1, Ordering::Relaxed) % LANES);
        }
        lane.get()
    })
}
