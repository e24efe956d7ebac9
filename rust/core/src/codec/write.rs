//! Writing bincode `standard()`: little-endian, integers as varints, lengths too.

/// 0–250 in one byte, else a mark and 2, 4 or 8 bytes.
#[inline]
pub fn uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=250 => out.push(value as u8),
        251..=0xFFFF => marked(out, 251, &(value as u16).to_le_bytes()),
        0x1_0000..=0xFFFF_FFFF => marked(out, 252, &(value as u32).to_le_bytes()),
        _ => marked(out, 253, &value.to_le_bytes()),
    }
}

pub fn uint128(out: &mut Vec<u8>, value: u128) {
    match u64::try_from(value) {
        Ok(small) => uint(out, small),
        Err(_) => marked(out, 254, &value.to_le_bytes()),
    }
}

/// Zigzag: small numbers of either sign stay short.
#[inline]
pub fn int(out: &mut Vec<u8>, value: i64) {
    uint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn int128(out: &mut Vec<u8>, value: i128) {
    uint128(out, ((value << 1) ^ (value >> 127)) as u128);
}

#[inline]
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    uint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Keep `length_of` free before the bytes that `fill` appends, then write their length there.
/// A length of 251 or more needs more than the one byte kept free: the bytes are moved, once.
pub fn framed<E>(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    fill(out)?;
    let length = out.len() - start - 1;
    if length <= 250 {
        out[start] = length as u8;
        return Ok(());
    }
    let mut prefix = Vec::with_capacity(9);
    uint(&mut prefix, length as u64);
    out.splice(start..=start, prefix);
    Ok(())
}

#[inline]
fn marked(out: &mut Vec<u8>, mark: u8, bytes: &[u8]) {
    out.push(mark);
    out.extend_from_slice(bytes);
}
