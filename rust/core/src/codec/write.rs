//! Writing bincode `standard()`: little-endian, integers as varints, lengths too.

use super::sink::Sink;

/// 0–250 in one byte, else a mark and 2, 4 or 8 bytes.
#[inline(always)]
pub fn uint(out: &mut impl Sink, value: u64) {
    match value {
        0..=250 => out.put([value as u8]),
        251..=0xFFFF => {
            let [a, b] = (value as u16).to_le_bytes();
            out.put([251, a, b]);
        }
        0x1_0000..=0xFFFF_FFFF => {
            let [a, b, c, d] = (value as u32).to_le_bytes();
            out.put([252, a, b, c, d]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
            out.put([253, a, b, c, d, e, f, g, h]);
        }
    }
}

/// How many bytes `uint` writes.
#[inline]
pub fn uint_bytes(value: u64) -> usize {
    match value {
        0..=250 => 1,
        251..=0xFFFF => 3,
        0x1_0000..=0xFFFF_FFFF => 5,
        _ => 9,
    }
}

pub fn uint128(out: &mut impl Sink, value: u128) {
    match u64::try_from(value) {
        Ok(small) => uint(out, small),
        Err(_) => {
            out.put([254]);
            out.put(value.to_le_bytes());
        }
    }
}

/// Zigzag: small numbers of either sign stay short.
#[inline(always)]
pub fn int(out: &mut impl Sink, value: i64) {
    uint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn int128(out: &mut impl Sink, value: i128) {
    uint128(out, ((value << 1) ^ (value >> 127)) as u128);
}

#[inline]
pub fn bytes(out: &mut impl Sink, value: &[u8]) {
    uint(out, value.len() as u64);
    out.put_slice(value);
}

/// Keep a byte free before the bytes that `fill` appends, then write their length there.
/// A length of 251 or more needs more than the one byte: what was appended is moved, once.
pub fn framed<S: Sink, E>(out: &mut S, fill: impl FnOnce(&mut S) -> Result<(), E>) -> Result<(), E> {
    let start = out.written().len();
    out.put([0]);
    fill(out)?;
    let length = out.written().len().saturating_sub(start + 1);
    let mut prefix = Vec::with_capacity(9);
    uint(&mut prefix, length as u64);
    out.put_slice(&[0; 8][..prefix.len() - 1]);
    let Some(frame) = out.written().get_mut(start..start + prefix.len() + length) else {
        return Ok(()); // the sink dropped a part
    };
    if prefix.len() > 1 {
        frame.copy_within(1..=length, prefix.len());
    }
    frame[..prefix.len()].copy_from_slice(&prefix);
    Ok(())
}
