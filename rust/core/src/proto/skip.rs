//! The end of a block, found by its brackets, strings and comments alone; and of an option that is as most are.
//!
//! Most of a file is the inside of its messages, and most of that is comments. Sixty-four bytes at a time are classed,
//! and then only those are visited that matter where they stand: in code brackets, quotes, slashes and what is no
//! text; in a line of comment its end. What a block contains otherwise is not looked at; whatever looks wrong on the
//! way is left to the grammar to name.

use super::classes::{self, Inside, STEP};
use super::lexer::{block_comment_end, escape_end};
use super::work;

/// Where the walk is.
#[derive(Clone, Copy)]
enum At {
    Code,
    Comment,
    String(u8),
}

/// Behind the `}` that closes the block whose inside begins at `at`; None if there is none, or a fault before it.
pub fn block_end(source: &[u8], at: usize) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2.
        return unsafe { block_end_avx2(source, at) };
    }
    walk(source, at, classes::inside)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn block_end_avx2(source: &[u8], at: usize) -> Option<usize> {
    walk(source, at, |chunk| classes::avx2::inside(chunk))
}

/// The walk over a block, with the classing that the processor has.
#[inline(always)]
fn walk(source: &[u8], mut base: usize, classed: impl Fn(&[u8; STEP]) -> Inside) -> Option<usize> {
    let mut depth = 1usize;
    let mut state = At::Code;
    while base < source.len() {
        work::count(STEP);
        let inside = match source[base..].first_chunk() {
            Some(chunk) => classed(chunk),
            None => classed(&classes::padded(&source[base..])),
        };
        let mut from = 0;
        base = loop {
            let stops = match state {
                At::Code => inside.code,
                At::Comment => inside.comment,
                At::String(_) => inside.string,
            };
            let left = stops >> from;
            if left == 0 {
                break base + STEP;
            }
            let place = base + from + left.trailing_zeros() as usize;
            let mut next = place + 1;
            match (state, *source.get(place)?) {
                (At::Code, b'{') => depth += 1,
                (At::Code, b'}') if depth == 1 => return Some(next),
                (At::Code, b'}') => depth -= 1,
                (At::Code, b'/') => match source.get(next) {
                    Some(b'/') => state = At::Comment,
                    Some(b'*') => next = block_comment_end(source, place).ok()?,
                    _ => {}
                },
                (At::Code, quote @ (b'"' | b'\'')) => state = At::String(quote),
                (At::Comment, b'\n') => state = At::Code,
                (At::String(quote), byte) if byte == quote => state = At::Code,
                (At::String(_), b'"' | b'\'') => {}
                (At::String(_), b'\\') => next = escape_end(source, next).ok()?,
                _ => return None,
            }
            from = next - base;
            if from >= STEP {
                break next;
            }
        };
    }
    None
}

/// Behind the `;` of `name.name = "text";` or `name = word;`, with blanks between, on one line. None for anything else.
pub fn plain_option_end(source: &[u8], at: usize) -> Option<usize> {
    let line = &source[at..];
    let line = after_blanks(after_name(after_blanks(line))?).strip_prefix(b"=")?;
    let value = after_blanks(line);
    let rest = match value.first()? {
        quote @ (b'"' | b'\'') => after_text(&value[1..], *quote)?,
        _ => after_word(value)?,
    };
    Some(source.len() - after_blanks(rest).strip_prefix(b";")?.len())
}

fn after_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| byte == b' ').count()..]
}

fn after_word(text: &[u8]) -> Option<&[u8]> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    text.first().filter(|first| is_letter(first))?;
    Some(&text[text.iter().take_while(|&byte| is_letter(byte) || byte.is_ascii_digit()).count()..])
}

/// Words with points between them.
fn after_name(text: &[u8]) -> Option<&[u8]> {
    let mut rest = after_word(text)?;
    while let Some(part) = rest.strip_prefix(b".") {
        rest = after_word(part)?;
    }
    Some(rest)
}

/// Behind the closing quote of a string without an escape.
fn after_text(text: &[u8], quote: u8) -> Option<&[u8]> {
    let end = memchr::memchr3(quote, b'\\', b'\n', text)?;
    let is_plain = text[end] == quote && memchr::memchr(0, &text[..end]).is_none();
    is_plain.then(|| &text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::super::lexer::{line_comment_end, string_end};
    use super::*;

    #[test]
    fn both_ways_find_the_same_end() {
        let pieces = [
            "{",
            "}",
            "\"a}\"",
            "'{'",
            "// }\n",
            "/* } */",
            "/",
            "x",
            "\n",
            "int32 value = 1;",
            r#""a'\"b\x41""#,
            r"'\u00e9'",
            r#""\q""#,
            "// long and longer",
        ];
        let mut seed = 1u32;
        for _ in 0..20_000 {
            let mut source = String::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                source += pieces[seed as usize / 65_536 % pieces.len()];
            }
            let source = source.as_bytes();
            assert_eq!(block_end(source, 0), walk(source, 0, classes::inside), "{}", String::from_utf8_lossy(source));
            assert_eq!(block_end(source, 0), by_bytes(source), "{}", String::from_utf8_lossy(source));
        }
    }

    /// The same, a byte at a time.
    fn by_bytes(source: &[u8]) -> Option<usize> {
        let (mut at, mut depth) = (0, 1);
        while at < source.len() {
            match source[at] {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'"' | b'\'' => at = string_end(source, at, source[at]).ok()? - 1,
                b'/' if source.get(at + 1) == Some(&b'/') => at = line_comment_end(source, at),
                b'/' if source.get(at + 1) == Some(&b'*') => at = block_comment_end(source, at).ok()? - 1,
                0..=8 | 14..32 | 0x80.. => return None,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    #[test]
    fn plain_options() {
        let end = |text: &str| plain_option_end(text.as_bytes(), 0);
        for text in [" a = \"b c\";", "a.b_1.C='\"';", " optimize_for  =  SPEED ;", " a = true;"] {
            assert_eq!(end(&format!("{text} x")), Some(text.len()), "{text}");
        }
        let others =
            ["", " ", " a", " a =", " a = ;", " a = \"b\"", " a = \"b\" \"c\";", " (a) = 1;", " a..b = c;", " a. = c;"];
        let more = [
            " a = 1;",
            " a = -b;",
            " a = {};",
            " a = \"\\\\\";",
            " a = \"\n\";",
            " a = \"\0\";",
            " a\n= b;",
            " 1a = b;",
            " a = b c;",
        ];
        for text in others.iter().chain(&more) {
            assert_eq!(end(text), None, "{text:?}");
        }
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let source = b" a { \"}\" '}' } // }\n /* } */ b / c }tail";
        assert_eq!(block_end(source, 0), Some(source.len() - 4));
    }

    #[test]
    fn what_looks_wrong_is_left_to_the_grammar() {
        for source in
            ["", "{}", "\"", "\"\n\"}", "/* }", "/* /* */ }", "\u{1}}", "é}", "// }", "\"\\q\"}", "\0}", "// \0}"]
        {
            assert_eq!(block_end(source.as_bytes(), 0), None, "{source:?}");
        }
    }
}
