//! Who left lately: 8 bytes for each of them, in sets of eight that are one cache line, the newest first.
//!
//! A set drops its oldest when it is full, so that together they hold about the last `SHARE` × capacity evictions. Half of
//! the hash finds the set and 20 other bits the ghost in it: 8 in a million look-ups meet a stranger's ghost, which costs a
//! wrong guess of the policy and nothing else.

const WAYS: usize = 8;
/// Ghosts for each entry of the cache: 24 bytes an entry. Two were enough on application traces, three serve loops better.
const SHARE: usize = 3;
const TAG_BITS: u32 = 20;
const ROUND_BITS: u32 = 21;
const EMPTY: u64 = 0;

/// What is remembered of an entry that was evicted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ghost {
    /// It left the main queue, not the probation queue.
    pub main: bool,
    /// When it was last used, on the policy's clock.
    pub last: u32,
    /// How many evictions its queue had had by then, modulo 2^ROUND_BITS.
    round: u32,
}

impl Ghost {
    pub fn new(main: bool, last: u32, round: u64) -> Self {
        Self { main, last, round: (round as u32) & ((1 << ROUND_BITS) - 1) }
    }

    /// How many evictions its queue has had since, if `round` is their number now.
    pub fn depth(self, round: u64) -> u64 {
        u64::from((round as u32).wrapping_sub(self.round) & ((1 << ROUND_BITS) - 1))
    }

    /// tag:20 main:1 last:22 (its clock has 24: the lowest two are dropped) round:21
    fn pack(self, hash: u32) -> u64 {
        let tag = u64::from(hash & ((1 << TAG_BITS) - 1));
        (tag << 44) | (u64::from(self.main) << 43) | (u64::from(self.last >> 2) << 21) | u64::from(self.round)
    }

    fn unpack(word: u64) -> Self {
        Self {
            main: (word >> 43) & 1 == 1,
            last: ((word >> 21) as u32 & 0x3F_FFFF) << 2,
            round: word as u32 & ((1 << ROUND_BITS) - 1),
        }
    }
}

#[derive(Default)]
pub struct Ghosts {
    /// The number of entries that there is room for.
    fitted: usize,
    sets: Vec<[u64; WAYS]>,
}

impl Ghosts {
    /// Make room for the ghosts of a cache of `entries`, which will have at most `most`. Growing forgets those there are.
    #[inline]
    pub fn fit(&mut self, entries: usize, most: usize) {
        if self.fitted < entries {
            self.fitted = entries.saturating_mul(2).min(most);
            self.sets = vec![[EMPTY; WAYS]; self.fitted.saturating_mul(SHARE).div_ceil(WAYS).max(1)];
        }
    }

    fn set(&mut self, hash: u32) -> &mut [u64; WAYS] {
        let index = (u64::from(hash) * self.sets.len() as u64) >> 32;
        &mut self.sets[index as usize]
    }

    pub fn insert(&mut self, hash: u32, ghost: Ghost) {
        let set = self.set(hash);
        let [a, b, c, d, e, f, g, _] = *set;
        *set = [ghost.pack(hash), a, b, c, d, e, f, g];
    }

    /// Take the ghost of this hash, if there is one.
    pub fn take(&mut self, hash: u32) -> Option<Ghost> {
        if self.sets.is_empty() {
            return None;
        }
        let tag = u64::from(hash & ((1 << TAG_BITS) - 1));
        let set = self.set(hash);
        // All eight at once, without a branch: most look-ups find nothing.
        let wanted = tag << 44;
        let found = set.iter().fold(false, |found, &word| found | ((word ^ wanted) >> 44 == 0));
        if !found {
            return None;
        }
        let at = set.iter().position(|&word| word != EMPTY && word >> 44 == tag)?;
        let ghost = Ghost::unpack(set[at]);
        set.copy_within(at + 1.., at);
        set[WAYS - 1] = EMPTY;
        Some(ghost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ghost_is_taken_once_and_as_it_was() {
        let mut ghosts = Ghosts::default();
        assert_eq!(ghosts.take(7), None);
        ghosts.fit(10, 10);
        let ghost = Ghost::new(true, 0xAB_CDE0, (1 << 21) + 5);
        ghosts.insert(0xDEAD_BEEF, ghost);
        assert_eq!(ghosts.take(0xDEAD_BEEF), Some(ghost));
        assert_eq!(ghosts.take(0xDEAD_BEEF), None);
        assert_eq!(ghost.depth((1 << 21) + 9), 4);
    }

    #[test]
    fn the_oldest_of_a_set_is_forgotten() {
        let mut ghosts = Ghosts::default();
        ghosts.fit(1, 1);
        for hash in 1..=9 {
            ghosts.insert(hash, Ghost::new(false, 0, 0));
        }
        assert_eq!(ghosts.take(1), None);
        assert!((2..=9).all(|hash| ghosts.take(hash).is_some()));
    }
}
