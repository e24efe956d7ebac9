//! Vector clocks: how often each client has changed a document.
//!
//! A clock is kept in its encoded form, bincode `map<string, u64>` with the clients in the order of their bytes, and is merged and
//! compared by walking two such forms side by side: nothing is decoded. A client that a clock does not name counts as 0.
//! Source: Fidge (1988) and Mattern (1989).

use std::cmp::Ordering;

use crate::codec::{read::Reader, write};
use crate::error::{Error, Result};
use crate::room::room;

/// The longest varint of a count.
const COUNT_BYTES: usize = 9;

/// How one clock stands to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relation {
    Before,
    After,
    Equal,
    Concurrent,
}

impl Relation {
    pub fn name(self) -> &'static str {
        match self {
            Relation::Before => "before",
            Relation::After => "after",
            Relation::Equal => "equal",
            Relation::Concurrent => "concurrent",
        }
    }
}

/// A sound encoded clock: the only way to one is through `from_bytes`, `from_pairs` or `merge`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Clock {
    bytes: Vec<u8>,
    /// Where the entries start, and how many they are.
    start: usize,
    count: usize,
}

/// One client of a clock, and where its encoded form lies.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub client: &'a [u8],
    pub count: u64,
    start: usize,
    end: usize,
}

/// The entries of a clock, in the order of their clients.
pub struct Entries<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let start = self.reader.position();
        let client = self.reader.bytes().ok()?;
        let count = self.reader.uint().ok()?;
        Some(Entry { client, count, start, end: self.reader.position() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Refuse a number that took more bytes since `at` than it needs.
fn shortest(reader: &Reader<'_>, at: usize, number: u64) -> Result<()> {
    if reader.position() - at == write::uint_bytes(number) {
        Ok(())
    } else {
        Err(reader.fail("a number of the clock is not in its shortest form"))
    }
}

impl Clock {
    /// Check and take an encoded clock: clients in UTF-8, in strictly rising order, and every number in its shortest form, so that
    /// equal clocks have equal bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let mut reader = Reader::new(&bytes, 0);
        let count = reader.count(2)?;
        shortest(&reader, 0, count as u64)?;
        let start = reader.position();
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            let at = reader.position();
            let client = reader.bytes()?;
            shortest(&reader, at + client.len(), client.len() as u64)?;
            if last.is_some_and(|last| last >= client) {
                return Err(reader.fail("the clients of the clock are not in rising order"));
            }
            if std::str::from_utf8(client).is_err() {
                return Err(reader.fail("a client's name is not UTF-8"));
            }
            let at = reader.position();
            let number = reader.uint()?;
            shortest(&reader, at, number)?;
            last = Some(client);
        }
        if reader.remaining() > 0 {
            return Err(reader.fail(format!("{} bytes follow the clock; expected none", reader.remaining())));
        }
        Ok(Self { bytes, start, count })
    }

    /// From clients and counts in any order. A client named twice is refused.
    pub fn from_pairs(mut pairs: Vec<(String, u64)>) -> Result<Self> {
        pairs.sort_unstable();
        if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::invalid("a client stands twice in a clock"));
        }
        let size: usize = pairs.iter().map(|(client, _)| 2 * COUNT_BYTES + client.len()).sum();
        let mut bytes = room(COUNT_BYTES + size)?;
        write::uint(&mut bytes, pairs.len() as u64);
        let start = bytes.len();
        for (client, value) in &pairs {
            write::bytes(&mut bytes, client.as_bytes());
            write::uint(&mut bytes, *value);
        }
        Ok(Self { bytes, start, count: pairs.len() })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn entries(&self) -> Entries<'_> {
        Entries { reader: Reader::new(&self.bytes, self.start), left: self.count }
    }

    /// The client's count. Cost: the entries before it.
    pub fn get(&self, client: &[u8]) -> Option<u64> {
        self.entries()
            .take_while(|entry| entry.client <= client)
            .find(|entry| entry.client == client)
            .map(|entry| entry.count)
    }

    /// Each client's higher count.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        let mut bytes = room(COUNT_BYTES + self.bytes.len() + other.bytes.len())?;
        // Most merges name no client that the larger clock does not: then its count stands as it is.
        write::uint(&mut bytes, self.count.max(other.count) as u64);
        let start = bytes.len();
        let (mut count, mut run, mut from) = (0, 0..0, self);
        self.walk(other, |pair| {
            let (entry, source) = match pair {
                Pair::Both(own, its) if its.count > own.count => (its, other),
                Pair::Both(own, _) | Pair::Own(own) => (own, self),
                Pair::Its(its) => (its, other),
            };
            // Neighbours that both come from one clock are copied together.
            if run.end != entry.start || !std::ptr::eq(source, from) {
                bytes.extend_from_slice(&from.bytes[run.clone()]);
                (run, from) = (entry.start..entry.end, source);
            }
            run.end = entry.end;
            count += 1;
            true
        });
        bytes.extend_from_slice(&from.bytes[run]);
        if count == self.count.max(other.count) {
            return Ok(Self { bytes, start, count });
        }
        let mut prefix = Vec::with_capacity(COUNT_BYTES);
        write::uint(&mut prefix, count as u64);
        let own_start = prefix.len();
        bytes.splice(..start, prefix);
        Ok(Self { bytes, start: own_start, count })
    }

    pub fn compare(&self, other: &Self) -> Relation {
        let (mut less, mut more) = (false, false);
        self.walk(other, |pair| {
            let (own, its) = match pair {
                Pair::Both(own, its) => (own.count, its.count),
                Pair::Own(own) => (own.count, 0),
                Pair::Its(its) => (0, its.count),
            };
            less |= own < its;
            more |= own > its;
            !(less && more)
        });
        match (less, more) {
            (false, false) => Relation::Equal,
            (true, false) => Relation::Before,
            (false, true) => Relation::After,
            (true, true) => Relation::Concurrent,
        }
    }

    /// Call `visit` for every client of either clock, until it answers false.
    #[inline(always)]
    fn walk<'a>(&'a self, other: &'a Self, mut visit: impl FnMut(Pair<'_, 'a>) -> bool) {
        let (mut ours, mut theirs) = (self.entries(), other.entries());
        let (mut own, mut its) = (ours.next(), theirs.next());
        loop {
            let pair = match (&own, &its) {
                (None, None) => return,
                (Some(one), None) => Pair::Own(one),
                (None, Some(two)) => Pair::Its(two),
                (Some(one), Some(two)) if same(one.client, two.client) => Pair::Both(one, two),
                (Some(one), Some(two)) => match one.client.cmp(two.client) {
                    Ordering::Less => Pair::Own(one),
                    Ordering::Equal => Pair::Both(one, two),
                    Ordering::Greater => Pair::Its(two),
                },
            };
            let (first, second) = (!matches!(pair, Pair::Its(_)), !matches!(pair, Pair::Own(_)));
            if !visit(pair) {
                return;
            }
            if first {
                own = ours.next();
            }
            if second {
                its = theirs.next();
            }
        }
    }
}

/// A client, in one of two clocks or in both.
enum Pair<'e, 'a> {
    Both(&'e Entry<'a>, &'e Entry<'a>),
    Own(&'e Entry<'a>),
    Its(&'e Entry<'a>),
}

/// Whether two names of 8 to 16 bytes are equal: the usual case, by two words each.
#[inline(always)]
fn same(one: &[u8], other: &[u8]) -> bool {
    let (8..=16, true) = (one.len(), one.len() == other.len()) else { return false };
    one.first_chunk::<8>() == other.first_chunk::<8>() && one.last_chunk::<8>() == other.last_chunk::<8>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(pairs: &[(&str, u64)]) -> Clock {
        Clock::from_pairs(pairs.iter().map(|(client, count)| ((*client).to_owned(), *count)).collect()).unwrap()
    }

    #[test]
    fn relations() {
        let (one, two) = (clock(&[("a", 1), ("b", 2)]), clock(&[("b", 2), ("a", 2)]));
        assert_eq!(one.compare(&two), Relation::Before);
        assert_eq!(two.compare(&one), Relation::After);
        assert_eq!(one.compare(&clock(&[("c", 1)])), Relation::Concurrent);
        assert_eq!(one.compare(&clock(&[("a", 1), ("b", 2), ("z", 0)])), Relation::Equal);
        assert_eq!(clock(&[]).compare(&one), Relation::Before);
    }

    #[test]
    fn merging_is_the_least_upper_bound() {
        let (one, two) = (clock(&[("a", 1), ("b", 300)]), clock(&[("b", 2), ("c", 70_000)]));
        let both = one.merge(&two).unwrap();
        assert_eq!(both, clock(&[("a", 1), ("b", 300), ("c", 70_000)]));
        assert_eq!(both, two.merge(&one).unwrap());
        assert_eq!((both.get(b"b"), both.get(b"bb")), (Some(300), None));
        assert_eq!(Clock::from_bytes(both.as_bytes().to_vec()), Ok(both));
    }

    #[test]
    fn unsound_bytes_are_refused() {
        for bytes in [
            &b"\x02\x01b\x01\x01a\x01"[..],
            b"\x02\x01a\x01\x01a\x01",
            b"\x01\x01\xff\x01",
            b"\x01\x01a\x01x",
            b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(Clock::from_bytes(bytes.to_vec()).is_err());
        }
    }
}
