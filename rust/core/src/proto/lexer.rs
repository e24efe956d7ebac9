//! Tokens as protoc's tokenizer cuts them (io/tokenizer.cc), with one token of look-ahead.
//!
//! A zero byte is what that tokenizer takes for the end of its input, and tells from it later: it ends a string and a
//! line comment, and is then a control character. Bytes above ASCII are at home in strings and comments only.

use super::classes::{Outside, STEP, outside_at};
use super::{Step, fault, quoting, work};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    Identifier,
    Integer,
    Float,
    String,
    Symbol,
    End,
}

/// A token: its kind and its bytes in the source, quotes of a string included.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

pub struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    /// Where the sixty-four bytes begin whose classes are known.
    classed: usize,
    classes: Outside,
    pub token: Token,
}

const SPACE: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 4;
const CONTROL: u8 = 8;

/// What a byte may be part of.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b'0'..=b'9' => DIGIT,
            0..0x20 => CONTROL,
            _ => 0,
        };
        byte += 1;
    }
    class
};

impl<'a> Lexer<'a> {
    /// A lexer on the first token.
    pub fn new(source: &'a [u8]) -> Step<Self> {
        let token = Token { kind: TokenKind::End, start: 0, end: 0 };
        let mut lexer = Self { source, at: 0, classed: 0, classes: outside_at(source, 0), token };
        if source.first() == Some(&0xef) {
            let marks = [0xef, 0xbb, 0xbf].iter().zip(source).take_while(|(mark, byte)| mark == byte).count();
            if marks < 3 {
                let message = "Proto file starts with 0xEF but not UTF-8 BOM. Only UTF-8 is accepted for proto file.";
                return fault(marks, message);
            }
            lexer.at = 3;
        }
        lexer.advance()?;
        Ok(lexer)
    }

    pub fn source(&self) -> &'a [u8] {
        self.source
    }

    /// The text of the present token.
    #[inline]
    pub fn text(&self) -> &'a [u8] {
        &self.source[self.token.start..self.token.end]
    }

    /// Go to the next token.
    pub fn advance(&mut self) -> Step {
        let from = self.at;
        self.blank()?;
        let start = self.at;
        let kind = match self.source.get(start) {
            None => TokenKind::End,
            Some(&byte) => match (CLASS[usize::from(byte)], byte) {
                (LETTER, _) => {
                    self.pass(|classes| classes.name);
                    TokenKind::Identifier
                }
                (DIGIT, _) => self.number()?,
                (CONTROL, _) => return fault(start, "Invalid control characters encountered in text."),
                (_, b'"' | b'\'') => self.string(byte)?,
                (_, b'.') if self.class_at(start + 1) == DIGIT => self.fraction()?,
                (_, 0x80..) => {
                    let plain = "Interpreting non ascii codepoint.";
                    return quoting(start, plain, format!("Interpreting non ascii codepoint {byte}."));
                }
                _ => {
                    self.at += 1;
                    TokenKind::Symbol
                }
            },
        };
        work::count(self.at - from);
        self.token = Token { kind, start, end: self.at };
        Ok(())
    }

    /// Go to the first token at or behind `at`, which lies outside of strings and comments.
    pub fn jump(&mut self, at: usize) -> Step {
        self.at = at;
        self.advance()
    }

    /// Skip white space and comments.
    #[inline]
    fn blank(&mut self) -> Step {
        loop {
            self.pass(|classes| classes.blank);
            if self.peek(0) != b'/' {
                return Ok(());
            }
            match self.peek(1) {
                b'/' => self.at = line_comment_end(self.source, self.at),
                b'*' => self.at = block_comment_end(self.source, self.at)?,
                _ => return Ok(()),
            }
        }
    }

    /// Pass all bytes of a class from here on.
    #[inline]
    fn pass(&mut self, of: impl Fn(Outside) -> u64) {
        loop {
            let from = self.at.wrapping_sub(self.classed);
            if from < STEP {
                let others = !of(self.classes) >> from;
                if others != 0 {
                    self.at = (self.at + others.trailing_zeros() as usize).min(self.source.len());
                    return;
                }
                self.at = self.classed + STEP;
            }
            if self.at >= self.source.len() {
                self.at = self.source.len();
                return;
            }
            (self.classed, self.classes) = (self.at, outside_at(self.source, self.at));
        }
    }

    fn pass_digits(&mut self) {
        while self.class_at(self.at) == DIGIT {
            self.at += 1;
        }
    }

    #[inline]
    fn class_at(&self, at: usize) -> u8 {
        self.source.get(at).map_or(0, |&byte| CLASS[usize::from(byte)])
    }

    /// The byte `ahead` of here, 0 behind the end.
    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn string(&mut self, quote: u8) -> Step<TokenKind> {
        self.at = string_end(self.source, self.at, quote)?;
        Ok(TokenKind::String)
    }

    /// A number that begins with its point.
    fn fraction(&mut self) -> Step<TokenKind> {
        if self.token.kind == TokenKind::Identifier && self.token.end == self.at {
            return fault(self.at, "Need space between identifier and decimal point.");
        }
        self.at += 1;
        self.pass_digits();
        self.exponent()?;
        self.number_end(TokenKind::Float)
    }

    fn number(&mut self) -> Step<TokenKind> {
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') {
            self.at += 2;
            if !self.peek(0).is_ascii_hexdigit() {
                return fault(self.at, "\"0x\" must be followed by hex digits.");
            }
            self.at += self.source[self.at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            return self.number_end(TokenKind::Integer);
        }
        if self.peek(0) == b'0' && self.peek(1).is_ascii_digit() {
            self.at += self.source[self.at..].iter().take_while(|&&byte| matches!(byte, b'0'..=b'7')).count();
            if self.peek(0).is_ascii_digit() {
                return fault(self.at, "Numbers starting with leading zero must be in octal.");
            }
            return self.number_end(TokenKind::Integer);
        }
        self.pass_digits();
        let point = self.peek(0) == b'.';
        if point {
            self.at += 1;
            self.pass_digits();
        }
        let exponent = self.exponent()?;
        self.number_end(if point || exponent { TokenKind::Float } else { TokenKind::Integer })
    }

    fn exponent(&mut self) -> Step<bool> {
        if !matches!(self.peek(0), b'e' | b'E') {
            return Ok(false);
        }
        self.at += 1;
        if matches!(self.peek(0), b'-' | b'+') {
            self.at += 1;
        }
        if !self.peek(0).is_ascii_digit() {
            return fault(self.at, "\"e\" must be followed by exponent.");
        }
        self.pass_digits();
        Ok(true)
    }

    fn number_end(&self, kind: TokenKind) -> Step<TokenKind> {
        if self.class_at(self.at) == LETTER {
            return fault(self.at, "Need space between number and identifier.");
        }
        if self.peek(0) == b'.' {
            return match kind {
                TokenKind::Float => fault(self.at, "Already saw decimal point or exponent; can't have another one."),
                _ => fault(self.at, "Hex and octal numbers must be integers."),
            };
        }
        Ok(kind)
    }
}

/// Behind the line comment that begins at `start`: on its newline, on a zero byte, or at the end.
pub fn line_comment_end(source: &[u8], start: usize) -> usize {
    memchr::memchr2(b'\n', 0, &source[start..]).map_or(source.len(), |length| start + length)
}

/// Behind the block comment that begins at `start`.
pub fn block_comment_end(source: &[u8], start: usize) -> Step<usize> {
    let mut at = start + 2;
    loop {
        let Some(found) = memchr::memchr3(b'*', b'/', 0, &source[at..]) else {
            return fault(source.len(), "End-of-file inside block comment.");
        };
        at += found;
        let next = source.get(at + 1).copied();
        match (source[at], next) {
            (b'*', Some(b'/')) => return Ok(at + 2),
            (b'/', Some(b'*')) => {
                let message = "\"/*\" inside block comment.  Block comments cannot be nested.";
                return fault(at + 1, message);
            }
            (0, _) => return fault(at, "End-of-file inside block comment."),
            _ => at += 1,
        }
    }
}

/// Behind the string that begins at `start` with `quote`.
pub fn string_end(source: &[u8], start: usize, quote: u8) -> Step<usize> {
    let mut at = start + 1;
    loop {
        let stop = memchr::memchr3(quote, b'\\', b'\n', &source[at..]).map_or(source.len(), |ahead| at + ahead);
        if let Some(zero) = memchr::memchr(0, &source[at..stop]) {
            return fault(at + zero, "Unexpected end of string.");
        }
        at = match source.get(stop) {
            Some(b'\\') => escape_end(source, stop + 1)?,
            Some(b'\n') => return fault(stop, "Multiline strings are not allowed. Did you miss a \"?."),
            Some(_) => return Ok(stop + 1),
            None => return fault(stop, "Unexpected end of string."),
        };
    }
}

/// Behind the least that must stand after a backslash; further digits are like any other characters.
pub fn escape_end(source: &[u8], at: usize) -> Step<usize> {
    let (digits, otherwise) = match source.get(at) {
        Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'\'' | b'"' | b'0'..=b'7') => {
            return Ok(at + 1);
        }
        Some(b'x' | b'X') => ("h", "Expected hex digits for escape sequence."),
        Some(b'u') => ("hhhh", "Expected four hex digits for \\u escape sequence."),
        Some(b'U') => ("00bhhhhh", "Expected eight hex digits up to 10ffff for \\U escape sequence"),
        _ => return fault(at, "Invalid escape sequence in string literal."),
    };
    let accepts = |(&byte, kind): (&u8, u8)| match kind {
        b'0' => byte == b'0',
        b'b' => matches!(byte, b'0' | b'1'),
        _ => byte.is_ascii_hexdigit(),
    };
    let right = source[at + 1..].iter().zip(digits.bytes()).take_while(|&pair| accepts(pair)).count();
    if right < digits.len() { fault(at + 1 + right, otherwise) } else { Ok(at + 1 + right) }
}
