//! Tokens to bytes, each in its shortest form.

use super::TIMESTAMP;
use super::timestamp::Timestamp;

pub fn nil(out: &mut Vec<u8>) {
    out.push(0xC0);
}

pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xC2 + u8::from(value));
}

#[inline]
fn marked(out: &mut Vec<u8>, mark: u8, bytes: &[u8]) {
    out.push(mark);
    out.extend_from_slice(bytes);
}

#[inline]
pub fn uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7F => out.push(value as u8),
        0x80..=0xFF => marked(out, 0xCC, &[value as u8]),
        0x100..=0xFFFF => marked(out, 0xCD, &(value as u16).to_be_bytes()),
        0x1_0000..=0xFFFF_FFFF => marked(out, 0xCE, &(value as u32).to_be_bytes()),
        _ => marked(out, 0xCF, &value.to_be_bytes()),
    }
}

#[inline]
pub fn int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => uint(out, value as u64),
        -32..=-1 => out.push(value as u8),
        -0x80..=-33 => marked(out, 0xD0, &[value as u8]),
        -0x8000..=-0x81 => marked(out, 0xD1, &(value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => marked(out, 0xD2, &(value as i32).to_be_bytes()),
        _ => marked(out, 0xD3, &value.to_be_bytes()),
    }
}

pub fn float(out: &mut Vec<u8>, value: f64) {
    marked(out, 0xCB, &value.to_be_bytes());
}

/// A mark by the width of the length: `small` for one byte, if there is one, then two and four.
/// None: the length is 4 GiB or more, which MessagePack cannot say.
#[inline]
fn sized(out: &mut Vec<u8>, small: Option<u8>, wide: [u8; 2], length: usize) -> Option<()> {
    match (length, small) {
        (0..=0xFF, Some(mark)) => marked(out, mark, &[length as u8]),
        (0..=0xFFFF, _) => marked(out, wide[0], &(length as u16).to_be_bytes()),
        (0x1_0000..=0xFFFF_FFFF, _) => marked(out, wide[1], &(length as u32).to_be_bytes()),
        _ => return None,
    }
    Some(())
}

#[inline]
pub fn str(out: &mut Vec<u8>, value: &[u8]) -> Option<()> {
    match value.len() {
        length @ 0..=31 => out.push(0xA0 | length as u8),
        length => sized(out, Some(0xD9), [0xDA, 0xDB], length)?,
    }
    out.extend_from_slice(value);
    Some(())
}

pub fn bin(out: &mut Vec<u8>, value: &[u8]) -> Option<()> {
    sized(out, Some(0xC4), [0xC5, 0xC6], value.len())?;
    out.extend_from_slice(value);
    Some(())
}

#[inline]
pub fn array(out: &mut Vec<u8>, length: usize) -> Option<()> {
    match length {
        0..=15 => out.push(0x90 | length as u8),
        _ => sized(out, None, [0xDC, 0xDD], length)?,
    }
    Some(())
}

#[inline]
pub fn map(out: &mut Vec<u8>, pairs: usize) -> Option<()> {
    match pairs {
        0..=15 => out.push(0x80 | pairs as u8),
        _ => sized(out, None, [0xDE, 0xDF], pairs)?,
    }
    Some(())
}

pub fn ext(out: &mut Vec<u8>, code: i8, value: &[u8]) -> Option<()> {
    match value.len() {
        length @ (1 | 2 | 4 | 8 | 16) => out.push(0xD4 + length.trailing_zeros() as u8),
        length => sized(out, Some(0xC7), [0xC8, 0xC9], length)?,
    }
    out.push(code as u8);
    out.extend_from_slice(value);
    Some(())
}

/// In 4, 8 or 12 bytes, the fewest that hold it.
pub fn timestamp(out: &mut Vec<u8>, value: Timestamp) {
    let (seconds, nanoseconds) = (value.seconds, value.nanoseconds);
    if (0..1 << 34).contains(&seconds) {
        let word = u64::from(nanoseconds) << 34 | seconds as u64;
        match u32::try_from(word) {
            Ok(short) => marked(out, 0xD6, &[&[TIMESTAMP as u8][..], &short.to_be_bytes()].concat()),
            Err(_) => marked(out, 0xD7, &[&[TIMESTAMP as u8][..], &word.to_be_bytes()].concat()),
        }
        return;
    }
    marked(out, 0xC7, &[12, TIMESTAMP as u8]);
    out.extend_from_slice(&nanoseconds.to_be_bytes());
    out.extend_from_slice(&seconds.to_be_bytes());
}
