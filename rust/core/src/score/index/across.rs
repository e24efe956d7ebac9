//! Whether a word may be similar to what begins in one token of a row and ends in another.
//!
//! An extent of such a text that is similar to a word of `n` trigrams has `shared` of them and `other` distinct others, with
//! `shared ≥ 0.6 (n + other)`. It takes the end of its first token, the start of its last one, and all of those between.
//!
//! * Of two tokens: each has its own shared ones, and of the others at least half the sum of both. So the better of a
//!   token's ends, `shared − 0.3 other`, must make 0.6 n together with the better of the next one's starts.
//! * Of more: the others are at least those of the tokens between, of which several may have the same, so they are counted
//!   by the bits of a hash; the shared ones are at most those of all its tokens.
//!
//! What passes is a superset: the score decides.

use super::words::{WALL, Words, sign};
use crate::score::trigram::{Letters, Trigram};

/// Longer extents are not told apart: the row passes.
const LONGEST_EXTENT: usize = 64;
/// The ends of a token of more trigrams are not looked at: all that it shares counts.
const LONGEST_TOKEN: usize = 64;

pub struct Across<'a> {
    words: &'a Words,
    /// Distinct, in order.
    sought: &'a [Trigram],
    /// More others than an extent can have.
    too_many: u32,
    uses: Vec<Use>,
    /// What each word is worth at the end and at the start of an extent, once it was looked at.
    worths: Vec<Option<(i16, i16)>>,
    /// For each word 0, or one more than its place in `known`.
    slots: Vec<u32>,
    known: Vec<Ends>,
    letters: Letters,
}

/// What a word can be to an extent.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Use {
    /// It shares nothing, and has more others than an extent can have.
    Nothing,
    /// It shares nothing, and may lie between others.
    Between,
    /// It shares something, and has too many others to lie between.
    Edge,
    Any,
}

/// What a token can give to an extent that ends in it or begins in it; in tenths of a trigram where it is weighed.
#[derive(Clone, Copy, Default)]
struct Ends {
    start: End,
    end: End,
    /// Of the whole token.
    shared: u64,
    others: u64,
}

#[derive(Clone, Copy, Default)]
struct End {
    worth: i16,
    /// The shared trigrams; bit 63 stands for all from there on.
    shared: u64,
}

impl<'a> Across<'a> {
    /// `shared`: how many of the sought trigrams each word has.
    pub fn new(words: &'a Words, sought: &'a [Trigram], shared: &[u16]) -> Self {
        let too_many = 2 * sought.len() as u32 / 3 + 1;
        let uses = shared.iter().zip(words.distinct()).map(|(&shared, &distinct)| {
            match (shared > 0, u32::from(distinct).saturating_sub(u32::from(shared)) < too_many) {
                (false, false) => Use::Nothing,
                (false, true) => Use::Between,
                (true, false) => Use::Edge,
                (true, true) => Use::Any,
            }
        });
        let mut uses: Vec<Use> = uses.collect();
        uses[WALL as usize] = Use::Nothing;
        let (worths, slots) = (vec![None; words.len()], vec![0; words.len()]);
        Self { words, sought, too_many, uses, worths, slots, known: Vec::new(), letters: Letters::default() }
    }

    /// Whether these tokens may hold a similar extent over two of them or more.
    pub fn may_hold(&mut self, tokens: &[u32]) -> bool {
        let mut before = Use::Nothing;
        for (place, &token) in tokens.iter().enumerate() {
            let this = self.uses[token as usize];
            if this != Use::Nothing && before >= Use::Edge && self.may_begin(tokens[place - 1], &tokens[place..]) {
                return true;
            }
            before = this;
        }
        false
    }

    fn may_begin(&mut self, first: u32, following: &[u32]) -> bool {
        let next = following[0];
        if self.uses[next as usize] >= Use::Edge
            && i32::from(self.worth(first).0) + i32::from(self.worth(next).1) >= 6 * self.sought.len() as i32
        {
            return true;
        }
        let may_pass = |across: &Self| matches!(across.uses[next as usize], Use::Between | Use::Any);
        may_pass(self) && following.len() > 1 && self.may_go_on(first, following)
    }

    /// Whether an extent may begin in `first` and end behind the next token.
    fn may_go_on(&mut self, first: u32, following: &[u32]) -> bool {
        let (mut shared, mut others) = (self.ends(first).end.shared, 0_u64);
        for (between, &token) in following.iter().enumerate() {
            let this = self.uses[token as usize];
            if shared == 0 || this == Use::Nothing || between == LONGEST_EXTENT {
                return between == LONGEST_EXTENT;
            }
            let ends = if this == Use::Between {
                Ends { others: self.words.signs(token), ..Ends::default() }
            } else {
                self.ends(token)
            };
            if between > 0 && self.is_enough(shared | ends.start.shared, others) {
                return true;
            }
            (shared, others) = (shared | ends.shared, others | ends.others);
            if this == Use::Edge || others.count_ones() >= self.too_many {
                return false;
            }
        }
        false
    }

    fn is_enough(&self, shared: u64, others: u64) -> bool {
        let many = if shared >> 63 == 1 { self.sought.len() as u32 } else { shared.count_ones() };
        5 * many >= 3 * (self.sought.len() as u32 + others.count_ones())
    }

    /// Of a word's end, and of its start.
    fn worth(&mut self, word: u32) -> (i16, i16) {
        if let Some(worth) = self.worths[word as usize] {
            return worth;
        }
        let ends = self.ends(word);
        let worth = (ends.end.worth, ends.start.worth);
        self.worths[word as usize] = Some(worth);
        worth
    }

    fn ends(&mut self, word: u32) -> Ends {
        let slot = &mut self.slots[word as usize];
        if *slot == 0 {
            self.letters.set(self.words.text(word));
            let trigrams = self.letters.trigrams();
            let placed = trigrams.iter().map(|trigram| (*trigram, self.sought.binary_search(trigram).ok()));
            self.known.push(ends_of(&placed.collect::<Vec<_>>(), self.too_many as usize));
            *slot = self.known.len() as u32;
        }
        self.known[*slot as usize - 1]
    }
}

/// Of trigrams, each with its place among the sought ones.
fn ends_of(trigrams: &[(Trigram, Option<usize>)], too_many: usize) -> Ends {
    let mut all = Ends::default();
    for (trigram, place) in trigrams {
        match place {
            Some(place) => all.shared |= 1 << place.min(&63),
            None => all.others |= sign(*trigram),
        }
    }
    if trigrams.len() > LONGEST_TOKEN {
        let worth = 10 * trigrams.iter().filter(|(_, place)| place.is_some()).count().min(3_000) as i16;
        let end = End { worth, shared: all.shared };
        return Ends { start: end, end, ..all };
    }
    Ends { start: end_of(trigrams.iter(), too_many), end: end_of(trigrams.iter().rev(), too_many), ..all }
}

/// The first trigrams as long as not too many of them are others: the shared ones, and the most that so many of them are worth, 10
/// for each distinct one that is shared, less 3 for each other.
fn end_of<'t>(trigrams: impl Iterator<Item = &'t (Trigram, Option<usize>)>, too_many: usize) -> End {
    let (mut seen, mut others) = (Vec::new(), 0);
    let (mut worth, mut end) = (0, End::default());
    for (trigram, place) in trigrams {
        if seen.contains(trigram) {
            continue;
        }
        seen.push(*trigram);
        match place {
            Some(place) => (worth, end.shared) = (worth + 10, end.shared | 1 << place.min(&63)),
            None => (worth, others) = (worth - 3, others + 1),
        }
        if others == too_many {
            break;
        }
        end.worth = end.worth.max(worth);
    }
    end
}
