//! The end of a block, found by its brackets, strings and comments alone.
//!
//! Most of a file is the inside of its messages, and most of that is comments: a line of comment costs one search for
//! its newline, and code is searched sixteen bytes at a time for the few bytes that matter. What a block contains
//! otherwise is not looked at; whatever looks wrong on the way is left to the grammar to name.

use super::lexer::{block_comment_end, line_comment_end, string_end};

/// Behind the `}` that closes the block whose inside begins at `at`; None if there is none, or a fault before it.
pub fn block_end(source: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1usize;
    loop {
        at = next_mark(source, at)?;
        match source[at] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'/' => match source.get(at + 1) {
                Some(b'/') => {
                    at = line_comment_end(source, at);
                    continue;
                }
                Some(b'*') => {
                    at = block_comment_end(source, at).ok()?;
                    continue;
                }
                _ => {}
            },
            quote @ (b'"' | b'\'') => {
                at = string_end(source, at, quote).ok()?;
                continue;
            }
            _ => return None,
        }
        at += 1;
    }
}

/// Whether the lexer would do more with this byte than pass it: brackets, quotes, a slash, and what is no text.
const fn is_mark(byte: u8) -> bool {
    match byte {
        b'{' | b'}' | b'"' | b'\'' | b'/' | 0x80.. => true,
        b'\t'..=b'\r' => false,
        _ => byte < b' ',
    }
}

/// The first mark at or behind `at`.
fn next_mark(source: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = source.get(at..).and_then(|rest| rest.first_chunk()) {
        let marks = marks(chunk);
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        at += chunk.len();
    }
    source.get(at..)?.iter().position(|&byte| is_mark(byte)).map(|ahead| at + ahead)
}

/// A bit for each mark of the chunk.
#[cfg(target_arch = "x86_64")]
#[inline]
fn marks(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: SSE2 belongs to every x86_64; the load is unaligned and reads the sixteen bytes of `chunk`.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
        let brackets = _mm_or_si128(is(b'{'), is(b'}'));
        let quotes = _mm_or_si128(is(b'"'), is(b'\''));
        // As signed numbers, bytes above ASCII lie below the control characters.
        let below_blank = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
        let from_tab = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x08));
        let to_return = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x0e));
        let no_text = _mm_andnot_si128(_mm_and_si128(from_tab, to_return), below_blank);
        let marks = _mm_or_si128(_mm_or_si128(brackets, quotes), _mm_or_si128(no_text, is(b'/')));
        _mm_movemask_epi8(marks) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn marks(chunk: &[u8; 16]) -> u32 {
    chunk.iter().enumerate().fold(0, |marks, (index, &byte)| marks | u32::from(is_mark(byte)) << index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_the_table() {
        for byte in 0..=255u8 {
            for index in 0..16 {
                let mut chunk = [b'a'; 16];
                chunk[index] = byte;
                assert_eq!(marks(&chunk), u32::from(is_mark(byte)) << index, "{byte:#x}");
            }
        }
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let source = b" a { \"}\" '}' } // }\n /* } */ b / c }tail";
        assert_eq!(block_end(source, 0), Some(source.len() - 4));
    }

    #[test]
    fn what_looks_wrong_is_left_to_the_grammar() {
        for source in ["", "{}", "\"", "\"\n\"}", "/* }", "/* /* */ }", "\u{1}}", "é}", "// }", "\"\\q\"}", "\0}"] {
            assert_eq!(block_end(source.as_bytes(), 0), None, "{source:?}");
        }
    }
}
