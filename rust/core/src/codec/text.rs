//! UTF-8 to characters of one width.
//!
//! Two quick looks at the lead bytes say how many characters there are and how wide the widest is, so that they go straight to
//! where they will stay.

use simdutf8::compat::{Utf8Error, from_utf8};

/// The fewest bytes in which every character of a text fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    /// Up to U+007F: one byte, as in UTF-8.
    Ascii,
    /// Up to U+00FF: one byte.
    One,
    Two,
    Four,
}

/// A text that is known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    text: &'a str,
    /// How many characters it has.
    pub length: usize,
    pub width: Width,
}

impl<'a> Text<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Utf8Error> {
        let text = from_utf8(bytes)?;
        let width = match bytes.iter().copied().max().unwrap_or_default() {
            0..=0x7F => Width::Ascii,
            0x80..=0xC3 => Width::One,
            0xC4..=0xEF => Width::Two,
            0xF0.. => Width::Four,
        };
        Ok(Self { text, length: text.chars().count(), width })
    }

    /// Write the characters, which `convert` makes narrow; as far as there are places.
    #[inline]
    pub fn fill<T>(&self, places: &mut [T], convert: impl Fn(u32) -> T) {
        let (mut rest, mut places) = (self.text.as_bytes(), places.iter_mut());
        // While four bytes are left a character lies within them, and one look at the lead byte says how many are its own.
        while let Some([a, b, c, d]) = rest.first_chunk() {
            let Some(place) = places.next() else { return };
            let [a, b, c, d] = [a, b, c, d].map(|byte| u32::from(*byte));
            let (code, length) = match a {
                0..0x80 => (a, 1),
                0x80..0xE0 => ((a & 0x1F) << 6 | b & 0x3F, 2),
                0xE0..0xF0 => ((a & 0x0F) << 12 | (b & 0x3F) << 6 | c & 0x3F, 3),
                _ => ((a & 0x07) << 18 | (b & 0x3F) << 12 | (c & 0x3F) << 6 | d & 0x3F, 4),
            };
            *place = convert(code);
            rest = &rest[length..];
        }
        let left = &self.text[self.text.len() - rest.len()..];
        for (place, char) in places.zip(left.chars()) {
            *place = convert(char as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_its_width_and_comes_back() {
        for code in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = format!("a{code}z");
            let found = Text::new(text.as_bytes()).unwrap();
            let width = match code as u32 {
                0..=0x7F => Width::Ascii,
                0x80..=0xFF => Width::One,
                0x100..=0xFFFF => Width::Two,
                _ => Width::Four,
            };
            assert_eq!((found.length, found.width), (3, width), "{code:?}");
            let mut chars = [0; 3];
            found.fill(&mut chars, |char| char);
            assert_eq!(chars, ['a', code, 'z'].map(u32::from));
        }
        assert!(Text::new(b"\xED\xA0\x80").is_err());
        assert!(Text::new(b"\xC0\x80").is_err());
    }
}
