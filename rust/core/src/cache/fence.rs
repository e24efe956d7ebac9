//! Whether a key was written or invalidated since a load of it began (coherence.md, rule 4).
//!
//! One counter numbers the invalidations; each stripe of hashes keeps the number of its last one, and a ticket is the
//! number at which a load began. A stripe shared by two keys can refuse a fill that was good, never accept one that was not;
//! memory is the stripes, however many loads are under way or were abandoned. Nothing is kept until the first load begins.

/// 32 KiB a shard. At 10,000 invalidations a second and a load of 5 ms, 1 fill in 80 is refused without need.
const STRIPES: usize = 4096;

#[derive(Default)]
pub struct Fence {
    sequence: u64,
    cleared: u64,
    stripes: Option<Box<[u64]>>,
}

impl Fence {
    /// The ticket of a load that begins now.
    pub fn begin(&mut self) -> u64 {
        self.stripes.get_or_insert_with(|| vec![0; STRIPES].into_boxed_slice());
        self.sequence
    }

    #[inline]
    pub fn invalidate(&mut self, hash: u32) {
        if let Some(stripes) = &mut self.stripes {
            self.sequence += 1;
            stripes[hash as usize % STRIPES] = self.sequence;
        }
    }

    pub fn clear(&mut self) {
        self.sequence += 1;
        self.cleared = self.sequence;
    }

    /// Nothing of this hash was invalidated since `ticket`.
    pub fn holds(&self, hash: u32, ticket: u64) -> bool {
        let last = self.stripes.as_ref().map_or(0, |stripes| stripes[hash as usize % STRIPES]);
        self.cleared <= ticket && last <= ticket
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
}
