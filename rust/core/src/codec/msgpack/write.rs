//! Tokens to bytes, each in its shortest form.

use super::TIMESTAMP;
use super::timestamp::Timestamp;
use crate::codec::sink::Sink;

pub fn nil(out: &mut impl Sink) {
    out.put([0xC0]);
}

pub fn bool(out: &mut impl Sink, value: bool) {
    out.put([0xC2 + u8::from(value)]);
}

#[inline]
fn marked16(out: &mut impl Sink, mark: u8, value: u16) {
    let [a, b] = value.to_be_bytes();
    out.put([mark, a, b]);
}

#[inline]
fn marked32(out: &mut impl Sink, mark: u8, value: u32) {
    let [a, b, c, d] = value.to_be_bytes();
    out.put([mark, a, b, c, d]);
}

#[inline]
fn marked64(out: &mut impl Sink, mark: u8, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    out.put([mark, a, b, c, d, e, f, g, h]);
}

#[inline]
pub fn uint(out: &mut impl Sink, value: u64) {
    match value {
        0..=0x7F => out.put([value as u8]),
        0x80..=0xFF => out.put([0xCC, value as u8]),
        0x100..=0xFFFF => marked16(out, 0xCD, value as u16),
        0x1_0000..=0xFFFF_FFFF => marked32(out, 0xCE, value as u32),
        _ => marked64(out, 0xCF, value),
    }
}

#[inline]
pub fn int(out: &mut impl Sink, value: i64) {
    match value {
        0.. => uint(out, value as u64),
        -32..=-1 => out.put([value as u8]),
        -0x80..=-33 => out.put([0xD0, value as u8]),
        -0x8000..=-0x81 => marked16(out, 0xD1, value as u16),
        -0x8000_0000..=-0x8001 => marked32(out, 0xD2, value as u32),
        _ => marked64(out, 0xD3, value as u64),
    }
}

#[inline]
pub fn float(out: &mut impl Sink, value: f64) {
    marked64(out, 0xCB, value.to_bits());
}

/// A mark by the width of the length: `small` for one byte, if there is one, then two and four.
/// None: the length is 4 GiB or more, which MessagePack cannot say.
#[inline]
fn sized(out: &mut impl Sink, small: Option<u8>, wide: [u8; 2], length: usize) -> Option<()> {
    match (length, small) {
        (0..=0xFF, Some(mark)) => out.put([mark, length as u8]),
        (0..=0xFFFF, _) => marked16(out, wide[0], length as u16),
        (0x1_0000..=0xFFFF_FFFF, _) => marked32(out, wide[1], length as u32),
        _ => return None,
    }
    Some(())
}

/// What stands before so many bytes of UTF-8.
#[inline]
pub fn str_head(out: &mut impl Sink, length: usize) -> Option<()> {
    match length {
        0..=31 => out.put([0xA0 | length as u8]),
        _ => sized(out, Some(0xD9), [0xDA, 0xDB], length)?,
    }
    Some(())
}

/// What stands before so many bytes.
#[inline]
pub fn bin_head(out: &mut impl Sink, length: usize) -> Option<()> {
    sized(out, Some(0xC4), [0xC5, 0xC6], length)
}

#[inline]
pub fn array(out: &mut impl Sink, length: usize) -> Option<()> {
    match length {
        0..=15 => out.put([0x90 | length as u8]),
        _ => sized(out, None, [0xDC, 0xDD], length)?,
    }
    Some(())
}

#[inline]
pub fn map(out: &mut impl Sink, pairs: usize) -> Option<()> {
    match pairs {
        0..=15 => out.put([0x80 | pairs as u8]),
        _ => sized(out, None, [0xDE, 0xDF], pairs)?,
    }
    Some(())
}

pub fn ext(out: &mut impl Sink, code: i8, value: &[u8]) -> Option<()> {
    match value.len() {
        length @ (1 | 2 | 4 | 8 | 16) => out.put([0xD4 + length.trailing_zeros() as u8]),
        length => sized(out, Some(0xC7), [0xC8, 0xC9], length)?,
    }
    out.put([code as u8]);
    out.put_slice(value);
    Some(())
}

/// In 4, 8 or 12 bytes, the fewest that hold it.
pub fn timestamp(out: &mut impl Sink, value: Timestamp) {
    let (seconds, nanoseconds) = (value.seconds, value.nanoseconds);
    if (0..1 << 34).contains(&seconds) {
        let word = u64::from(nanoseconds) << 34 | seconds as u64;
        match u32::try_from(word) {
            Ok(short) => {
                out.put([0xD6, TIMESTAMP as u8]);
                out.put(short.to_be_bytes());
            }
            Err(_) => {
                out.put([0xD7, TIMESTAMP as u8]);
                out.put(word.to_be_bytes());
            }
        }
        return;
    }
    out.put([0xC7, 12, TIMESTAMP as u8]);
    out.put(nanoseconds.to_be_bytes());
    out.put(seconds.to_be_bytes());
}
