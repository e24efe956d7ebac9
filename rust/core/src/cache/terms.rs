//! The words in which a shard and its owner speak.

use super::slab::Slot;
use super::table::Gap;
use std::sync::Arc;

/// What the owner of the keys says of two of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Match {
    Yes,
    No,
    /// It cannot tell without foreign code.
    Ask,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    Hit(Slot),
    /// Where it would go, for `insert_plain`.
    Miss(Gap),
    /// The key in this slot must be compared by foreign code: let go of the shard, ask, and find again.
    Ask(Slot),
}

/// Why an entry left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    Evicted,
    Expired,
    Invalidated,
    Replaced,
    Cleared,
}

/// What left the shard. `key` is None where only the value was replaced.
pub struct Gone<K, V> {
    pub key: K,
    pub value: V,
    pub reason: Reason,
}

/// All that left the shard during one call; dropped by the owner, after the shard was let go. The first costs no allocation.
pub struct Removed<K, V> {
    first: Option<Gone<K, V>>,
    more: Vec<Gone<K, V>>,
}

impl<K, V> Default for Removed<K, V> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<K, V> Removed<K, V> {
    #[inline]
    pub fn push(&mut self, gone: Gone<K, V>) {
        if self.first.is_none() {
            self.first = Some(gone);
        } else {
            self.more.push(gone);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Gone<K, V>> {
        self.first.iter().chain(&self.more)
    }

    /// Take out what left first, then the others in any order.
    #[inline]
    pub fn take_any(&mut self) -> Option<Gone<K, V>> {
        self.first.take().or_else(|| self.more.pop())
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub entries: usize,
    /// u64::MAX where there is none.
    pub weight: u64,
}

/// How long an entry lives, in milliseconds (None: for ever), what it weighs and which tags it carries.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    pub ttl: Option<u64>,
    pub idle: Option<u64>,
    pub weight: u64,
    pub tags: &'a [Arc<str>],
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
    pub expirations: u64,
}

impl Counters {
    /// Count those of another shard in.
    pub fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.evictions += other.evictions;
        self.expirations += other.expirations;
    }
}
