//! Reading bincode `standard()` from bytes that may be anything.

use crate::error::{Error, Place, Result};

/// A cursor that never leaves its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at: at.min(data.len()) }
    }

    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    #[cold]
    pub fn fail(&self, message: impl Into<String>) -> Error {
        Error::corrupt(message).at(Place::Byte(self.at))
    }

    #[cold]
    fn short(&self, wanted: u64) -> Error {
        self.fail(format!("expected {wanted} more bytes, found {}", self.remaining()))
    }

    #[inline(always)]
    pub fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        if length > self.remaining() as u64 {
            return Err(self.short(length));
        }
        let start = self.at;
        self.at += length as usize;
        Ok(&self.data[start..self.at])
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        match self.data.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(self.short(1)),
        }
    }

    #[inline(always)]
    pub fn uint(&mut self) -> Result<u64> {
        match self.byte()? {
            mark @ 0..=250 => Ok(u64::from(mark)),
            251 => Ok(u64::from(u16::from_le_bytes(self.array()?))),
            mark => self.long_uint(mark),
        }
    }

    fn long_uint(&mut self, mark: u8) -> Result<u64> {
        match mark {
            251 => Ok(u64::from(u16::from_le_bytes(self.array()?))),
            252 => Ok(u64::from(u32::from_le_bytes(self.array()?))),
            253 => Ok(u64::from_le_bytes(self.array()?)),
            _ => Err(self.fail(format!("a number of at most 64 bits cannot start with the byte {mark}"))),
        }
    }

    pub fn uint128(&mut self) -> Result<u128> {
        match self.byte()? {
            mark @ 0..=250 => Ok(u128::from(mark)),
            254 => Ok(u128::from_le_bytes(self.array()?)),
            mark => self.long_uint(mark).map(u128::from),
        }
    }

    /// A varint no longer than `bits` and its mark, as bincode reads it: so the value fits too.
    #[inline]
    pub fn uint_of(&mut self, bits: u32) -> Result<u64> {
        let start = self.at;
        let value = self.uint()?;
        if self.at - start > 1 + bits as usize / 8 {
            return Err(self.fail(format!("a number is not in the shortest form of {bits} bits")));
        }
        Ok(value)
    }

    #[inline]
    pub fn int_of(&mut self, bits: u32) -> Result<i64> {
        let value = self.uint_of(bits)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn int128(&mut self) -> Result<i128> {
        let value = self.uint128()?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    /// A length and so many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.uint()?;
        self.take(length)
    }

    /// A count of items that take `least` bytes each: one that cannot be true is refused before anything is allocated.
    #[inline]
    pub fn count(&mut self, least: usize) -> Result<usize> {
        let count = self.uint()?;
        if count > (self.remaining() / least.max(1)) as u64 {
            return Err(self.fail(format!("{count} items do not fit the {} bytes that are left", self.remaining())));
        }
        Ok(count as usize)
    }

    /// A tag that is 0 or 1.
    #[inline]
    pub fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.fail(format!("a bool must be 0 or 1, got {other}"))),
        }
    }

    pub fn char(&mut self) -> Result<char> {
        let first = self.byte()?;
        let length = match first {
            0..=0x7F => return Ok(first as char),
            0xC2..=0xDF => 1,
            0xE0..=0xEF => 2,
            0xF0..=0xF4 => 3,
            _ => return Err(self.fail("a char must be one character in UTF-8")),
        };
        let start = self.at - 1;
        self.take(length)?;
        let text = std::str::from_utf8(&self.data[start..self.at]).ok();
        text.and_then(|text| text.chars().next()).ok_or_else(|| self.fail("a char must be one character in UTF-8"))
    }
}
