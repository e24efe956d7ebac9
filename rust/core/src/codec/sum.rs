//! Checksums of records.
//!
//! Measured on the reference machine, nanoseconds for 300 B / 1 KiB / 16 KiB / 100 KiB: CRC-32C by carry-less multiplication
//! (crc-fast) 16 / 14 / 160 / 1,111; XXH3 (twox-hash, runtime AVX2) 17 / 31 / 386 / 2,773; XXH3 (xxhash-rust) 17 / 42 / 650 / 4,102;
//! rapidhash 12 / 37 / 569 / 3,726; CRC-32C by the CRC instruction 17 / 45 / 735 / 3,790; CRC-64 (crc-fast) 45 / 29 / 169 / 1,217.
//! CRC-32C wins from 300 bytes on, and alone of them promises that every change of one to three bits, and every burst of up to
//! 32, is seen. What is left to chance is one in 2^32 for bytes that are rubbish throughout; the head sum adds 64 bits over lengths and
//! key. Keys are short, and XXH3 is the quickest there (3 ns).

use crc_fast::{CrcAlgorithm, checksum};
use xxhash_rust::xxh3::xxh3_64;

/// CRC-32C, 0 for no bytes.
#[inline]
pub fn body_sum(bytes: &[u8]) -> u64 {
    if bytes.is_empty() { 0 } else { checksum(CrcAlgorithm::Crc32Iscsi, bytes) }
}

/// What stands for a key under the head sum. Not zero for the empty key.
#[inline]
pub fn key_sum(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// A digest of content for Python's `hash()`.
pub fn content_hash(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Odd, so that multiplying by it loses nothing: the golden ratio's and XXH3's first primes.
const PRIMES: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9];

/// The head sum without its key: over the three words of the envelope and the sum of the fields behind it.
/// Each word enters by a bijection, so that a change within one word always changes the sum.
#[inline]
pub fn head_sum(words: [u64; 3], fields: u64) -> u64 {
    let mixed = fields
        ^ words[0].wrapping_mul(PRIMES[0])
        ^ words[1].wrapping_mul(PRIMES[1]).rotate_left(21)
        ^ words[2].wrapping_mul(PRIMES[2]).rotate_left(42);
    let mixed = (mixed ^ (mixed >> 37)).wrapping_mul(PRIMES[2]);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_crc32c() {
        assert_eq!(body_sum(b"123456789"), 0xE306_9283);
        assert_eq!(body_sum(b""), 0);
        for length in 1..2000usize {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            assert_eq!(body_sum(&bytes), slow(&bytes), "{length}");
        }
    }

    fn slow(bytes: &[u8]) -> u64 {
        let step = |crc: u32| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        let crc = bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
        u64::from(!crc)
    }
}
