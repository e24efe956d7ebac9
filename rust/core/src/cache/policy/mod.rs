//! Which entry leaves when the cache is full. A policy keeps its lists through the entries' links and owns no key.

mod lru;
mod s3fifo;

use super::slab::{Slab, Slot};
use lru::Lru;
use s3fifo::S3Fifo;

/// What the caller may choose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    Default,
    Lru,
}

pub enum Policy {
    Default(S3Fifo),
    Lru(Lru),
}

impl Policy {
    pub fn new(choice: Choice) -> Self {
        match choice {
            Choice::Default => Self::Default(S3Fifo::new()),
            Choice::Lru => Self::Lru(Lru::new()),
        }
    }

    /// The entry was used.
    #[inline]
    pub fn hit<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        match self {
            Self::Default(policy) => policy.hit(slab, slot),
            Self::Lru(policy) => policy.hit(slab, slot),
        }
    }

    /// The entry is new: link it. Room was made before.
    pub fn insert<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        match self {
            Self::Default(policy) => policy.insert(slab, slot),
            Self::Lru(policy) => policy.insert(slab, slot),
        }
    }

    /// The entry goes for another reason than eviction: unlink it.
    pub fn remove<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        match self {
            Self::Default(policy) => policy.remove(slab, slot),
            Self::Lru(policy) => policy.remove(slab, slot),
        }
    }

    /// Choose the entry to evict and unlink it. None only if there is none.
    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>) -> Option<Slot> {
        match self {
            Self::Default(policy) => policy.evict(slab),
            Self::Lru(policy) => policy.evict(slab),
        }
    }

    pub fn clear(&mut self) {
        match self {
            Self::Default(policy) => *policy = S3Fifo::new(),
            Self::Lru(policy) => *policy = Lru::new(),
        }
    }
}
