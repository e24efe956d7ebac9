//! A search text, prepared once and asked of many rows.

use memchr::memmem::Finder;

use super::similarity::{Needle, Work};
use super::trigram::Letters;
use super::unicode::{is_word, lower_into};

/// Words of fewer characters than this have no trigram to look up: they match beginnings of subjects only.
pub const SHORTEST_SOUGHT: usize = 3;

/// What a match of one word in one field is worth, before the field's weight; each worth more than all below it.
const WHOLE: f64 = 1.0;
const PREFIX: f64 = 0.9;
const WORD: f64 = 0.8;
const WORD_START: f64 = 0.7;
const INSIDE: f64 = 0.6;
/// Times the similarity, which lies between 0.6 and 1.
const SIMILAR: f64 = 0.5;

const SUBJECT_WEIGHT: f64 = 1.0;
/// Of subject, description and text.
const WEIGHTS: [f64; 3] = [SUBJECT_WEIGHT, 0.5, 0.3];

/// How near a hit is to what was asked: each grade comes before the next. Words of fewer than three letters make no difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grade {
    /// Every word stands in the subject.
    Subject,
    /// Every word stands in some field.
    Anywhere,
    /// Some word is only similar to what is there.
    Similar,
}

/// The words of a search text, in lower case.
pub struct Query {
    words: Vec<Word>,
}

struct Word {
    text: String,
    finder: Finder<'static>,
    needle: Needle,
    short: bool,
}

/// Buffers that live from row to row.
#[derive(Default)]
pub struct Scratch {
    fields: [Field; 3],
    work: Work,
}

/// A field of a row, prepared as far as it is asked.
#[derive(Default)]
struct Field {
    lowered: String,
    letters: Letters,
    is_lowered: bool,
    has_letters: bool,
}

impl Query {
    /// Words are what blanks part; none at all makes every row a hit of score 0.
    pub fn new(text: &str) -> Self {
        Self { words: text.split_whitespace().map(Word::new).collect() }
    }

    /// The row's score from 0 to 1, the mean of its words', or None if one of them is not found.
    pub fn score(&self, scratch: &mut Scratch, subject: &str, description: &str, text: &str) -> Option<f64> {
        if self.words.is_empty() {
            return Some(0.0);
        }
        for field in &mut scratch.fields {
            (field.is_lowered, field.has_letters) = (false, false);
        }
        let mut sum = 0.0;
        for word in &self.words {
            sum += word.best([subject, description, text], scratch)?;
        }
        Some(sum / self.words.len() as f64)
    }

    /// The grade of a hit.
    pub fn grade(&self, scratch: &mut Scratch, subject: &str, description: &str, text: &str) -> Grade {
        let mut grade = Grade::Subject;
        for (field, content) in scratch.fields.iter_mut().zip([subject, description, text]) {
            field.is_lowered = false;
            field.lowered(content);
        }
        for word in self.words.iter().filter(|word| !word.short) {
            let holds = |field: &Field| word.finder.find(field.lowered.as_bytes()).is_some();
            if !scratch.fields.iter().any(holds) {
                return Grade::Similar;
            }
            if !holds(&scratch.fields[0]) {
                grade = Grade::Anywhere;
            }
        }
        grade
    }
}

impl Word {
    fn new(word: &str) -> Self {
        let mut text = String::new();
        lower_into(word, &mut text);
        let finder = Finder::new(text.as_bytes()).into_owned();
        let short = text.chars().count() < SHORTEST_SOUGHT;
        let needle = Needle::new(&text);
        Self { text, finder, needle, short }
    }

    /// The best of the fields, each by its weight; a field that could not do better is not read.
    fn best(&self, contents: [&str; 3], scratch: &mut Scratch) -> Option<f64> {
        let Scratch { fields, work } = scratch;
        if self.short {
            return self.prefix(fields[0].lowered(contents[0])).map(|worth| worth * SUBJECT_WEIGHT);
        }
        let mut best = 0.0;
        for ((field, content), weight) in fields.iter_mut().zip(contents).zip(WEIGHTS) {
            if best < WHOLE * weight {
                let mut worth = self.contained(field.lowered(content));
                if worth.is_none() && best < SIMILAR * weight {
                    worth = self.similar(content, field, work);
                }
                best = f64::max(best, worth.unwrap_or(0.0) * weight);
            }
        }
        (best > 0.0).then_some(best)
    }

    fn prefix(&self, text: &str) -> Option<f64> {
        text.starts_with(&self.text).then_some(if text.len() == self.text.len() { WHOLE } else { PREFIX })
    }

    /// As a substring: the best of the first place and, where that is inside a word, of the places behind it.
    fn contained(&self, text: &str) -> Option<f64> {
        let mut best: Option<f64> = None;
        for start in self.finder.find_iter(text.as_bytes()) {
            let worth = self.place(text, start);
            if best.is_none_or(|best| best < worth) {
                best = Some(worth);
            }
            if worth >= WORD {
                break;
            }
        }
        best
    }

    fn place(&self, text: &str, start: usize) -> f64 {
        if start == 0 {
            return self.prefix(text).unwrap_or(PREFIX);
        }
        let (before, behind) = (&text[..start], &text[start + self.text.len()..]);
        let starts = before.chars().next_back().is_none_or(|c| !is_word(c));
        let ends = behind.chars().next().is_none_or(|c| !is_word(c));
        match (starts, ends) {
            (true, true) => WORD,
            (true, false) => WORD_START,
            _ => INSIDE,
        }
    }

    fn similar(&self, content: &str, field: &mut Field, work: &mut Work) -> Option<f64> {
        let similarity = self.needle.similar(field.letters(content), work)?;
        Some(f64::from(similarity.shared) / f64::from(similarity.union) * SIMILAR)
    }
}

impl Field {
    fn lowered(&mut self, content: &str) -> &str {
        if !self.is_lowered {
            lower_into(content, &mut self.lowered);
            self.is_lowered = true;
        }
        &self.lowered
    }

    fn letters(&mut self, content: &str) -> &Letters {
        if !self.has_letters {
            self.letters.set(content);
            self.has_letters = true;
        }
        &self.letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, subject: &str, description: &str, text: &str) -> Option<f64> {
        Query::new(query).score(&mut Scratch::default(), subject, description, text)
    }

    #[test]
    fn every_word_must_be_found() {
        assert!(score("order line", "acme.orders", "", "orderline").is_some());
        assert!(score("order missing", "acme.orders", "", "orderline").is_none());
        assert_eq!(score(" ", "s", "", ""), Some(0.0));
    }

    #[test]
    fn a_typo_is_found_and_worth_less() {
        let typo = score("ordr", "acme.order", "", "").unwrap();
        assert!(typo < score("order", "acme.order", "", "").unwrap());
        assert!(score("ordr", "acme.invoice", "", "").is_none());
    }

    #[test]
    fn short_words_are_beginnings_of_subjects() {
        assert!(score("ac", "Acme.order", "", "").is_some());
        assert!(score("or", "acme.order", "or", "or").is_none());
        assert_eq!(score("É", "é", "", ""), Some(1.0));
    }

    #[test]
    fn better_matches_score_higher() {
        let rows = [
            ("order", "", ""),
            ("order.line", "", ""),
            ("acme.order", "", ""),
            ("acme.orders", "", ""),
            ("acme.reorder", "", ""),
            ("x", "the order", ""),
            ("x", "reorder", ""),
            ("x", "", "an order"),
            ("x", "", "reorder"),
        ];
        let scores = rows.map(|(subject, description, text)| score("order", subject, description, text).unwrap());
        assert!(scores.windows(2).all(|pair| pair[0] > pair[1]), "{scores:?}");
    }
}
