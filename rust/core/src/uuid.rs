//! Identifiers: UUID version 7 (RFC 9562), which sort by the time they were made, and their one canonical spelling.

use crate::error::{Error, Kind, Place, Result};

/// Nanoseconds of one step of the 12 bits below the millisecond.
const STEP_NANOS: u64 = 245;

/// A version 7 identifier from the time since 1970 and 8 random bytes.
///
/// The 12 bits behind the milliseconds are a fraction of one (RFC 9562, 6.2, method 3), so that identifiers order to a
/// quarter of a microsecond with no state to share between threads or with a forked child.
pub fn uuid7(since_epoch: std::time::Duration, random: [u8; 8]) -> String {
    let millis = since_epoch.as_millis() as u64 & 0xffff_ffff_ffff;
    let fraction = u64::from(since_epoch.subsec_nanos() % 1_000_000) / STEP_NANOS;
    let high = millis << 16 | 0x7000 | fraction;
    let low = u64::from_be_bytes(random) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    canonical_of(u128::from(high) << 64 | u128::from(low))
}

/// The canonical spelling: lower case, hyphens after 8, 12, 16 and 20 digits.
///
/// Accepted: upper case, hyphens after any group of four digits or none, a pair of braces, the prefix `urn:uuid:`.
pub fn canonical(text: &str) -> Result<String> {
    parse(text).map(canonical_of).ok_or_else(|| {
        let shown: String = text.chars().take(48).collect();
        let message = format!("{shown:?} is not a UUID: expected 32 hexadecimal digits, as in 018f4e2a-…");
        Error::new(Kind::InvalidKey, message).at(Place::Name("id".into()))
    })
}

/// Whether `text` is spelled as `canonical` would spell it.
pub fn is_canonical(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The 128 bits of any accepted spelling.
pub fn parse(text: &str) -> Option<u128> {
    const URN: &str = "urn:uuid:";
    let bare = match text.get(..URN.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(URN) => &text[URN.len()..],
        _ => text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?,
    };
    let (mut value, mut digits, mut after_hyphen) = (0u128, 0, false);
    for byte in bare.bytes() {
        if byte == b'-' {
            if after_hyphen || digits == 0 || digits == 32 || digits % 4 != 0 {
                return None;
            }
        } else {
            if digits == 32 {
                return None;
            }
            value = value << 4 | u128::from(char::from(byte).to_digit(16)?);
            digits += 1;
        }
        after_hyphen = byte == b'-';
    }
    (digits == 32).then_some(value)
}

/// The canonical spelling of 128 bits.
pub fn canonical_of(value: u128) -> String {
    let hex = format!("{value:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_layout_of_the_standard() {
        // RFC 9562, appendix A.6: 2022-02-22 19:22:22 GMT.
        let text = uuid7(Duration::from_millis(0x017F_22E2_79B0), 0x18C4_DC0C_0C07_398Fu64.to_be_bytes());
        assert_eq!(text, "017f22e2-79b0-7000-98c4-dc0c0c07398f");
    }

    #[test]
    fn later_sorts_after() {
        let at = |nanos| uuid7(Duration::from_nanos(nanos), [0; 8]);
        let moments = [0, 245, 999_999, 1_000_000, 1_700_000_000_000_000_000];
        assert!(moments.windows(2).all(|pair| at(pair[0]) < at(pair[1])));
        assert_eq!(&at(999_999)[14..18], "7ff1");
    }

    #[test]
    fn every_spelling_becomes_one() {
        let canonical_text = "018f4e2a-0000-7abc-8def-0123456789ab";
        for spelling in [
            canonical_text,
            "018F4E2A-0000-7ABC-8DEF-0123456789AB",
            "018f4e2a00007abc8def0123456789ab",
            "{018f4e2a-0000-7abc-8def-0123456789ab}",
            "urn:uuid:018f4e2a-0000-7abc-8def-0123456789ab",
            "URN:UUID:018f4e2a-0000-7abc-8def-0123456789ab",
            "018f-4e2a-0000-7abc-8def-0123-4567-89ab",
        ] {
            assert_eq!(canonical(spelling).unwrap(), canonical_text, "{spelling}");
            assert_eq!(is_canonical(spelling), spelling == canonical_text, "{spelling}");
        }
    }

    #[test]
    fn the_rest_is_refused() {
        for text in [
            "",
            "-",
            "018f4e2a",
            "{018f4e2a00007abc8def0123456789ab",
            "018f4e2a00007abc8def0123456789ab}",
            "018f4e2a00007abc8def0123456789abc",
            "018f4e2a00007abc8def0123456789ag",
            "018f4e2a--0000-7abc-8def-0123456789ab",
            "018f4e2a-0000-7abc-8def-0123456789ab-",
            "01-8f4e2a00007abc8def0123456789ab",
            "é18f4e2a00007abc8def0123456789a",
            " 018f4e2a00007abc8def0123456789ab",
            "urn:uuid:{018f4e2a00007abc8def0123456789ab}",
        ] {
            assert_eq!(canonical(text).unwrap_err().kind, Kind::InvalidKey, "{text}");
        }
    }
}
