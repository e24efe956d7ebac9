//! A strict reader of RFC 8259 that answers one question: is this one JSON text, and if not, where does it go wrong?
//!
//! Stricter than many: strict UTF-8, no byte order mark, no NaN or Infinity, no comments, no trailing commas, no lone
//! surrogate in an escape (it has no UTF-8 form, so no reader could hand it on). Duplicate names are allowed, as the
//! standard allows them. Nesting is kept in a bit stack, never on the thread's own.

use crate::error::{Error, Place, Result};

/// How deep arrays and objects may nest unless the caller says otherwise.
pub const MAX_DEPTH: usize = 512;

/// Check that `source` is one JSON text nested at most `max_depth` deep.
pub fn check(source: &[u8], max_depth: usize) -> Result<()> {
    let mut reader = Reader { source, at: 0, max_depth, stack: Vec::new() };
    reader.text().map_err(|what| Error::invalid(what.0).at(place(source, reader.at)))
}

/// What is wrong; the reader stands where.
struct Fault(String);

type Step<T = ()> = std::result::Result<T, Fault>;

fn fault<T>(what: &str) -> Step<T> {
    Err(Fault(format!("not JSON: {what}")))
}

/// Line and column of a byte, both from 1; a column is a code point, or one byte that is no part of any.
fn place(source: &[u8], at: usize) -> Place {
    let before = &source[..at];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Place::Text { line: line as u32, column: column as u32 }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Container {
    Array,
    Object,
}

struct Reader<'a> {
    source: &'a [u8],
    at: usize,
    max_depth: usize,
    stack: Vec<Container>,
}

impl Reader<'_> {
    fn text(&mut self) -> Step {
        if self.source.starts_with(b"\xef\xbb\xbf") {
            return fault("a byte order mark is not allowed");
        }
        loop {
            self.space();
            let opened = self.value()?;
            if opened && !self.first()? {
                continue;
            }
            if !self.next_sibling()? {
                return Ok(());
            }
        }
    }

    /// Read a scalar, or open a container: whether one was opened.
    fn value(&mut self) -> Step<bool> {
        match self.peek() {
            Some(b'{') => self.open(Container::Object)?,
            Some(b'[') => self.open(Container::Array)?,
            Some(b'"') => return self.string().map(|()| false),
            Some(b'-' | b'0'..=b'9') => return self.number().map(|()| false),
            Some(b't') => return self.literal("true").map(|()| false),
            Some(b'f') => return self.literal("false").map(|()| false),
            Some(b'n') => return self.literal("null").map(|()| false),
            Some(b'N' | b'I') => return fault("NaN and Infinity are not allowed"),
            Some(byte) => return self.unexpected(byte, "a value"),
            None => return fault("expected a value, found the end"),
        }
        Ok(true)
    }

    fn open(&mut self, container: Container) -> Step {
        if self.stack.len() == self.max_depth {
            return Err(Fault(format!("JSON must be nested at most {} levels deep", self.max_depth)));
        }
        self.stack.push(container);
        self.at += 1;
        Ok(())
    }

    /// Behind an opening bracket: close an empty container (true), or come to where its first value begins (false).
    fn first(&mut self) -> Step<bool> {
        self.space();
        let container = self.stack.last().copied();
        match (container, self.peek()) {
            (Some(Container::Array), Some(b']')) | (Some(Container::Object), Some(b'}')) => {
                self.at += 1;
                self.stack.pop();
                Ok(true)
            }
            (Some(Container::Object), _) => self.name().map(|()| false),
            _ => Ok(false),
        }
    }

    /// Behind a value: go to the next one, closing what ends here. False at the end of the text.
    fn next_sibling(&mut self) -> Step<bool> {
        loop {
            self.space();
            let Some(container) = self.stack.last().copied() else {
                return match self.peek() {
                    None => Ok(false),
                    Some(byte) => self.unexpected(byte, "the end"),
                };
            };
            match (self.peek(), container) {
                (Some(b','), Container::Array) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(b','), Container::Object) => {
                    self.at += 1;
                    self.space();
                    return self.name().map(|()| true);
                }
                (Some(b']'), Container::Array) | (Some(b'}'), Container::Object) => {
                    self.at += 1;
                    self.stack.pop();
                }
                (Some(byte), Container::Array) => return self.unexpected(byte, "\",\" or \"]\""),
                (Some(byte), Container::Object) => return self.unexpected(byte, "\",\" or \"}\""),
                (None, _) => return fault("an array or object is not closed"),
            }
        }
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Step {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(byte) => return self.unexpected(byte, "a name in double quotes"),
            None => return fault("an object is not closed"),
        }
        self.space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(byte) => return self.unexpected(byte, "\":\""),
            None => return fault("expected \":\", found the end"),
        }
        Ok(())
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            self.at += self.source[self.at..].iter().take_while(|&&byte| is_plain(byte)).count();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x80..) => self.code_points()?,
                Some(_) => return fault("a control character in a string must be escaped"),
                None => return fault("a string is not closed"),
            }
        }
    }

    fn escape(&mut self) -> Step {
        match self.source.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.unit()?;
                if matches!(unit, 0xdc00..=0xdfff) || (matches!(unit, 0xd800..=0xdbff) && !self.low_surrogate()) {
                    return fault("a string contains a lone surrogate");
                }
                self.at += if matches!(unit, 0xd800..=0xdbff) { 12 } else { 6 };
            }
            _ => return fault("unknown escape in a string"),
        }
        Ok(())
    }

    /// The value of `\uXXXX` where the reader stands.
    fn unit(&self) -> Step<u16> {
        match hex4(self.source.get(self.at + 2..self.at + 6)) {
            Some(unit) => Ok(unit),
            None => fault("\\u must be followed by four hexadecimal digits"),
        }
    }

    fn low_surrogate(&self) -> bool {
        self.source.get(self.at + 6..self.at + 8) == Some(b"\\u")
            && matches!(hex4(self.source.get(self.at + 8..self.at + 12)), Some(0xdc00..=0xdfff))
    }

    /// A run of bytes above ASCII: whole code points, or a fault at the first byte of what is none.
    fn code_points(&mut self) -> Step {
        let rest = &self.source[self.at..];
        let run = &rest[..rest.iter().take_while(|&&byte| byte >= 0x80).count()];
        match std::str::from_utf8(run) {
            Ok(_) => {
                self.at += run.len();
                Ok(())
            }
            Err(error) => {
                self.at += error.valid_up_to();
                fault("the text is not UTF-8")
            }
        }
    }

    fn number(&mut self) -> Step {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return fault("a number has a leading zero");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step {
        let count = self.source[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { fault("a number must have a digit here") } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Step {
        if !self.source[self.at..].starts_with(word.as_bytes()) {
            return fault(&format!("expected {word}"));
        }
        self.at += word.len();
        Ok(())
    }

    fn unexpected<T>(&self, byte: u8, expected: &str) -> Step<T> {
        if byte >= 0x80 && std::str::from_utf8(&self.source[self.at..]).is_err_and(|error| error.valid_up_to() == 0) {
            return fault("the text is not UTF-8");
        }
        fault(&format!("expected {expected}"))
    }

    fn space(&mut self) {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.source[self.at..].iter().take_while(is_space).count();
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x80) && byte != b'"' && byte != b'\\'
}

fn hex4(digits: Option<&[u8]>) -> Option<u16> {
    digits?.iter().try_fold(0, |unit, &byte| Some(unit << 4 | char::from(byte).to_digit(16)? as u16))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
