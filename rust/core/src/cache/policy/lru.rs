//! Least recently used: a hit moves the entry to the head, the tail leaves.

use super::super::slab::{List, Slab, Slot};

pub struct Lru {
    list: List,
}

impl Lru {
    pub fn new() -> Self {
        Self { list: List::new() }
    }

    #[inline]
    pub fn hit<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        if self.list.head != slot {
            self.list.unlink(slab, slot);
            self.list.push_head(slab, slot);
        }
    }

    pub fn insert<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        self.list.push_head(slab, slot);
    }

    pub fn remove<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        self.list.unlink(slab, slot);
    }

    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>) -> Option<Slot> {
        self.list.pop_tail(slab)
    }
}
