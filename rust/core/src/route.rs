//! Where content goes by its size, what it is called by its bytes, and the slot of a key.

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Place, Result};

/// Up to this many bytes content stays in its record's own row.
pub const INLINE_MAX_BYTES: u64 = 65_536;
/// From this many bytes on content goes to the object store.
pub const OBJECT_MIN_BYTES: u64 = 1_048_576;

/// Where content lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// In the record's own row.
    Inline,
    /// In chunk rows beside it.
    Row,
    /// In the object store; embedded: a file.
    Object,
}

impl Placement {
    pub fn name(self) -> &'static str {
        match self {
            Placement::Inline => "inline",
            Placement::Row => "row",
            Placement::Object => "object",
        }
    }
}

/// Two bounds that divide sizes into placements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SizeRouter {
    inline_max: u64,
    object_min: u64,
}

impl SizeRouter {
    /// Sizes in bytes. `inline_max` lies under `object_min`, else the placements would overlap.
    pub fn new(inline_max: u64, object_min: u64) -> Result<Self> {
        if inline_max >= object_min {
            let message = format!("inline_max ({inline_max} bytes) must be below object_min ({object_min} bytes)");
            return Err(Error::invalid(message).at(Place::Name("inline_max".into())));
        }
        Ok(Self { inline_max, object_min })
    }

    pub fn inline_max(&self) -> u64 {
        self.inline_max
    }

    pub fn object_min(&self) -> u64 {
        self.object_min
    }

    pub fn placement(&self, size: u64) -> Placement {
        if size <= self.inline_max {
            Placement::Inline
        } else if size >= self.object_min {
            Placement::Object
        } else {
            Placement::Row
        }
    }
}

/// SHA-256 in lower-case hex, by the processor's own instructions where it has them.
pub fn digest(content: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

/// One of 65,536 slots for a key: stable for ever, since stored keys contain it.
///
/// FNV-1a over the kind, a zero byte and the key, then the finaliser of splitmix64: FNV alone leaves the high bits of
/// short keys poorly mixed.
pub fn slot(kind: &str, key: &str) -> u16 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in kind.bytes().chain([0]).chain(key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) >> 48) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_outer_placements() {
        let router = SizeRouter::new(INLINE_MAX_BYTES, OBJECT_MIN_BYTES).unwrap();
        let placements = [0, 65_536, 65_537, 1_048_575, 1_048_576, u64::MAX].map(|size| router.placement(size).name());
        assert_eq!(placements, ["inline", "inline", "row", "row", "object", "object"]);
    }

    #[test]
    fn overlapping_bounds_are_refused() {
        assert!(SizeRouter::new(10, 10).is_err());
        assert!(SizeRouter::new(9, 10).is_ok());
    }

    #[test]
    fn digest_is_the_published_vector() {
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn slots_never_move() {
        assert_eq!(slot("schema", "018f"), slot("schema", "018f"));
        assert_ne!(slot("schema", "a"), slot("schem", "aa"));
        assert_eq!([slot("", ""), slot("schema", "a"), slot("module", "x@1.0.0")], SLOT_VECTORS);
    }

    const SLOT_VECTORS: [u16; 3] = [9724, 32942, 25092];

    #[test]
    fn slots_spread() {
        let mut seen = vec![0u32; 256];
        for number in 0..65_536u32 {
            seen[usize::from(slot("schema", &number.to_string()) >> 8)] += 1;
        }
        assert!(seen.iter().all(|&count| (160..352).contains(&count)), "{seen:?}");
    }
}
