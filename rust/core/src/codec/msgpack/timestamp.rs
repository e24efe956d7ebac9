//! The timestamp extension: seconds since 1970 and nanoseconds, three widths.

use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timestamp {
    pub seconds: i64,
    /// 0–999,999,999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// From the data of an extension of type −1: 4, 8 or 12 bytes.
    pub fn from_ext(data: &[u8]) -> Result<Self> {
        let (seconds, nanoseconds) = match data.len() {
            4 => (big(data) as i64, 0),
            8 => ((big(data) & ((1 << 34) - 1)) as i64, (big(data) >> 34) as u32),
            12 => (big(&data[4..]) as i64, big(&data[..4]) as u32),
            length => return Err(Error::corrupt(format!("a timestamp must have 4, 8 or 12 bytes, got {length}"))),
        };
        if nanoseconds > 999_999_999 {
            return Err(Error::corrupt(format!(
                "a timestamp must have at most 999999999 nanoseconds, got {nanoseconds}"
            )));
        }
        Ok(Self { seconds, nanoseconds })
    }
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::{Token, Tokens, timestamp};
    use super::*;

    #[test]
    fn all_widths_there_and_back() {
        for (seconds, nanoseconds, bytes) in [
            (0, 0, 6),
            (u32::MAX as i64, 0, 6),
            (1, 1, 10),
            ((1 << 34) - 1, 999_999_999, 10),
            (1 << 34, 0, 15),
            (-1, 5, 15),
        ] {
            let value = Timestamp { seconds, nanoseconds };
            let mut out = Vec::new();
            timestamp(&mut out, value);
            assert_eq!(out.len(), bytes);
            let Ok(Token::Ext(-1, data)) = Tokens::new(&out).token() else { panic!("no extension in {out:02x?}") };
            assert_eq!(Timestamp::from_ext(data), Ok(value));
        }
        assert!(Timestamp::from_ext(&[0xFF; 8]).is_err());
    }
}
