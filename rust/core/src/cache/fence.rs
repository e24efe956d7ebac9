//! Whether a key was written or invalidated since a load of it began (coherence.md, rule 4).
//!
//! One counter numbers the invalidations, and a ticket is the number at which a load began. Of each hash the number of its last
//! invalidation is kept, in sets of `WAYS` hashes. A set that is full forgets the one that is longest ago, and keeps its number: a ticket
//! from before it is refused for every hash of the set that is not there. So a fill that was good can be refused, never one accepted that
//! was not. Memory is the same however many loads are under way or were abandoned. Nothing is kept until the first load begins.
//!
//! How many are refused without need: those whose set had more than `WAYS` of the invalidations that the load saw. By Poisson's
//! distribution that is 1 in 1,000 where it saw 2,000 of them, 1 in 50 of 2,500, half of 4,200. (One number for each of 4,096
//! stripes, in as much memory, refused 1 in 8 where it saw 500, and 46 in 100 of 2,500.)

/// Hashes in a set: a cache line, and one of their numbers.
const WAYS: usize = 16;
/// 33 KiB a shard.
const SETS: usize = 256;
/// The lowest bits of a hash choose its shard.
const SHARD_BITS: u32 = 8;

#[derive(Clone, Copy)]
struct Set {
    hashes: [u32; WAYS],
    /// Counted from `Kept::base`; 0: an empty place.
    numbers: [u32; WAYS],
    /// The number of what was forgotten last.
    forgotten: u32,
}

struct Kept {
    sets: [Set; SETS],
    base: u64,
}

#[derive(Default)]
pub struct Fence {
    sequence: u64,
    cleared: u64,
    kept: Option<Box<Kept>>,
}

const EMPTY: Set = Set { hashes: [0; WAYS], numbers: [0; WAYS], forgotten: 0 };

fn set_of(hash: u32) -> usize {
    (hash >> SHARD_BITS) as usize % SETS
}

impl Set {
    fn place(&self, hash: u32) -> Option<usize> {
        (0..WAYS).find(|&at| self.hashes[at] == hash && self.numbers[at] != 0)
    }

    fn put(&mut self, hash: u32, number: u32) {
        let at = self.place(hash).unwrap_or_else(|| {
            let oldest = (1..WAYS).fold(0, |best, at| if self.numbers[at] < self.numbers[best] { at } else { best });
            self.forgotten = self.numbers[oldest];
            oldest
        });
        (self.hashes[at], self.numbers[at]) = (hash, number);
    }
}

impl Fence {
    /// The ticket of a load that begins now.
    pub fn begin(&mut self) -> u64 {
        let base = self.sequence;
        self.kept.get_or_insert_with(|| Box::new(Kept { sets: [EMPTY; SETS], base }));
        self.sequence
    }

    #[inline]
    pub fn invalidate(&mut self, hash: u32) {
        if let Some(kept) = &mut self.kept {
            self.sequence += 1;
            match u32::try_from(self.sequence - kept.base) {
                Ok(number) => kept.sets[set_of(hash)].put(hash, number),
                Err(_) => self.begin_anew(),
            }
        }
    }

    pub fn clear(&mut self) {
        self.sequence += 1;
        self.cleared = self.sequence;
    }

    /// Once in 4 billion invalidations the numbers begin again, and every load under way is refused.
    #[cold]
    fn begin_anew(&mut self) {
        self.clear();
        self.kept = None;
        self.begin();
    }

    /// Nothing of this hash was invalidated since `ticket`.
    pub fn holds(&self, hash: u32, ticket: u64) -> bool {
        if self.cleared > ticket {
            return false;
        }
        let Some(kept) = &self.kept else { return true };
        let set = &kept.sets[set_of(hash)];
        let last = set.place(hash).map_or(set.forgotten, |at| set.numbers[at]);
        kept.base + u64::from(last) <= ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_ONE_SET: u32 = (SETS as u32) << SHARD_BITS;

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
    fn a_full_set_forgets_the_oldest_and_refuses_what_it_cannot_tell() {
        let mut fence = Fence::default();
        let before = fence.begin();
        (1..=WAYS as u32).for_each(|number| fence.invalidate(number * OF_ONE_SET));
        assert!(fence.holds(0, before));
        assert!(!fence.holds(OF_ONE_SET, before));
        let between = fence.begin();
        fence.invalidate(100 * OF_ONE_SET);
        assert!(!fence.holds(0, before), "one of the set was forgotten since");
        assert!(!fence.holds(OF_ONE_SET, before), "it is the one");
        assert!(fence.holds(0, between));
        assert!(fence.holds(OF_ONE_SET, between));
        assert!(fence.holds(1 << SHARD_BITS, before), "of another set");
        (0..1000).for_each(|_| fence.invalidate(100 * OF_ONE_SET));
        assert!(fence.holds(0, between), "one hash takes one place, however often");
    }

    #[test]
    fn thousands_are_kept_apart() {
        let spread = |number: u32| number.wrapping_mul(0x9E37_79B9).rotate_left(15).wrapping_mul(0x85EB_CA6B);
        let mut fence = Fence::default();
        let ticket = fence.begin();
        (0..2_500).for_each(|number| fence.invalidate(spread(number)));
        assert!((0..2_500).all(|number| !fence.holds(spread(number), ticket)));
        let taken = (2_500..5_000).filter(|number| fence.holds(spread(*number), ticket)).count();
        assert!(taken > 2_350, "{taken}");
    }

    #[test]
    fn the_numbers_begin_again_and_accept_nothing_from_before() {
        let mut fence = Fence::default();
        let ticket = fence.begin();
        fence.sequence += u64::from(u32::MAX) - 1;
        fence.invalidate(5);
        assert!(!fence.holds(5, ticket));
        let late = fence.begin();
        fence.invalidate(5);
        assert!(!fence.holds(5, late));
        assert!(!fence.holds(6, late), "every load under way is refused");
        let after = fence.begin();
        assert!(fence.holds(5, after));
        fence.invalidate(5);
        assert!(!fence.holds(5, after));
        assert!(fence.holds(6, after));
    }
}
