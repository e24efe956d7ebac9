//! Trigrams as pg_trgm makes them (PostgreSQL 15, contrib/pg_trgm/trgm_op.c), so that both engines agree on what is similar.
//!
//! A word, a run of letters and digits, is lowered, given two blanks before and one behind, and cut into every three
//! characters. Three ASCII characters are their own value; of anything else the value is three bytes of a CRC.

use super::unicode::{is_word, lower};

/// A trigram's three bytes, the first in the highest place.
pub type Trigram = u32;

/// Every trigram of `text` in the order of the text, repeats included, written over what `into` held.
pub fn positional(text: &str, into: &mut Vec<Trigram>) {
    into.clear();
    let mut window = [' '; 3];
    let mut in_word = false;
    for c in text.chars() {
        if is_word(c) {
            window = [window[1], window[2], lower(c)];
            into.push(value(window));
            in_word = true;
        } else if in_word {
            into.push(value([window[1], window[2], ' ']));
            window = [' '; 3];
            in_word = false;
        }
    }
    if in_word {
        into.push(value([window[1], window[2], ' ']));
    }
}

/// The distinct trigrams of `text` in the order and spelling of `show_trgm`.
pub fn shown(text: &str) -> Vec<String> {
    let mut trigrams = Vec::new();
    positional(text, &mut trigrams);
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
    fn as_show_trgm_prints_them() {
        // SELECT show_trgm('é foo_bar ǅ') on PostgreSQL 15.18, C.UTF-8.
        let expected =
            ["0xe69b54", "0xe82c48", "0x1c2a25", "  b", "  f", " ba", " fo", "0x2e0f49", "ar ", "bar", "foo", "oo "];
        assert_eq!(shown("é foo_bar ǅ"), expected);
        assert!(shown("").is_empty() && shown("_-\n").is_empty());
        assert_eq!(shown("A"), ["  a", " a "]);
    }
}
