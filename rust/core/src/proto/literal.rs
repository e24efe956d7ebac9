//! The values of literals that the lexer has let through.

use std::borrow::Cow;

/// Add the value of a string token, quotes included, to `value`. The first plain token costs no copy.
pub fn append_string<'a>(token: &'a [u8], value: &mut Option<Cow<'a, [u8]>>) {
    let inner = &token[1..token.len() - 1];
    let plain = memchr::memchr(b'\\', inner).is_none();
    match value {
        None if plain => *value = Some(Cow::Borrowed(inner)),
        None => {
            let mut bytes = Vec::with_capacity(inner.len());
            unescape(inner, &mut bytes);
            *value = Some(Cow::Owned(bytes));
        }
        Some(before) => unescape(inner, before.to_mut()),
    }
}

fn unescape(mut text: &[u8], into: &mut Vec<u8>) {
    while let Some(backslash) = memchr::memchr(b'\\', text) {
        into.extend_from_slice(&text[..backslash]);
        text = escape(&text[backslash + 1..], into);
    }
    into.extend_from_slice(text);
}

/// One escape, behind its backslash: what follows it.
fn escape<'a>(text: &'a [u8], into: &mut Vec<u8>) -> &'a [u8] {
    let Some((&mark, rest)) = text.split_first() else { return text };
    match mark {
        b'0'..=b'7' => {
            let (code, length) = digits(text, 8, 3);
            into.push(code as u8);
            &text[length..]
        }
        b'x' | b'X' => {
            let (code, length) = digits(rest, 16, 2);
            into.push(code as u8);
            &rest[length..]
        }
        b'u' => code_point(rest, 4, into),
        b'U' => code_point(rest, 8, into),
        _ => {
            into.push(translate(mark));
            rest
        }
    }
}

fn translate(mark: u8) -> u8 {
    match mark {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

fn code_point<'a>(text: &'a [u8], length: usize, into: &mut Vec<u8>) -> &'a [u8] {
    let (code, read) = digits(text, 16, length);
    let rest = &text[read..];
    if let (0xd800..0xdc00, Some(low)) = (code, rest.strip_prefix(b"\\u")) {
        let (trail, read) = digits(low, 16, 4);
        if let 0xdc00..0xe000 = trail {
            append_utf8(0x10000 + ((code - 0xd800) << 10 | (trail - 0xdc00)), into);
            return &low[read..];
        }
    }
    append_utf8(code, into);
    rest
}

/// UTF-8 of any 21 bits: a lone surrogate becomes three bytes, as protoc writes it, and what is above Unicode its escape.
fn append_utf8(code: u32, into: &mut Vec<u8>) {
    let tail = |shift: u32| (0x80 | (code >> shift & 0x3f)) as u8;
    match code {
        0..0x80 => into.push(code as u8),
        0x80..0x800 => into.extend([(0xc0 | code >> 6) as u8, tail(0)]),
        0x800..0x1_0000 => into.extend([(0xe0 | code >> 12) as u8, tail(6), tail(0)]),
        0x1_0000..0x11_0000 => into.extend([(0xf0 | code >> 18) as u8, tail(12), tail(6), tail(0)]),
        _ => into.extend(format!("\\U{code:08x}").bytes()),
    }
}

/// The value of at most `most` leading digits, and how many there are.
fn digits(text: &[u8], base: u32, most: usize) -> (u32, usize) {
    let values = text.iter().take(most).map_while(|&byte| char::from(byte).to_digit(base));
    values.fold((0, 0), |(value, count), digit| (value * base + digit, count + 1))
}

/// The value of an integer token, decimal, octal or hexadecimal, unless it is above 64 bits.
pub fn integer(token: &[u8]) -> Option<u64> {
    let (base, digits) = match token {
        [b'0', b'x' | b'X', hex @ ..] => (16, hex),
        [b'0', octal @ ..] => (8, octal),
        decimal => (10, decimal),
    };
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = char::from(byte).to_digit(base as u32)?;
        value.checked_mul(base)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tokens: &[&str]) -> String {
        let mut value = None;
        tokens.iter().for_each(|token| append_string(token.as_bytes(), &mut value));
        String::from_utf8_lossy(&value.unwrap()).into_owned()
    }

    #[test]
    fn strings() {
        assert_eq!(value(&["\"a\"", "'b'", "\"\\n\""]), "ab\n");
        assert_eq!(value(&[r#""\a\b\f\n\r\t\v\\\?\'\"""#]), "\u{7}\u{8}\u{c}\n\r\t\u{b}\\?'\"");
        assert_eq!(value(&[r#""\101\x41\X4a\u00e9\U0001F600\uD83D\uDE00\U00110000""#]), "AAJé😀😀\\U00110000");
        assert_eq!(value(&[r#""\0018\x4g""#]), "\u{1}8\u{4}g");
    }

    #[test]
    fn integers() {
        assert_eq!(
            ["0", "017", "0xfF", "18446744073709551615"].map(|text| integer(text.as_bytes()).unwrap()),
            [0, 15, 255, u64::MAX]
        );
        assert_eq!(integer(b"18446744073709551616"), None);
    }
}
