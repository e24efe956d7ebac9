//! pg_trgm's word_similarity: how much of a word is found in some extent of a text.
//!
//! The value is `shared / (distinct in the word + distinct in the extent − shared)` for the best extent that the method of
//! trgm_op.c (`iterate_word_similarity`) comes to: the extent grows to each shared trigram in turn, and then drops from
//! its left end whatever makes the value larger. The same extents are tried here in the same order, so the value is
//! the same to the last bit. Two things make it quick, and neither changes a value:
//!
//! * Only the last place of a trigram in the extent counts when its left end is moved; those are kept on a list in order
//!   (`extent`), so a text that repeats itself does not cost the square of its length.
//! * If more than `wanted × shared` distinct other trigrams lie between two shared ones, the extent begins anew at the second:
//!   any extent over the gap has at most `(shared + 1) / (wanted + gap)`, less than the `1 / wanted` of the second alone. So
//!   behind a lonely match only a few trigrams are looked at, not the way to the next.

use std::ops::Range;

use super::extent::Extent;
use memchr::memmem::Finder;

use super::trigram::{Letters, Trigram, finder};

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

    pub fn is_above(self, other: Self) -> bool {
        let mine = u64::from(self.shared) * u64::from(other.union.max(1));
        let others = u64::from(other.shared) * u64::from(self.union.max(1));
        mine > others
    }
}

/// `word_similarity(word, text)` of pg_trgm.
pub fn word_similarity(word: &str, text: &str) -> Similarity {
    let (needle, text, work) = (Needle::new(word), Letters::new(text), &mut Work::default());
    needle.find(&text, work);
    let Work { hits, extent, .. } = work;
    needle.best_extent(&text, hits, extent)
}

/// The distinct trigrams of a word.
pub struct Needle {
    /// In order.
    trigrams: Vec<Trigram>,
    /// One for each, of a word of ASCII letters.
    finders: Vec<Finder<'static>>,
    /// Whether a trigram may be among them, by its `slot`: most of a text is told apart by one look.
    filter: Box<[bool; FILTER_SLOTS]>,
}

const FILTER_SLOTS: usize = 4096;

/// The buffers of a search.
#[derive(Default)]
pub struct Work {
    /// Places of shared trigrams.
    hits: Vec<usize>,
    /// Distinct trigrams of a gap.
    gap: Vec<Trigram>,
    extent: Extent,
}

impl Needle {
    pub fn new(word: &str) -> Self {
        let letters = Letters::new(word);
        let mut trigrams = letters.trigrams();
        trigrams.sort_unstable();
        trigrams.dedup();
        let mut filter = Box::new([false; FILTER_SLOTS]);
        trigrams.iter().for_each(|&trigram| filter[slot(trigram)] = true);
        let sought = if letters.is_ascii() { trigrams.as_slice() } else { &[] };
        let finders = sought.iter().map(|&trigram| finder(trigram)).collect();
        Self { trigrams, finders, filter }
    }

    /// The similarity, if it is at least 0.6.
    ///
    /// An extent of that value has six tenths of the word's trigrams at least, and at most two thirds as many others as
    /// the word has trigrams. So the text is cut at every gap of more others: a cluster of matches between two such gaps has
    /// the same best extent alone, and most clusters are too small to be looked at.
    pub fn similar(&self, text: &Letters, work: &mut Work) -> Option<Similarity> {
        if self.trigrams.is_empty() || !self.may_be_similar(text) {
            return None;
        }
        self.find(text, work);
        let Work { hits, gap, extent } = work;
        let clusters = hits.chunk_by(|from, to| !self.is_cut(text, from + 1..*to, gap));
        let mut best = Similarity::default();
        for cluster in clusters.filter(|cluster| cluster.len() >= self.least_shared()) {
            let similarity = self.best_extent(text, cluster, extent);
            if similarity.is_above(best) {
                best = similarity;
            }
        }
        best.is_similar().then_some(best)
    }

    fn least_shared(&self) -> usize {
        (3 * self.trigrams.len()).div_ceil(5)
    }

    /// Whether the text has enough of the trigrams anywhere.
    fn may_be_similar(&self, text: &Letters) -> bool {
        if !text.is_ascii() {
            return true;
        }
        let mut missing = self.trigrams.len() - self.least_shared() + 1;
        for finder in &self.finders {
            missing -= usize::from(!text.has(finder));
            if missing == 0 {
                return false;
            }
        }
        true
    }

    /// Whether more distinct trigrams lie in a gap than an extent of 0.6 could hold.
    fn is_cut(&self, text: &Letters, gap: Range<usize>, distinct: &mut Vec<Trigram>) -> bool {
        let most = 2 * self.trigrams.len() / 3;
        if gap.len() <= most {
            return false;
        }
        distinct.clear();
        for trigram in gap.filter_map(|place| text.trigram(place)) {
            if !distinct.contains(&trigram) {
                distinct.push(trigram);
                if distinct.len() > most {
                    return true;
                }
            }
        }
        false
    }

    /// Note where the shared trigrams are.
    fn find(&self, text: &Letters, work: &mut Work) {
        work.hits.clear();
        text.each(|place, trigram| {
            if self.filter[slot(trigram)] && self.trigrams.binary_search(&trigram).is_ok() {
                work.hits.push(place);
            }
        });
    }

    fn best_extent(&self, text: &Letters, hits: &[usize], extent: &mut Extent) -> Similarity {
        let wanted = self.trigrams.len() as u32;
        let mut best = Similarity::default();
        let mut behind = None;
        extent.clear();
        for &hit in hits {
            if behind.is_some_and(|behind| !extent.cross(text, behind..hit, wanted)) {
                extent.clear();
            }
            if let Some(trigram) = text.trigram(hit) {
                extent.push(trigram, true);
            }
            let similarity = extent.tighten(wanted);
            if similarity.is_above(best) {
                best = similarity;
            }
            behind = Some(hit + 1);
        }
        best
    }
}

#[inline]
fn slot(trigram: Trigram) -> usize {
    (trigram.wrapping_mul(0x9e37_79b1) >> 20) as usize % FILTER_SLOTS
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
