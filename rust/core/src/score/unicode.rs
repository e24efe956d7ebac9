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
    let holds = |range: &&(u32, u32, u32, i32)| code <= range.1 && (code - range.0).is_multiple_of(range.2);
    let range = LOWER_RANGES[following.saturating_sub(2)..following].iter().rev().find(holds);
    range.and_then(|range| char::from_u32(code.wrapping_add_signed(range.3))).unwrap_or(c)
}

/// `text` in lower case, written over what `into` held.
pub fn lower_into(text: &str, into: &mut String) {
    into.clear();
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = ascii_prefix(rest.as_bytes());
        let start = into.len();
        into.push_str(&rest[..ascii]);
        into[start..].make_ascii_lowercase();
        let mut behind = rest[ascii..].chars();
        into.extend(behind.next().map(lower));
        rest = behind.as_str();
    }
}

/// How many bytes from the first on are ASCII, looked at in long strides.
pub fn ascii_prefix(bytes: &[u8]) -> usize {
    const STRIDE_BYTES: usize = 64;
    let strides = bytes.chunks(STRIDE_BYTES).take_while(|chunk| chunk.is_ascii()).count();
    let start = (strides * STRIDE_BYTES).min(bytes.len());
    start + bytes[start..].iter().take_while(|byte| byte.is_ascii()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lowered text has the trigrams of the text.
    #[test]
    fn lowering_twice_is_lowering_once() {
        for c in ('\0'..=char::MAX).filter(|&c| lower(c) != c) {
            assert_eq!((lower(lower(c)), is_word(lower(c))), (lower(c), is_word(c)), "{c:?}");
        }
    }

    #[test]
    fn lowering_keeps_what_has_no_case() {
        let mut lowered = String::new();
        lower_into("ÉCOLE İ Σς ß ǅ 日本", &mut lowered);
        assert_eq!(lowered, "école i σς ß ǆ 日本");
    }
}
