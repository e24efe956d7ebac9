//! Whether a key was written or invalidated since a load of it began (coherence.md, rule 4).
//!
//! One counter numbers the invalidations, and a ticket is the number at which a load began. The hashes of the latest are kept in
//! a ring: a load that saw no more than those is answered exactly. For a longer one, each stripe of hashes keeps the number of
//! its last invalidation; a stripe shared by two keys can refuse a fill that was good, never accept one that was not. Memory is
//! the same however many loads are under way or were abandoned. Nothing is kept until the first load begins.

/// 32 KiB a shard. Of loads that saw 500 invalidations, 1 in 8 is refused without need.
const STRIPES: usize = 4096;
/// 512 bytes a shard: 10,000 invalidations a second for 12 ms.
const LATEST: usize = 128;

struct Kept {
    stripes: [u64; STRIPES],
    /// The hash of the invalidation with number n at n % LATEST.
    latest: [u32; LATEST],
}

#[derive(Default)]
pub struct Fence {
    sequence: u64,
    cleared: u64,
    kept: Option<Box<Kept>>,
}

impl Fence {
    /// The ticket of a load that begins now.
    pub fn begin(&mut self) -> u64 {
        self.kept.get_or_insert_with(|| Box::new(Kept { stripes: [0; STRIPES], latest: [0; LATEST] }));
        self.sequence
    }

    #[inline]
    pub fn invalidate(&mut self, hash: u32) {
        if let Some(kept) = &mut self.kept {
            self.sequence += 1;
            kept.stripes[hash as usize % STRIPES] = self.sequence;
            kept.latest[self.sequence as usize % LATEST] = hash;
        }
    }

    pub fn clear(&mut self) {
        self.sequence += 1;
        self.cleared = self.sequence;
    }

    /// Nothing of this hash was invalidated since `ticket`.
    pub fn holds(&self, hash: u32, ticket: u64) -> bool {
        if self.cleared > ticket {
            return false;
        }
        let Some(kept) = &self.kept else { return true };
        if self.sequence.saturating_sub(ticket) > LATEST as u64 {
            return kept.stripes[hash as usize % STRIPES] <= ticket;
        }
        (ticket + 1..=self.sequence).all(|number| kept.latest[number as usize % LATEST] != hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_or_a_clear_after_the_ticket_breaks_it() {
        let mut fence = Fence::default();
        let ticket = fence.begin();
        assert!(fence.holds(5, ticket));
        fence.invalidate(6);
        assert!(fence.holds(5, ticket));
        fence.invalidate(5);
        assert!(!fence.holds(5, ticket));
        let ticket = fence.begin();
        assert!(fence.holds(5, ticket));
        fence.clear();
        assert!(!fence.holds(5, ticket));
    }

    #[test]
    fn keys_that_share_a_stripe_are_told_apart_among_the_latest() {
        let (mut fence, shares) = (Fence::default(), 5 + STRIPES as u32);
        let ticket = fence.begin();
        fence.invalidate(shares);
        (1..LATEST as u32).for_each(|number| fence.invalidate(1000 + number));
        assert!(fence.holds(5, ticket));
        assert!(!fence.holds(shares, ticket));
        fence.invalidate(2000);
        assert!(!fence.holds(5, ticket), "too long ago to tell");
        assert!(fence.holds(6, ticket));
        let ticket = fence.begin();
        (0..3 * LATEST as u32).for_each(|number| fence.invalidate(1000 + number));
        assert!(!fence.holds(1000, ticket));
        assert!(fence.holds(5, ticket));
    }
}
