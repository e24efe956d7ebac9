//! How long a machine was suspended, for a coarse clock that stands still meanwhile.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// There is no coarse clock that counts suspension, so the time is looked up again after so long: what was cached before a suspension
/// may look younger for as long after it.
const LOOK_EVERY_MS: u64 = 10;

/// What was known of it when it was looked up last.
pub struct Suspended {
    looked_at: AtomicU64,
    total_ms: AtomicU64,
}

impl Suspended {
    #[expect(clippy::new_without_default, reason = "made in statics only")]
    pub const fn new() -> Self {
        Self { looked_at: AtomicU64::new(0), total_ms: AtomicU64::new(0) }
    }

    /// Milliseconds of suspension until `now_ms` of a clock that leaves them out; `look` tells them. They never become fewer.
    ///
    /// Two threads may look at once: the larger answer stays, and who reads the smaller one was asked before.
    #[inline]
    pub fn ms(&self, now_ms: u64, look: impl FnOnce() -> u64) -> u64 {
        if now_ms.wrapping_sub(self.looked_at.load(Relaxed)) >= LOOK_EVERY_MS {
            self.total_ms.fetch_max(look(), Relaxed);
            self.looked_at.store(now_ms, Relaxed);
        }
        self.total_ms.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_counts_after_the_next_look() {
        let suspended = Suspended::new();
        assert_eq!(suspended.ms(1_000, || 7), 7);
        assert_eq!(suspended.ms(1_000 + LOOK_EVERY_MS - 1, || unreachable!()), 7);
        assert_eq!(suspended.ms(1_000 + LOOK_EVERY_MS, || 3_600_007), 3_600_007);
    }

    #[test]
    fn it_never_becomes_less() {
        let suspended = Suspended::new();
        assert_eq!(suspended.ms(1_000, || 8), 8);
        assert_eq!(suspended.ms(2_000, || 7), 8);
    }
}
