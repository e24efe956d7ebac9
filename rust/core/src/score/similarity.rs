//! pg_trgm's word_similarity: how much of a word is found in some extent of a text.
//!
//! The value is `shared / (distinct in the word + distinct in the extent − shared)` for the best extent that the method of
//! trgm_op.c (`iterate_word_similarity`) comes to: the extent grows to each shared trigram in turn, and then drops from
//! its left end whatever makes the value larger. The same extents are tried here in the same order, so the value is
//! the same to the last bit.
//!
//! Dropping a trigram that comes again later in the extent changes nothing; only the last occurrences are visited, on a
//! list kept in the order of their places. Without it a text of one trigram repeated would cost the square of its length.

use std::collections::HashMap;

use super::trigram::{self, Trigram};

const NONE: usize = usize::MAX;

/// A value of similarity as the fraction it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Similarity {
    pub shared: u32,
    pub union: u32,
}

impl Similarity {
    /// As PostgreSQL's float4.
    pub fn value(self) -> f32 {
        if self.union == 0 { 0.0 } else { self.shared as f32 / self.union as f32 }
    }

    /// Whether the value is at least 0.6: the threshold of pg_trgm's `%>`.
    pub fn is_similar(self) -> bool {
        self.union > 0 && 5 * u64::from(self.shared) >= 3 * u64::from(self.union)
    }

    fn is_above(self, other: Self) -> bool {
        let mine = u64::from(self.shared) * u64::from(other.union.max(1));
        let others = u64::from(other.shared) * u64::from(self.union.max(1));
        mine > others
    }
}

/// `word_similarity(word, text)` of pg_trgm.
pub fn word_similarity(word: &str, text: &str) -> Similarity {
    let (mut needle, mut hay) = (Vec::new(), Vec::new());
    trigram::positional(word, &mut needle);
    trigram::positional(text, &mut hay);
    needle.sort_unstable();
    needle.dedup();
    best_extent(&needle, &hay)
}

/// The similarity of distinct, sorted trigrams to the best extent of others.
pub fn best_extent(needle: &[Trigram], hay: &[Trigram]) -> Similarity {
    let mut extent = Extent::default();
    let mut best = Similarity::default();
    for (place, &trigram) in hay.iter().enumerate() {
        let shared = needle.binary_search(&trigram).is_ok();
        if !shared && extent.is_empty() {
            continue;
        }
        extent.push(trigram, place, shared);
        if shared {
            let similarity = extent.tighten(needle.len() as u32);
            if similarity.is_above(best) {
                best = similarity;
            }
        }
    }
    best
}

struct Entry {
    last: usize,
    shared: bool,
    before: usize,
    after: usize,
}

/// The trigrams of an extent, each once, on a list in the order of their last places.
#[derive(Default)]
struct Extent {
    entries: Vec<Entry>,
    index: HashMap<Trigram, usize>,
    first: Option<usize>,
    newest: usize,
    distinct: u32,
    shared: u32,
}

impl Extent {
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, trigram: Trigram, place: usize, shared: bool) {
        let next = self.entries.len();
        let id = *self.index.entry(trigram).or_insert(next);
        if id == next {
            self.entries.push(Entry { last: NONE, shared, before: NONE, after: NONE });
        }
        if self.entries[id].last == NONE {
            self.distinct += 1;
            self.shared += u32::from(shared);
        } else {
            self.unlink(id);
        }
        self.link(id, place);
    }

    fn link(&mut self, id: usize, place: usize) {
        let before = if self.first.is_some() { self.newest } else { NONE };
        let entry = &mut self.entries[id];
        (entry.last, entry.before, entry.after) = (place, before, NONE);
        if before == NONE {
            self.first = Some(id);
        } else {
            self.entries[before].after = id;
        }
        self.newest = id;
    }

    fn unlink(&mut self, id: usize) {
        let Entry { before, after, .. } = self.entries[id];
        if before == NONE {
            self.first = (after != NONE).then_some(after);
        } else {
            self.entries[before].after = after;
        }
        if after == NONE {
            self.newest = before;
        } else {
            self.entries[after].before = before;
        }
    }

    /// Drop from the left what makes the similarity larger, and answer the largest.
    fn tighten(&mut self, wanted: u32) -> Similarity {
        let measure = |shared, distinct| Similarity { shared, union: wanted + distinct - shared };
        let mut best = measure(self.shared, self.distinct);
        let mut keep = self.first;
        let (mut shared, mut distinct) = (self.shared, self.distinct);
        let mut at = self.first;
        while let Some(id) = at {
            let entry = &self.entries[id];
            shared -= u32::from(entry.shared);
            distinct -= 1;
            at = (entry.after != NONE).then_some(entry.after);
            let similarity = measure(shared, distinct);
            if at.is_some() && similarity.is_above(best) {
                (best, keep) = (similarity, at);
                (self.shared, self.distinct) = (shared, distinct);
            }
        }
        self.drop_before(keep);
        best
    }

    fn drop_before(&mut self, keep: Option<usize>) {
        while self.first != keep {
            let Some(id) = self.first else { return };
            self.unlink(id);
            self.entries[id].last = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_postgresql() {
        for (word, text, expected) in [
            ("word", "two words", 0.8),
            ("word", "word", 1.0),
            ("ordr", "order", 0.6),
            ("ordr", "purchase_order", 0.6),
            ("abc", "", 0.0),
            ("", "abc", 0.0),
            ("___", "abc", 0.0),
        ] {
            assert_eq!(word_similarity(word, text).value(), expected, "{word} in {text}");
        }
        assert!(word_similarity("ordr", "order").is_similar());
    }

    #[test]
    fn a_repeated_trigram_costs_no_square() {
        let text = "ab".repeat(200_000);
        assert!(word_similarity("abacus", &text).value() < 0.6);
    }
}
