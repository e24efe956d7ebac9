//! Tokens from bytes that may be anything.

use crate::error::{Error, Place, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    Nil,
    Bool(bool),
    Uint(u64),
    Int(i64),
    F32(f32),
    F64(f64),
    /// Not yet known to be UTF-8.
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Array(usize),
    /// Pairs.
    Map(usize),
    Ext(i8, &'a [u8]),
}

#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    data: &'a [u8],
    at: usize,
    /// More bytes may follow: claims beyond the end are no fault yet.
    partial: bool,
    /// The last fault was that the bytes ended.
    short: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, partial: false, short: false }
    }

    #[inline]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at == self.data.len()
    }

    #[cold]
    pub fn fail(&self, message: impl Into<String>) -> Error {
        Error::corrupt(message).at(Place::Byte(self.at))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.data.get(self.at..self.at.wrapping_add(length)) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => {
                self.short = true;
                Err(self.fail(format!("expected {length} more bytes, found {}", self.data.len() - self.at)))
            }
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// A length of `N` bytes, big-endian.
    #[inline]
    fn length<const N: usize>(&mut self) -> Result<usize> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    /// A count of items of one byte each at least: one that cannot be true is refused before anything is allocated.
    #[inline]
    fn items(&self, count: usize, least: usize) -> Result<usize> {
        if !self.partial && count > (self.data.len() - self.at) / least {
            return Err(
                self.fail(format!("{count} items do not fit the {} bytes that are left", self.data.len() - self.at))
            );
        }
        Ok(count)
    }

    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>> {
        let [mark] = self.array()?;
        match mark {
            0x00..=0x7F => Ok(Token::Uint(u64::from(mark))),
            0xA0..=0xBF => Ok(Token::Str(self.take(usize::from(mark & 31))?)),
            0x80..=0x8F => Ok(Token::Map(self.items(usize::from(mark & 15), 2)?)),
            0x90..=0x9F => Ok(Token::Array(self.items(usize::from(mark & 15), 1)?)),
            0xE0..=0xFF => Ok(Token::Int(i64::from(mark as i8))),
            _ => self.long(mark),
        }
    }

    fn long(&mut self, mark: u8) -> Result<Token<'a>> {
        Ok(match mark {
            0xC0 => Token::Nil,
            0xC2 | 0xC3 => Token::Bool(mark == 0xC3),
            0xC4..=0xC6 => {
                let length = self.sized(mark - 0xC4)?;
                Token::Bin(self.take(length)?)
            }
            0xC7..=0xC9 => {
                let length = self.sized(mark - 0xC7)?;
                self.ext(length)?
            }
            0xCA => Token::F32(f32::from_be_bytes(self.array()?)),
            0xCB => Token::F64(f64::from_be_bytes(self.array()?)),
            0xCC => Token::Uint(u64::from(u8::from_be_bytes(self.array()?))),
            0xCD => Token::Uint(u64::from(u16::from_be_bytes(self.array()?))),
            0xCE => Token::Uint(u64::from(u32::from_be_bytes(self.array()?))),
            0xCF => Token::Uint(u64::from_be_bytes(self.array()?)),
            0xD0 => Token::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xD1 => Token::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xD2 => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xD3 => Token::Int(i64::from_be_bytes(self.array()?)),
            0xD4..=0xD8 => self.ext(1 << (mark - 0xD4))?,
            0xD9..=0xDB => {
                let length = self.sized(mark - 0xD9)?;
                Token::Str(self.take(length)?)
            }
            0xDC | 0xDD => {
                let count = self.sized(mark - 0xDC + 1)?;
                Token::Array(self.items(count, 1)?)
            }
            0xDE | 0xDF => {
                let count = self.sized(mark - 0xDE + 1)?;
                Token::Map(self.items(count, 2)?)
            }
            _ => return Err(self.fail(format!("no value starts with {mark:#04x}"))),
        })
    }

    #[inline]
    fn sized(&mut self, width: u8) -> Result<usize> {
        match width {
            0 => self.length::<1>(),
            1 => self.length::<2>(),
            _ => self.length::<4>(),
        }
    }

    fn ext(&mut self, length: usize) -> Result<Token<'a>> {
        let [code] = self.array()?;
        Ok(Token::Ext(code as i8, self.take(length)?))
    }
}

/// Step over one whole value. No recursion; a value of n bytes costs n steps at most.
pub fn skip(tokens: &mut Tokens<'_>) -> Result<()> {
    let mut wanted = 1;
    while wanted > 0 {
        wanted = after(wanted, tokens.token()?);
    }
    Ok(())
}

/// How many values are wanted once `token` has come.
fn after(wanted: usize, token: Token<'_>) -> usize {
    (wanted - 1).saturating_add(match token {
        Token::Array(count) => count,
        Token::Map(pairs) => pairs.saturating_mul(2),
        _ => 0,
    })
}

/// Finds where values end in a stream that comes in pieces; what was stepped over is not looked at again.
#[derive(Debug)]
pub struct Splitter {
    at: usize,
    wanted: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { at: 0, wanted: 1 }
    }
}

impl Splitter {
    /// The length of the first whole value in `data`, which starts as it did at the last call; None: more bytes are needed.
    pub fn advance(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let mut tokens = Tokens { data, at: self.at, partial: true, short: false };
        while self.wanted > 0 {
            match tokens.token() {
                Ok(token) => self.wanted = after(self.wanted, token),
                Err(_) if tokens.short => return Ok(None),
                Err(error) => return Err(error),
            }
            self.at = tokens.at;
        }
        let length = self.at;
        *self = Self::default();
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_cost_nothing_and_depth_costs_no_stack() {
        for bomb in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01",
        ] {
            assert!(skip(&mut Tokens::new(bomb)).is_err());
        }
        let deep = [vec![0x91; 1_000_000], vec![0xC0]].concat();
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        thread.spawn(move || assert!(skip(&mut Tokens::new(&deep)).is_ok())).unwrap().join().unwrap();
    }

    #[test]
    fn a_stream_in_pieces_splits_where_values_end() {
        let stream = b"\x93\x01\xa3abc\xc4\x02xy\x81\xa1k\x90\xc0";
        let (mut splitter, mut held, mut lengths) = (Splitter::default(), Vec::new(), Vec::new());
        for byte in stream {
            held.push(*byte);
            if let Some(length) = splitter.advance(&held).unwrap() {
                held.drain(..length);
                lengths.push(length);
            }
        }
        assert_eq!((lengths, held.len()), (vec![10, 4, 1], 0));
    }

    #[test]
    fn the_one_mark_that_means_nothing() {
        assert!(Tokens::new(b"\xc1").token().is_err());
        assert!(Tokens::new(b"").token().is_err());
    }
}
