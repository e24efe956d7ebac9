//! Trigrams as pg_trgm makes them (PostgreSQL 15, contrib/pg_trgm/trgm_op.c), so that both engines agree on what is similar.
//!
//! A word, a run of letters and digits, is lowered, given two blanks before and one behind, and cut into every three
//! characters. Three ASCII characters are their own value; of anything else the value is three bytes of a CRC.

use memchr::memmem::Finder;

use super::unicode::{ascii_prefix, is_word, lower};

/// A trigram's three bytes, the first in the highest place.
pub type Trigram = u32;

/// Stands for a letter above ASCII.
const OTHER: u8 = 0x80;
const BLANKS: Trigram = 0x20_2020;

/// A text one byte a character: the trigram at a place is read off three of them.
#[derive(Default)]
pub struct Letters {
    /// Lowered letters and digits, blanks for anything else, and two blanks on either side.
    bytes: Vec<u8>,
    /// The letters above ASCII, by place.
    others: Vec<(usize, char)>,
}

impl Letters {
    pub fn new(text: &str) -> Self {
        let mut letters = Self::default();
        letters.set(text);
        letters
    }

    /// Take another text; the buffers stay.
    pub fn set(&mut self, text: &str) {
        self.others.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(b"  ");
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = ascii_prefix(rest.as_bytes());
            self.bytes.extend(rest.as_bytes()[..ascii].iter().map(|&byte| ascii_letter(byte)));
            let mut behind = rest[ascii..].chars();
            if let Some(c) = behind.next() {
                self.push(c);
            }
            rest = behind.as_str();
        }
        self.bytes.extend_from_slice(b"  ");
    }

    fn push(&mut self, c: char) {
        let lowered = lower(c);
        if !is_word(c) {
            self.bytes.push(b' ');
        } else if lowered.is_ascii() {
            self.bytes.push(lowered as u8);
        } else {
            self.others.push((self.bytes.len(), lowered));
            self.bytes.push(OTHER);
        }
    }

    /// The trigram at a place, where there is one.
    pub fn trigram(&self, place: usize) -> Option<Trigram> {
        let window = self.bytes.get(place..place + 3)?;
        let trigram = at_word_start(window.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)));
        (trigram != BLANKS).then(|| self.spelled(place, trigram))
    }

    /// Call with each place and its trigram, or blanks.
    #[inline]
    pub fn each(&self, mut call: impl FnMut(usize, Trigram)) {
        for (place, window) in self.bytes.windows(4).enumerate() {
            let trigram = at_word_start(u32::from_be_bytes([window[0], window[1], window[2], window[3]]) >> 8);
            call(place, if trigram & 0x80_8080 == 0 { trigram } else { self.spelled(place, trigram) });
        }
    }

    /// All trigrams in the order of the text, repeats included.
    pub fn trigrams(&self) -> Vec<Trigram> {
        (0..self.bytes.len()).filter_map(|place| self.trigram(place)).collect()
    }

    pub fn is_ascii(&self) -> bool {
        self.others.is_empty()
    }

    /// Whether a trigram of ASCII letters is here; asked of a text of ASCII letters only, since a CRC may equal any trigram.
    pub fn has(&self, trigram: &Finder<'_>) -> bool {
        trigram.find(&self.bytes).is_some()
    }

    /// The value of a trigram that may have letters above ASCII in it.
    #[cold]
    fn other(&self, place: usize, trigram: Trigram) -> Trigram {
        let bytes = trigram.to_be_bytes();
        value([0, 1, 2].map(|index| match bytes[index + 1] {
            OTHER => match self.others.binary_search_by_key(&(place + index), |&(at, _)| at) {
                Ok(found) => self.others[found].1,
                Err(_) => ' ',
            },
            byte => char::from(byte),
        }))
    }

    fn spelled(&self, place: usize, trigram: Trigram) -> Trigram {
        if trigram & 0x80_8080 == 0 { trigram } else { self.other(place, trigram) }
    }
}

/// The first letter of a word has two blanks before it, whatever stood before the last of them.
#[inline]
fn at_word_start(trigram: Trigram) -> Trigram {
    if trigram & 0xff00 == 0x2000 { trigram & 0xffff | 0x20_0000 } else { trigram }
}

#[inline]
fn ascii_letter(byte: u8) -> u8 {
    let lowered = byte.to_ascii_lowercase();
    if lowered.wrapping_sub(b'a') < 26 || byte.wrapping_sub(b'0') < 10 { lowered } else { b' ' }
}

/// Looks for a trigram of ASCII letters: for the first letter of a word as one blank and the letter.
pub fn finder(trigram: Trigram) -> Finder<'static> {
    let bytes = trigram.to_be_bytes();
    let sought = if bytes[1..3] == *b"  " { &bytes[2..] } else { &bytes[1..] };
    Finder::new(sought).into_owned()
}

/// The distinct trigrams of `text` in the order and spelling of `show_trgm`.
pub fn shown(text: &str) -> Vec<String> {
    let mut trigrams = Letters::new(text).trigrams();
    trigrams.sort_unstable_by_key(|trigram| order(*trigram));
    trigrams.dedup();
    trigrams.into_iter().map(show).collect()
}

/// pg_trgm compares bytes as signed where `char` is signed.
fn order(trigram: Trigram) -> u32 {
    trigram ^ 0x80_8080
}

fn show(trigram: Trigram) -> String {
    let bytes = [(trigram >> 16) as u8, (trigram >> 8) as u8, trigram as u8];
    if bytes.iter().all(|&byte| byte == b' ' || byte.is_ascii_alphanumeric()) {
        bytes.map(char::from).iter().collect()
    } else {
        format!("0x{trigram:06x}")
    }
}

fn value(window: [char; 3]) -> Trigram {
    if window.iter().all(char::is_ascii) {
        return window.iter().fold(0, |value, &c| value << 8 | u32::from(c));
    }
    let mut crc = u32::MAX;
    let mut buffer = [0; 4];
    for c in window {
        for byte in c.encode_utf8(&mut buffer).bytes() {
            crc = CRC_TABLE[usize::from((crc >> 24) as u8 ^ byte)] ^ crc << 8;
        }
    }
    // The three lowest bytes, in the order in which a little-endian machine stores them.
    (!crc).swap_bytes() >> 8
}

/// PostgreSQL's "legacy" CRC-32: the table of the reflected polynomial, walked in the unreflected direction.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_reading_agree() {
        for text in ["", " ", "a", "ab_c", "  order..line-2 ", "\u{1}x\u{7f}", "é", "aé bÉc ǅ", "İI"] {
            let letters = Letters::new(text);
            let mut each = Vec::new();
            letters.each(|_, trigram| each.push(trigram));
            each.retain(|&trigram| trigram != BLANKS);
            assert_eq!(each, letters.trigrams(), "{text}");
            assert!(!letters.is_ascii() || each.iter().all(|&trigram| letters.has(&finder(trigram))), "{text}");
        }
    }

    #[test]
    fn as_show_trgm_prints_them() {
        // SELECT show_trgm('é foo_bar ǅ') on PostgreSQL 15.18, C.UTF-8.
        let expected =
            ["0xe69b54", "0xe82c48", "0x1c2a25", "  b", "  f", " ba", " fo", "0x2e0f49", "ar ", "bar", "foo", "oo "];
        assert_eq!(shown("é foo_bar ǅ"), expected);
        assert!(shown("").is_empty() && shown("_-\n").is_empty());
        assert_eq!(shown("A"), ["  a", " a "]);
    }
}
