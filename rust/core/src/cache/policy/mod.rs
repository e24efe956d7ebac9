//! Which entry leaves when the cache is full. A policy keeps its lists through the entries' links and owns no key.
//! What was tried and measured: docs/design/cache-policy.md.

mod adaptive;
mod ghosts;
mod lru;

use super::slab::{Slab, Slot};
use adaptive::Adaptive;
use lru::Lru;

/// What the caller may choose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    Default,
    Lru,
}

pub enum Policy {
    Default(Box<Adaptive>),
    Lru(Lru),
}

impl Policy {
    /// For a cache of at most `entries`.
    pub fn new(choice: Choice, entries: usize) -> Self {
        match choice {
            Choice::Default => Self::Default(Box::new(Adaptive::new(entries))),
            Choice::Lru => Self::Lru(Lru::new()),
        }
    }

    /// The entry is new: link it. Room was made before.
    pub fn insert<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot, tick: u32) {
        match self {
            Self::Default(policy) => policy.insert(slab, slot, tick),
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
}
