//! The rows: what each is called, where it stands in the order of all, and its tokens in the order of its fields.

use std::collections::HashMap;
use std::ops::Range;

/// Where a schema stands: by subject, its newest version first (`Key` of plan/search.py).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(Box<[u8]>);

impl Place {
    /// The subject and a zero byte, which no subject has; then each part of the version turned round, the greater first.
    pub fn new(subject: &str, version: [u32; 3], prerelease_key: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(subject.len() + 14 + prerelease_key.len());
        bytes.extend_from_slice(subject.as_bytes());
        bytes.push(0);
        version.iter().for_each(|part| bytes.extend_from_slice(&(!part).to_be_bytes()));
        bytes.extend(prerelease_key.iter().map(|byte| !byte));
        bytes.push(0xff);
        Self(bytes.into_boxed_slice())
    }

    pub fn subject(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(0);
        str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    pub fn version(&self) -> [u32; 3] {
        let behind = &self.0[self.subject().len() + 1..];
        [0, 1, 2].map(|part| !u32::from_be_bytes([0, 1, 2, 3].map(|byte| behind[part * 4 + byte])))
    }

    pub fn prerelease_key(&self) -> Vec<u8> {
        let behind = &self.0[self.subject().len() + 13..self.0.len() - 1];
        behind.iter().map(|byte| !byte).collect()
    }
}

#[derive(Default)]
pub struct Rows {
    numbers: HashMap<u128, u32>,
    ids: Vec<u128>,
    places: Vec<Place>,
    /// Where each row's tokens end; they begin where those of the row before end.
    ends: Vec<usize>,
    tokens: Vec<u32>,
    /// The rows in the order of their places, and the other way round.
    order: Vec<u32>,
    ranks: Vec<u32>,
    bytes: usize,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn has(&self, id: u128) -> bool {
        self.numbers.contains_key(&id)
    }

    pub fn id(&self, row: u32) -> u128 {
        self.ids[row as usize]
    }

    pub fn place(&self, row: u32) -> &Place {
        &self.places[row as usize]
    }

    pub fn tokens(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.tokens[row.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[row]]
    }

    pub fn rank(&self, row: u32) -> u32 {
        self.ranks[row as usize]
    }

    pub fn at(&self, rank: usize) -> u32 {
        self.order[rank]
    }

    /// The first rank behind a place.
    pub fn behind(&self, place: &Place) -> usize {
        self.order.partition_point(|&row| self.place(row) <= place)
    }

    /// The ranks of the subjects that may begin with a character of lower case in either case, ascending: above ASCII lie capitals of
    /// ASCII letters too.
    pub fn beginning_with(&self, first: char) -> [Range<usize>; 3] {
        if !first.is_ascii() {
            return [0..self.len(), 0..0, 0..0];
        }
        let from = |byte: u8| self.order.partition_point(|&row| self.place(row).0[0] < byte);
        let with = |c: char| from(c as u8)..from(c as u8 + 1);
        let upper = first.to_ascii_uppercase();
        [if upper == first { 0..0 } else { with(upper) }, with(first), from(0x80)..self.len()]
    }

    /// About how much memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A new row, not yet in the order.
    pub fn push(&mut self, id: u128, place: Place, tokens: &[u32]) {
        const ENTRY_BYTES: usize = 96;
        self.numbers.insert(id, self.ids.len() as u32);
        self.bytes += ENTRY_BYTES + place.0.len() + size_of_val(tokens);
        self.ids.push(id);
        self.places.push(place);
        self.tokens.extend_from_slice(tokens);
        self.ends.push(self.tokens.len());
    }

    /// Put the new rows into the order.
    pub fn arrange(&mut self) {
        let known = self.order.len();
        let mut new: Vec<u32> = (known as u32..self.len() as u32).collect();
        if new.is_empty() {
            return;
        }
        new.sort_unstable_by(|&a, &b| self.place(a).cmp(self.place(b)));
        let mut merged = Vec::with_capacity(self.len());
        let mut rest = self.order.as_slice();
        for row in new {
            let (before, behind) = rest.split_at(rest.partition_point(|&each| self.place(each) < self.place(row)));
            merged.extend_from_slice(before);
            merged.push(row);
            rest = behind;
        }
        merged.extend_from_slice(rest);
        self.order = merged;
        self.ranks.resize(self.order.len(), 0);
        for (rank, &row) in self.order.iter().enumerate() {
            self.ranks[row as usize] = rank as u32;
        }
    }
}
