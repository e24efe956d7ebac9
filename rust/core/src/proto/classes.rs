//! Sixty-four bytes of a source at a time: a bit for each byte of a class, so that the next one is found by counting zeros.

pub const STEP: usize = 64;

/// What stops the walk over a block, by where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inside {
    /// In code: what the lexer would do more with than pass it: brackets, quotes, a slash, and what is no text.
    pub code: u64,
    /// In a line comment: its end.
    pub comment: u64,
    /// In a string: quotes, backslashes and what may not be in it.
    pub string: u64,
}

/// What the lexer passes whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outside {
    /// Letters, digits and the underscore.
    pub name: u64,
    pub blank: u64,
}

/// What is left of a source, and blanks behind it.
pub fn padded(rest: &[u8]) -> [u8; STEP] {
    let mut chunk = [b' '; STEP];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}

/// The classes of the bytes from `base` on, which lies in the source or at its end.
pub fn outside_at(source: &[u8], base: usize) -> Outside {
    let rest = &source[base..];
    let padding;
    let chunk = match rest.first_chunk() {
        Some(chunk) => chunk,
        None => {
            padding = padded(rest);
            &padding
        }
    };
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2.
        return unsafe { avx2::outside(chunk) };
    }
    outside(chunk)
}

/// On any processor.
pub fn inside(chunk: &[u8; STEP]) -> Inside {
    let is_code = |byte| match byte {
        b'{' | b'}' | b'"' | b'\'' | b'/' | 0x80.. => true,
        b'\t'..=b'\r' => false,
        _ => byte < b' ',
    };
    Inside {
        code: bits(chunk, is_code),
        comment: bits(chunk, |byte| matches!(byte, b'\n' | 0)),
        string: bits(chunk, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b'\n' | 0)),
    }
}

/// On any processor.
fn outside(chunk: &[u8; STEP]) -> Outside {
    Outside {
        name: bits(chunk, |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        blank: bits(chunk, |byte| matches!(byte, b' ' | b'\t'..=b'\r')),
    }
}

fn bits(chunk: &[u8; STEP], is: impl Fn(u8) -> bool) -> u64 {
    chunk.iter().enumerate().fold(0, |bits, (index, &byte)| bits | u64::from(is(byte)) << index)
}

/// A byte is looked up by its two halves: each of eight sets, a bit each, holds every byte of which both halves are in it.
#[cfg(target_arch = "x86_64")]
pub mod avx2 {
    use std::arch::x86_64::*;

    use super::{Inside, Outside, STEP};

    struct Sets {
        low: [u8; 16],
        high: [u8; 16],
    }

    /// | bit | low half | high half | bytes |
    /// |---|---|---|---|
    /// | 01 | b, d | 7 | brackets |
    /// | 02 | 2, 7 | 2 | quotes |
    /// | 04 | any | 1, 8 to f | control characters, and what is above ASCII |
    /// | 08 | 1 to 8, e, f | 0 | the other control characters that are no blanks |
    /// | 10 | 0 | 0 | the zero byte |
    /// | 20 | a | 0 | the newline |
    /// | 40 | f | 2 | the slash |
    /// | 80 | c | 5 | the backslash |
    const INSIDE: Sets = Sets {
        low: [0x14, 0x0c, 0x0e, 0x0c, 0x0c, 0x0c, 0x0c, 0x0e, 0x0c, 0x04, 0x24, 0x05, 0x84, 0x05, 0x0c, 0x4c],
        high: [0x38, 0x04, 0x42, 0, 0, 0x80, 0, 0x01, 4, 4, 4, 4, 4, 4, 4, 4],
    };

    /// | bit | low half | high half | bytes |
    /// |---|---|---|---|
    /// | 01 | 0 to 9 | 3 | digits |
    /// | 02 | 1 to f | 4, 6 | A to O, a to o |
    /// | 04 | 0 to a, f | 5 | P to Z, the underscore |
    /// | 08 | 0 to a | 7 | p to z |
    /// | 10 | 0 | 2 | the blank |
    /// | 20 | 9 to d | 0 | tab to carriage return |
    const OUTSIDE: Sets = Sets {
        low: [0x1d, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x2f, 0x2e, 0x22, 0x22, 0x22, 0x02, 0x06],
        high: [0x20, 0, 0x10, 0x01, 0x02, 0x04, 0x02, 0x08, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    #[target_feature(enable = "avx2")]
    pub fn inside(chunk: &[u8; STEP]) -> Inside {
        let found = [sets(chunk, 0, &INSIDE), sets(chunk, STEP / 2, &INSIDE)];
        Inside { code: bits(found, 0x5f), comment: bits(found, 0x30), string: bits(found, 0xb2) }
    }

    #[target_feature(enable = "avx2")]
    pub fn outside(chunk: &[u8; STEP]) -> Outside {
        let found = [sets(chunk, 0, &OUTSIDE), sets(chunk, STEP / 2, &OUTSIDE)];
        Outside { name: bits(found, 0x0f), blank: bits(found, 0x30) }
    }

    /// The sets of the 32 bytes from `from` on, which is 0 or 32.
    #[target_feature(enable = "avx2")]
    fn sets(chunk: &[u8; STEP], from: usize, sets: &Sets) -> __m256i {
        debug_assert!(from <= STEP / 2);
        // SAFETY: the loads are unaligned; they read 32 of the chunk's 64 bytes, and the 16 of each table.
        let (bytes, low, high) = unsafe {
            let table = |table: &[u8; 16]| _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            (_mm256_loadu_si256(chunk.as_ptr().add(from).cast()), table(&sets.low), table(&sets.high))
        };
        let nibble = _mm256_set1_epi8(0x0f);
        let of_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
        let of_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
        _mm256_and_si256(of_low, of_high)
    }

    /// A bit for each byte that is in any of the sets.
    #[target_feature(enable = "avx2")]
    fn bits(found: [__m256i; 2], of: u8) -> u64 {
        let [low, high] = found.map(|sets| {
            let chosen = _mm256_and_si256(sets, _mm256_set1_epi8(of as i8));
            !_mm256_movemask_epi8(_mm256_cmpeq_epi8(chosen, _mm256_setzero_si256())) as u32
        });
        u64::from(high) << 32 | u64::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_ways_class_alike() {
        if !std::is_x86_feature_detected!("avx2") {
            return;
        }
        for byte in 0..=255u8 {
            for index in 0..STEP {
                let mut chunk = [b';'; STEP];
                chunk[index] = byte;
                // SAFETY: this processor has AVX2.
                unsafe {
                    assert_eq!(avx2::inside(&chunk), inside(&chunk), "{byte:#x}");
                    assert_eq!(avx2::outside(&chunk), outside(&chunk), "{byte:#x}");
                }
            }
        }
    }
}
