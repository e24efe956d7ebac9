//! One word of a search text, looked for in the dictionary.

use super::across::Across;
use super::bits::Bits;
use super::rows::Rows;
use super::words::{Anchors, Words, tokens};
use crate::score::trigram::{Letters, Trigram};

/// The pieces of a word that one token each must hold, one token after the other.
pub struct Pieces {
    pieces: Vec<(String, Anchors)>,
}

impl Pieces {
    /// None for a word without a letter, a digit or anything above ASCII: no token shows where it stands.
    pub fn new(lowered: &str) -> Option<Self> {
        let found: Vec<&str> = tokens(lowered).collect();
        let last = found.len().checked_sub(1)?;
        let inside = |at: Option<char>| at.is_some_and(|c| !c.is_ascii() || c.is_ascii_alphanumeric());
        let (open_start, open_end) = (inside(lowered.chars().next()), inside(lowered.chars().next_back()));
        let anchored = found.iter().enumerate().map(|(number, piece)| {
            let anchors = Anchors { start: number > 0 || !open_start, end: number < last || !open_end };
            ((*piece).to_owned(), anchors)
        });
        Some(Self { pieces: anchored.collect() })
    }

    /// Mark, by rank, the rows that have a token for each piece.
    pub fn mark(&self, words: &Words, rows: &Rows, subject_only: bool) -> Bits {
        let mut marked: Option<Bits> = None;
        for (piece, anchors) in &self.pieces {
            let mut bits = Bits::new(rows.len());
            for word in words.holding(piece, *anchors) {
                mark_rows(&mut bits, words.postings(word), rows, subject_only);
            }
            marked = Some(match marked {
                None => bits,
                Some(others) => others.and(&bits),
            });
        }
        marked.unwrap_or_default()
    }

    /// Whether the tokens hold the pieces one behind the other; asked of a marked row.
    pub fn follow(&self, words: &Words, tokens: &[u32]) -> bool {
        self.pieces.len() == 1
            || tokens.windows(self.pieces.len()).any(|window| {
                window.iter().zip(&self.pieces).all(|(&word, (piece, anchors))| anchors.hold(words.text(word), piece))
            })
    }
}

fn mark_rows(bits: &mut Bits, postings: &[u32], rows: &Rows, subject_only: bool) {
    for posting in postings.iter().filter(|&posting| !subject_only || posting & 1 == 1) {
        bits.set(rows.rank(posting >> 1) as usize);
    }
}

/// What a word shares with the dictionary.
pub struct Likeness {
    trigrams: Vec<Trigram>,
    shared: Vec<u16>,
}

impl Likeness {
    pub fn new(lowered: &str, words: &Words) -> Self {
        let mut trigrams = Letters::new(lowered).trigrams();
        trigrams.sort_unstable();
        trigrams.dedup();
        let shared = words.shared(&trigrams);
        Self { trigrams, shared }
    }

    /// Mark the rows with a token that may be similar by itself: it has six tenths of the trigrams.
    pub fn mark(&self, words: &Words, rows: &Rows, bits: &mut Bits) {
        let least = (3 * self.trigrams.len()).div_ceil(5).max(1);
        for (word, _) in self.shared.iter().enumerate().filter(|&(_, &shared)| usize::from(shared) >= least) {
            mark_rows(bits, words.postings(word as u32), rows, false);
        }
    }

    /// Mark the rows that have one of the rarest trigrams. A similar text lacks at most four tenths of them, so of any more it
    /// has one.
    pub fn mark_possible(&self, words: &Words, rows: &Rows, bits: &mut Bits) {
        let lacking = self.trigrams.len() - (3 * self.trigrams.len()).div_ceil(5);
        let mut holders: Vec<&[u32]> = self.trigrams.iter().map(|&trigram| words.with(trigram)).collect();
        let weight = |held: &[u32]| held.iter().map(|&word| words.postings(word).len()).sum::<usize>();
        holders.sort_by_cached_key(|held| weight(held));
        for &word in holders.iter().take(lacking + 1).copied().flatten() {
            mark_rows(bits, words.postings(word), rows, false);
        }
    }

    pub fn across<'a>(&'a self, words: &'a Words) -> Across<'a> {
        Across::new(words, &self.trigrams, &self.shared)
    }
}
