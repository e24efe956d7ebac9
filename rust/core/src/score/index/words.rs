//! The dictionary: every distinct token of the indexed texts, found by its trigrams, and the rows that hold it.
//!
//! A token is a run of ASCII letters and digits and of anything above ASCII, in lower case. What parts tokens parts words
//! too, so every trigram of a text is one of a token's.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::memmem;

use crate::score::trigram::{Letters, Trigram};
use crate::score::unicode::is_word;

/// Stands between two fields of a row.
pub const WALL: u32 = 0;

pub struct Words {
    ids: HashMap<Arc<str>, u32>,
    words: Vec<Word>,
    /// How many distinct trigrams each word has, 255 for more.
    distinct: Vec<u8>,
    /// A bit for each trigram of a word, by `sign`.
    signs: Vec<u64>,
    /// By trigram, the words that have it.
    holders: HashMap<Trigram, Vec<u32>>,
    bytes: usize,
}

struct Word {
    text: Arc<str>,
    /// `row << 1 | in the subject`, ascending.
    postings: Vec<u32>,
}

/// Where in a token a piece of a sought word has to stand.
#[derive(Clone, Copy, Debug)]
pub struct Anchors {
    pub start: bool,
    pub end: bool,
}

impl Anchors {
    pub fn hold(self, token: &str, piece: &str) -> bool {
        match (self.start, self.end) {
            (true, true) => token == piece,
            (true, false) => token.starts_with(piece),
            (false, true) => token.ends_with(piece),
            (false, false) => memmem::find(token.as_bytes(), piece.as_bytes()).is_some(),
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        let wall = Word { text: Arc::from(""), postings: Vec::new() };
        Self {
            ids: HashMap::new(),
            words: vec![wall],
            distinct: vec![0],
            signs: vec![0],
            holders: HashMap::new(),
            bytes: 0,
        }
    }
}

/// One of 64 bits for a trigram: distinct bits are of distinct trigrams.
pub fn sign(trigram: Trigram) -> u64 {
    1 << (trigram.wrapping_mul(0x9e37_79b1) >> 26)
}

/// The tokens of a text in lower case, in its order.
pub fn tokens(lowered: &str) -> impl Iterator<Item = &str> {
    lowered.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|token| !token.is_empty())
}

impl Words {
    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn text(&self, word: u32) -> &str {
        &self.words[word as usize].text
    }

    /// How many distinct trigrams each word has, 255 for more.
    pub fn distinct(&self) -> &[u8] {
        &self.distinct
    }

    /// A bit for each trigram of the word.
    pub fn signs(&self, word: u32) -> u64 {
        self.signs[word as usize]
    }

    pub fn postings(&self, word: u32) -> &[u32] {
        &self.words[word as usize].postings
    }

    /// About how much memory the dictionary takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The token's number, and note that the row has it.
    pub fn note(&mut self, token: &str, row: u32, in_subject: bool, letters: &mut Letters) -> u32 {
        let id = match self.ids.get(token) {
            Some(&id) => id,
            None => self.insert(token, letters),
        };
        let posting = row << 1 | u32::from(in_subject);
        let postings = &mut self.words[id as usize].postings;
        if postings.last() != Some(&posting) {
            postings.push(posting);
            self.bytes += size_of::<u32>();
        }
        id
    }

    fn insert(&mut self, token: &str, letters: &mut Letters) -> u32 {
        const ENTRY_BYTES: usize = 96;
        let id = self.words.len() as u32;
        letters.set(token);
        let mut trigrams = letters.trigrams();
        trigrams.sort_unstable();
        trigrams.dedup();
        for &trigram in &trigrams {
            self.holders.entry(trigram).or_default().push(id);
        }
        let text: Arc<str> = Arc::from(token);
        self.bytes += ENTRY_BYTES + token.len() + size_of_val(trigrams.as_slice());
        self.ids.insert(Arc::clone(&text), id);
        self.words.push(Word { text, postings: Vec::new() });
        self.signs.push(trigrams.iter().fold(0, |signs, &trigram| signs | sign(trigram)));
        self.distinct.push(trigrams.len().min(255) as u8);
        id
    }

    /// How many of these distinct trigrams each word has.
    pub fn shared(&self, trigrams: &[Trigram]) -> Vec<u16> {
        let mut counts = vec![0_u16; self.words.len()];
        for trigram in trigrams {
            for &word in self.with(*trigram) {
                counts[word as usize] += 1;
            }
        }
        counts
    }

    /// The words that have the trigram.
    pub fn with(&self, trigram: Trigram) -> &[u32] {
        self.holders.get(&trigram).map_or(&[], Vec::as_slice)
    }

    /// The words that hold the piece.
    pub fn holding(&self, piece: &str, anchors: Anchors) -> Vec<u32> {
        if anchors.start && anchors.end {
            return self.ids.get(piece).copied().into_iter().collect();
        }
        let holds = |&word: &u32| anchors.hold(self.text(word), piece);
        match self.rarest(piece, anchors) {
            Some(holders) => holders.iter().copied().filter(holds).collect(),
            None => (1..self.words.len() as u32).filter(holds).collect(),
        }
    }

    /// The words with the piece's rarest trigram; None where no trigram of the piece must be in a word that holds it.
    fn rarest(&self, piece: &str, anchors: Anchors) -> Option<&[u32]> {
        if !piece.chars().all(is_word) {
            return None;
        }
        let trigrams = Letters::new(piece).trigrams();
        let from = if anchors.start { 0 } else { 2 };
        let to = trigrams.len() - usize::from(!anchors.end);
        let sure = trigrams.get(from..to).unwrap_or(&[]);
        sure.iter()
            .map(|trigram| self.holders.get(trigram).map_or(&[][..], Vec::as_slice))
            .min_by_key(|found| found.len())
    }
}
