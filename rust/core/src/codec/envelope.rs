//! The envelope: 32 bytes, little-endian, before the fields of a record.
//!
//! | bytes | what |
//! |---|---|
//! | 0–1 | kind: which class of record |
//! | 2–3 | revision of the class that wrote it |
//! | 4–5 | oldest reader: the lowest revision that may read it |
//! | 6–7 | flags: the format, 1 |
//! | 8–11 | length of the head fields: all, or in a record over 16 KiB those before the first bulk one |
//! | 12–15 | length of all fields |
//! | 16–23 | body sum: CRC-32C of the fields behind the head fields, or of the sums of their pieces |
//! | 24–31 | head sum: over bytes 0–23 and the head fields, xor the key's hash |
//!
//! Bulk has a sum of its own so that a large record is received at the price of a small one: `open` checks the head fields, and the
//! rest is checked before its bytes are handed out, or at once. A record of up to `EAGER_BYTES` is all head: one sum costs less than
//! two. Over so many bytes of bulk, a table stands behind the fields: the CRC-32C of each `PIECE_BYTES` of bulk, in 4 bytes. It is what
//! the body sum is over, so that who reads one part of the bulk pays for what lies up to that part.

use super::sink::Sink;
use super::sum::{body_sum, head_sum, key_sum};
use crate::error::{Error, Result};

pub const ENVELOPE_BYTES: usize = 32;
/// Up to this length a record is checked whole on receipt: 160 ns for the longest.
pub const EAGER_BYTES: usize = 16 * 1024;
/// Shorter pieces cost a call each, longer ones more bytes beyond those that are read: 8 KiB are summed in 100 ns.
pub const PIECE_BYTES: usize = 8 * 1024;
const PIECE_SUM_BYTES: usize = 4;
/// Positions within a record are kept in 32 bits.
const MAX_BODY_BYTES: usize = u32::MAX as usize - ENVELOPE_BYTES;
const FORMAT: u16 = 1;

/// An envelope whose head sum fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Envelope {
    pub kind: u16,
    pub revision: u16,
    pub oldest_reader: u16,
    pub head_bytes: u32,
    pub body_bytes: u32,
    /// The bytes behind the head fields are known to fit the body sum.
    pub checked: bool,
}

#[inline]
fn word(buffer: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&buffer[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Read and check the envelope of `buffer`, which was stored under the key with this `key_sum`.
#[inline]
pub fn open(buffer: &[u8], key: u64) -> Result<Envelope> {
    if buffer.len() < ENVELOPE_BYTES {
        return Err(truncated(buffer.len()));
    }
    let (first, lengths, sum, head) = (word(buffer, 0), word(buffer, 8), word(buffer, 16), word(buffer, 24));
    let (head_bytes, body_bytes) = (lengths as u32, (lengths >> 32) as u32);
    let (head_length, body_length) = (head_bytes as usize, body_bytes as usize);
    if head_length > body_length
        || body_length + table_bytes(body_length - head_length) != buffer.len() - ENVELOPE_BYTES
    {
        return Err(wrong_length(buffer.len(), body_bytes));
    }
    if (first >> 48) as u16 != FORMAT {
        return Err(Error::corrupt("the bytes are not a record of a format that this version of tierstore can read"));
    }
    let (fields, rest) = buffer[ENVELOPE_BYTES..].split_at(head_length);
    if head_sum([first, lengths, sum], body_sum(fields)) ^ key != head {
        return Err(Error::corrupt(
            "the checksum of the head is wrong: the record is damaged, or belongs to another key",
        ));
    }
    let checked = rest.len() <= EAGER_BYTES;
    if checked && body_sum(rest) != sum {
        return Err(damaged());
    }
    let (kind, revision, oldest_reader) = (first as u16, (first >> 16) as u16, (first >> 32) as u16);
    Ok(Envelope { kind, revision, oldest_reader, head_bytes, body_bytes, checked })
}

/// The length of the table of sums for so much bulk.
#[inline]
fn table_bytes(rest: usize) -> usize {
    if rest <= EAGER_BYTES { 0 } else { rest.div_ceil(PIECE_BYTES) * PIECE_SUM_BYTES }
}

/// The sums of the pieces of `rest`.
fn put_table(out: &mut impl Sink, start: usize, end: usize) {
    for piece in (start..end).step_by(PIECE_BYTES) {
        let sum = body_sum(&out.written()[piece..end.min(piece + PIECE_BYTES)]) as u32;
        out.put(sum.to_le_bytes());
    }
}

/// Check what `open` left for later, up to the position `to`. `from` is 0 or an earlier answer. The answer: the position up to which
/// the buffer is sound now, `usize::MAX` for all of it. `buffer` MUST be one that `open` accepted and did not check.
pub fn verify(buffer: &[u8], from: usize, to: usize) -> Result<usize> {
    let lengths = word(buffer, 8);
    let start = ENVELOPE_BYTES + lengths as u32 as usize;
    let end = ENVELOPE_BYTES + (lengths >> 32) as usize;
    if to <= start {
        return Ok(from);
    }
    let table = buffer.get(end..).unwrap_or_default();
    if from == 0 && body_sum(table) != word(buffer, 16) {
        return Err(damaged());
    }
    let mut at = from.max(start);
    while at < to.min(end) {
        let until = end.min(at + PIECE_BYTES);
        let sum = table.get((at - start) / PIECE_BYTES * PIECE_SUM_BYTES..).and_then(|sums| sums.first_chunk());
        if sum.map(|sum| u64::from(u32::from_le_bytes(*sum))) != Some(body_sum(&buffer[at..until])) {
            return Err(damaged());
        }
        at = until;
    }
    Ok(if at == end { usize::MAX } else { at })
}

/// Fill in the envelope of `out`, whose first 32 bytes are free and whose fields stand behind them, and add the table of sums.
/// `head_bytes` is how many bytes of fields come before the first bulk one.
pub fn seal(
    out: &mut impl Sink,
    kind: u16,
    revision: u16,
    oldest_reader: u16,
    head_bytes: usize,
    key: u64,
) -> Result<()> {
    let end = out.written().len();
    let Some(body_bytes) = end.checked_sub(ENVELOPE_BYTES) else { return Ok(()) }; // the sink dropped a part
    let head_bytes = if body_bytes <= EAGER_BYTES { body_bytes } else { head_bytes };
    if body_bytes > MAX_BODY_BYTES {
        return Err(Error::invalid(format!("a record must have less than 4 GiB, got {body_bytes} bytes")));
    }
    let first = u64::from(kind) | u64::from(revision) << 16 | u64::from(oldest_reader) << 32 | u64::from(FORMAT) << 48;
    let lengths = head_bytes as u64 | (body_bytes as u64) << 32;
    let start = ENVELOPE_BYTES + head_bytes;
    if table_bytes(end - start) > 0 {
        put_table(out, start, end);
    }
    let buffer = out.written();
    let (fields, rest) = buffer[ENVELOPE_BYTES..].split_at(head_bytes);
    let (rest, table) = rest.split_at(end - start);
    let sum = body_sum(if table.is_empty() { rest } else { table });
    let head = head_sum([first, lengths, sum], body_sum(fields)) ^ key;
    for (at, word) in [first, lengths, sum, head].into_iter().enumerate() {
        buffer[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    Ok(())
}

/// Make a sealed buffer that of another key: the key's hash enters by xor, so nothing is summed again.
pub fn rekey(buffer: &mut [u8], old: u64, new: u64) {
    let head = word(buffer, 24) ^ old ^ new;
    buffer[24..32].copy_from_slice(&head.to_le_bytes());
}

/// The hash of `key` as it stands under the head sum.
#[inline]
pub fn key_of(key: &[u8]) -> u64 {
    key_sum(key)
}

#[cold]
fn truncated(length: usize) -> Error {
    Error::corrupt(format!("a record must have at least {ENVELOPE_BYTES} bytes, got {length}"))
}

#[cold]
fn wrong_length(length: usize, claimed: u32) -> Error {
    Error::corrupt(format!("the record must have {ENVELOPE_BYTES} + {claimed} bytes by its envelope, got {length}"))
}

#[cold]
fn damaged() -> Error {
    Error::corrupt("the checksum of the body is wrong: the record is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(body: &[u8], head: usize, key: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; ENVELOPE_BYTES];
        buffer.extend_from_slice(body);
        seal(&mut buffer, 7, 3, 2, head, key_of(key)).unwrap();
        buffer
    }

    #[test]
    fn every_flip_truncation_and_other_key_is_refused() {
        for (length, head) in [(0, 0), (1, 0), (1, 1), (40, 13), (700, 300)] {
            let body: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let buffer = sealed(&body, head, b"key");
            let envelope = open(&buffer, key_of(b"key")).unwrap();
            assert_eq!((envelope.kind, envelope.revision, envelope.oldest_reader), (7, 3, 2));
            for bit in 0..buffer.len() * 8 {
                let mut flipped = buffer.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&flipped, key_of(b"key")).is_err(), "bit {bit} of {length}");
            }
            assert!((0..buffer.len()).all(|end| open(&buffer[..end], key_of(b"key")).is_err()));
            assert!(open(&buffer, key_of(b"other")).is_err());
        }
    }

    #[test]
    fn long_bulk_is_checked_piece_by_piece() {
        let head = 50;
        let buffer = sealed(&vec![5; head + 3 * PIECE_BYTES + 1], head, b"");
        let (start, end) = (ENVELOPE_BYTES + head, buffer.len() - 4 * PIECE_SUM_BYTES);
        assert!(!open(&buffer, key_of(b"")).unwrap().checked);
        assert_eq!(verify(&buffer, 0, start), Ok(0));
        let first = verify(&buffer, 0, start + 1).unwrap();
        assert_eq!(first, start + PIECE_BYTES);
        assert_eq!(verify(&buffer, first, first + 1), Ok(first + PIECE_BYTES));
        assert_eq!(verify(&buffer, first, end), Ok(usize::MAX));
        assert_eq!(verify(&buffer, 0, usize::MAX), Ok(usize::MAX));
    }

    #[test]
    fn damage_is_seen_by_who_reads_up_to_it() {
        let head = 50;
        let buffer = sealed(&vec![5; head + 3 * PIECE_BYTES + 1], head, b"");
        let (start, end) = (ENVELOPE_BYTES + head, buffer.len() - 4 * PIECE_SUM_BYTES);
        for bit in (0..buffer.len() * 8).filter(|bit| bit % 61 == 0 || *bit >= end * 8 || *bit < start * 8) {
            let mut flipped = buffer.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&flipped, key_of(b"")).is_ok();
            assert_eq!(opened, bit / 8 >= start, "bit {bit}");
            let all = verify(&flipped, 0, usize::MAX);
            assert!(!opened || all.is_err(), "bit {bit}");
            let before = bit / 8 < end && opened && (bit / 8 - start) / PIECE_BYTES > 0;
            assert!(!before || verify(&flipped, 0, start + 1).is_ok(), "bit {bit}");
        }
        assert!((0..buffer.len()).all(|length| open(&buffer[..length], key_of(b"")).is_err()));
    }

    #[test]
    fn a_new_key_is_an_xor() {
        let mut buffer = sealed(b"fields", 6, b"a");
        rekey(&mut buffer, key_of(b"a"), key_of(b"b"));
        assert_eq!(buffer, sealed(b"fields", 6, b"b"));
    }

    #[test]
    fn rubbish_is_never_accepted() {
        let mut state = 0x1234_5678_9ABC_DEF1u64;
        let mut buffer = [0u8; 64];
        for _ in 0..200_000 {
            for chunk in buffer.chunks_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                chunk.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
            }
            buffer[6..8].copy_from_slice(&FORMAT.to_le_bytes());
            buffer[8..16].copy_from_slice(&(16u64 | 32 << 32).to_le_bytes());
            assert!(open(&buffer, key_of(b"")).is_err());
        }
    }
}
