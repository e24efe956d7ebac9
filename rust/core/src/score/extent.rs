//! A stretch of a text, as the distinct trigrams in it.

use std::ops::Range;

use super::similarity::Similarity;
use super::trigram::{Letters, Trigram};

const NONE: u32 = u32::MAX;
const FIRST_SLOTS: usize = 256;

struct Entry {
    trigram: Trigram,
    shared: bool,
    dropped: bool,
    before: u32,
    after: u32,
}

/// The trigrams of an extent, each once, on a list in the order of their last places.
pub struct Extent {
    entries: Vec<Entry>,
    /// Open addressing: the number of an entry, valid where the round is the present one.
    slots: Vec<(u32, u32)>,
    round: u32,
    first: u32,
    newest: u32,
    distinct: u32,
    shared: u32,
}

impl Default for Extent {
    fn default() -> Self {
        let slots = vec![(0, NONE); FIRST_SLOTS];
        Self { entries: Vec::new(), slots, round: 1, first: NONE, newest: NONE, distinct: 0, shared: 0 }
    }
}

impl Extent {
    pub fn clear(&mut self) {
        self.entries.clear();
        (self.first, self.newest, self.distinct, self.shared) = (NONE, NONE, 0, 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.slots.fill((0, NONE));
            self.round = 1;
        }
    }

    /// Add what lies between two shared trigrams. False if that is so much that no extent over it is worth keeping.
    pub fn cross(&mut self, text: &Letters, gap: Range<usize>, wanted: u32) -> bool {
        let most = u64::from(wanted) * u64::from(self.shared);
        let mut fresh = 0u64;
        for trigram in gap.filter_map(|place| text.trigram(place)) {
            fresh += u64::from(self.push(trigram, false));
            if fresh > most {
                return false;
            }
        }
        true
    }

    /// Add a trigram at the right end. Whether it was not there before.
    pub fn push(&mut self, trigram: Trigram, shared: bool) -> bool {
        let id = self.find(trigram, shared);
        let is_new = self.entries[id as usize].dropped;
        if is_new {
            self.entries[id as usize].dropped = false;
            self.distinct += 1;
            self.shared += u32::from(shared);
        } else {
            self.unlink(id);
        }
        self.link(id);
        is_new
    }

    /// The entry of a trigram, made where there is none.
    fn find(&mut self, trigram: Trigram, shared: bool) -> u32 {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = hash(trigram) & mask;
        while self.slots[at].0 == self.round {
            let id = self.slots[at].1;
            if self.entries[id as usize].trigram == trigram {
                return id;
            }
            at = (at + 1) & mask;
        }
        let id = self.entries.len() as u32;
        self.slots[at] = (self.round, id);
        self.entries.push(Entry { trigram, shared, dropped: true, before: NONE, after: NONE });
        id
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        self.slots = vec![(0, NONE); size];
        for (id, entry) in self.entries.iter().enumerate() {
            let mut at = hash(entry.trigram) & (size - 1);
            while self.slots[at].0 == self.round {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = (self.round, id as u32);
        }
    }

    fn link(&mut self, id: u32) {
        let before = self.newest;
        let entry = &mut self.entries[id as usize];
        (entry.before, entry.after) = (before, NONE);
        if before == NONE {
            self.first = id;
        } else {
            self.entries[before as usize].after = id;
        }
        self.newest = id;
    }

    fn unlink(&mut self, id: u32) {
        let Entry { before, after, .. } = self.entries[id as usize];
        if before == NONE {
            self.first = after;
        } else {
            self.entries[before as usize].after = after;
        }
        if after == NONE {
            self.newest = before;
        } else {
            self.entries[after as usize].before = before;
        }
    }

    /// Drop from the left what makes the similarity larger, and answer the largest.
    pub fn tighten(&mut self, wanted: u32) -> Similarity {
        let measure = |shared, distinct| Similarity { shared, union: wanted + distinct - shared };
        let mut best = measure(self.shared, self.distinct);
        let (mut keep, mut kept) = (self.first, (self.shared, self.distinct));
        let (mut shared, mut distinct) = kept;
        let mut at = self.first;
        while at != NONE {
            let entry = &self.entries[at as usize];
            shared -= u32::from(entry.shared);
            distinct -= 1;
            at = entry.after;
            let similarity = measure(shared, distinct);
            if at != NONE && similarity.is_above(best) {
                (best, keep, kept) = (similarity, at, (shared, distinct));
            }
        }
        while self.first != keep && self.first != NONE {
            let id = self.first;
            self.unlink(id);
            self.entries[id as usize].dropped = true;
        }
        (self.shared, self.distinct) = kept;
        best
    }
}

fn hash(trigram: Trigram) -> usize {
    (trigram.wrapping_mul(0x85eb_ca6b) >> 12) as usize
}
