//! An index of rows in memory: proposes a superset of a search's hits, grade by grade and in their order.
//!
//! Rows are only added: a schema's texts never change, and what was deleted is left to whoever reads the rows. Any
//! answer is a superset of the hits, so the score alone decides, as it does behind a database's own index.

mod across;
mod bits;
mod rows;
mod sought;
mod words;

use across::Across;
use bits::Bits;
pub use rows::Place;
use rows::Rows;
use sought::{Likeness, Pieces};
use words::{WALL, Words, tokens};

use super::query::{Grade, SHORTEST_SOUGHT};
use super::trigram::Letters;
use super::unicode::lower_into;

/// What is indexed of a schema.
pub struct Entry<'a> {
    pub id: u128,
    pub place: Place,
    pub fields: [&'a str; 3],
}

/// A row that may be a hit.
#[derive(Clone, Debug)]
pub struct Proposed {
    pub id: u128,
    pub place: Place,
}

#[derive(Default)]
pub struct Index {
    words: Words,
    rows: Rows,
}

impl Index {
    /// Add rows, those that are known already excepted. O(letters), and O(all rows) for their order.
    pub fn add<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) {
        let (mut lowered, mut letters, mut held) = (String::new(), Letters::default(), Vec::new());
        for entry in entries.into_iter() {
            if self.rows.has(entry.id) {
                continue;
            }
            let row = self.rows.len() as u32;
            held.clear();
            for (number, field) in entry.fields.iter().enumerate() {
                lower_into(field, &mut lowered);
                for token in tokens(&lowered) {
                    held.push(self.words.note(token, row, number == 0, &mut letters));
                }
                held.push(WALL);
            }
            self.rows.push(entry.id, entry.place, &held);
        }
        self.rows.arrange();
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.words.bytes() + self.rows.bytes()
    }

    /// Whether the index can look for the text: it has a word, and every word of three characters or more has a letter, a digit or a
    /// character above ASCII.
    pub fn can_search(text: &str) -> bool {
        let mut words = text.split_whitespace().peekable();
        words.peek().is_some()
            && words.all(|word| word.chars().count() < SHORTEST_SOUGHT || Pieces::new(word).is_some())
    }

    /// At most `limit` rows behind `after`, in the order of their places, with every hit of the grade among them that comes before
    /// the last. None for a text that it cannot look for (`can_search`).
    pub fn propose(&self, text: &str, grade: Grade, after: &Place, limit: usize) -> Option<Vec<Proposed>> {
        let Asked { long, short } = self.asked(text, grade)?;
        let start = self.rows.behind(after);
        let mut lowered = String::new();
        let begins = |rank: &usize| {
            lower_into(self.rows.place(self.rows.at(*rank)).subject(), &mut lowered);
            short.iter().all(|word| lowered.starts_with(word))
        };
        if long.is_empty() {
            let first = short.first().and_then(|word| word.chars().next())?;
            let ranks = self.rows.beginning_with(first).into_iter().flatten().filter(|&rank| rank >= start);
            return Some(self.proposed(ranks.filter(begins).take(limit)));
        }
        if grade != Grade::Similar {
            let all = long.iter().fold(None, |all: Option<Bits>, each| Some(both(all, &each.bits)));
            let holds = |&rank: &usize| {
                long.iter().all(|each| each.pieces.follow(&self.words, self.rows.tokens(self.rows.at(rank))))
            };
            return Some(self.proposed(all.unwrap_or_default().from(start).filter(begins).filter(holds).take(limit)));
        }
        let likenesses: Vec<Likeness> = long.iter().map(|each| Likeness::new(&each.word, &self.words)).collect();
        let mut words: Vec<Similar<'_>> =
            long.into_iter().zip(&likenesses).map(|(each, likeness)| Similar::new(self, each, likeness)).collect();
        let possible = words.iter().fold(None, |all: Option<Bits>, word| Some(both(all, &word.possible)));
        let found = |rank: &usize| words.iter_mut().all(|word| word.may_hold(self, *rank));
        Some(self.proposed(possible.unwrap_or_default().from(start).filter(begins).filter(found).take(limit)))
    }

    fn proposed(&self, ranks: impl Iterator<Item = usize>) -> Vec<Proposed> {
        let rows = ranks.map(|rank| self.rows.at(rank));
        rows.map(|row| Proposed { id: self.rows.id(row), place: self.rows.place(row).clone() }).collect()
    }

    fn asked(&self, text: &str, grade: Grade) -> Option<Asked> {
        let mut asked = Asked { long: Vec::new(), short: Vec::new() };
        for word in text.split_whitespace() {
            let mut lowered = String::new();
            lower_into(word, &mut lowered);
            if lowered.chars().count() < SHORTEST_SOUGHT {
                asked.short.push(lowered);
            } else {
                let pieces = Pieces::new(&lowered)?;
                let bits = pieces.mark(&self.words, &self.rows, grade == Grade::Subject);
                asked.long.push(Sought { word: lowered, pieces, bits });
            }
        }
        (asked.long.len() + asked.short.len() > 0).then_some(asked)
    }
}

/// The words of a search text: those that tokens can find, and the short ones, which the subject begins with.
struct Asked {
    long: Vec<Sought>,
    short: Vec<String>,
}

fn both(all: Option<Bits>, bits: &Bits) -> Bits {
    match all {
        None => bits.clone(),
        Some(all) => all.and(bits),
    }
}

/// A word, and by rank the rows with all its pieces.
struct Sought {
    word: String,
    pieces: Pieces,
    bits: Bits,
}

/// A word that may be found by similarity too.
struct Similar<'a> {
    pieces: Pieces,
    held: Bits,
    alike: Bits,
    /// All rows that may be found in any of these ways.
    possible: Bits,
    across: Across<'a>,
}

impl<'a> Similar<'a> {
    fn new(index: &'a Index, sought: Sought, likeness: &'a Likeness) -> Self {
        let mut alike = Bits::new(index.len());
        likeness.mark(&index.words, &index.rows, &mut alike);
        let mut possible = alike.clone().or(&sought.bits);
        likeness.mark_possible(&index.words, &index.rows, &mut possible);
        Self { pieces: sought.pieces, held: sought.bits, alike, possible, across: likeness.across(&index.words) }
    }

    fn may_hold(&mut self, index: &Index, rank: usize) -> bool {
        if self.alike.has(rank) {
            return true;
        }
        let tokens = index.rows.tokens(index.rows.at(rank));
        self.held.has(rank) && self.pieces.follow(&index.words, tokens) || self.across.may_hold(tokens)
    }
}
