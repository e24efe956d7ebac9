//! Letters and lower case as pg_trgm sees them.

use super::tables::{LOWER_RANGES, WORD_RANGES};

/// Whether `c` belongs to a word: a letter or a digit.
pub fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    let code = u32::from(c);
    let following = WORD_RANGES.partition_point(|range| range.0 <= code);
    following > 0 && code <= WORD_RANGES[following - 1].1
}

/// The lower case of one character, always one character.
pub fn lower(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let code = u32::from(c);
    let following = LOWER_RANGES.partition_point(|range| range.0 <= code);
    // Runs of a step of two interleave with others, so the run that holds `code` need not be the nearest.
    let holds = |range: &&(u32, u32, u32, i32)| code <= range.1 && (code - range.0) % range.2 == 0;
    let range = LOWER_RANGES[following.saturating_sub(2)..following].iter().rev().find(holds);
    range.and_then(|range| char::from_u32(code.wrapping_add_signed(range.3))).unwrap_or(c)
}

/// `text` in lower case, written over what `into` held.
pub fn lower_into(text: &str, into: &mut String) {
    into.clear();
    if text.is_ascii() {
        into.push_str(text);
        into.make_ascii_lowercase();
    } else {
        into.extend(text.chars().map(lower));
    }
}
