//! The names of nodes: each kept once, numbered from 0 in the order in which they came.

use std::hash::{BuildHasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

const FEWEST_SLOTS: usize = 16;
/// A slot that holds no node.
const FREE: u64 = 0;

/// One text for all names, and a table of slots that finds them.
///
/// A slot is 32 bits of the name's hash, then the number of its node plus one. The same 32 bits say where the search for a name
/// begins, so the table grows without a look at the names. The seed is by chance: nobody can choose names that meet.
#[derive(Clone)]
pub struct Names {
    text: String,
    ends: Vec<usize>,
    slots: Vec<u64>,
    seed: u64,
}

impl Default for Names {
    fn default() -> Self {
        let seed = RandomState::new().hash_one(0_u8);
        Self { text: String::new(), ends: Vec::new(), slots: vec![FREE; FEWEST_SLOTS], seed }
    }
}

impl Names {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, node: u32) -> &str {
        let node = node as usize;
        let start = if node == 0 { 0 } else { self.ends[node - 1] };
        &self.text[start..self.ends[node]]
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.look(name, self.tag(name)).ok()
    }

    /// The number of `name`, which is a new one if the name is.
    pub fn intern(&mut self, name: &str) -> u32 {
        let tag = self.tag(name);
        match self.look(name, tag) {
            Ok(node) => node,
            Err(slot) => self.append(name, tag, slot),
        }
    }

    /// Let there be room for that many more names.
    pub fn reserve(&mut self, more: usize) {
        self.ends.reserve(more);
        let slots = (2 * (self.len() + more) + 1).next_power_of_two();
        if slots > self.slots.len() {
            self.grow(slots);
        }
    }

    pub fn bytes(&self) -> usize {
        self.text.capacity() + size_of::<usize>() * self.ends.capacity() + size_of::<u64>() * self.slots.capacity()
    }

    fn append(&mut self, name: &str, tag: u32, slot: usize) -> u32 {
        let node = self.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        self.slots[slot] = u64::from(tag) << 32 | u64::from(node + 1);
        if 2 * self.len() > self.slots.len() {
            self.grow(2 * self.slots.len());
        }
        node
    }

    /// `slots` MUST be a power of two.
    fn grow(&mut self, slots: usize) {
        let wider = vec![FREE; slots];
        for held in std::mem::replace(&mut self.slots, wider) {
            if held != FREE {
                let mut slot = self.first((held >> 32) as u32);
                while self.slots[slot] != FREE {
                    slot = self.behind(slot);
                }
                self.slots[slot] = held;
            }
        }
    }

    fn tag(&self, name: &str) -> u32 {
        xxh3_64_with_seed(name.as_bytes(), self.seed) as u32
    }

    /// The node of this name, or the free slot that is its.
    fn look(&self, name: &str, tag: u32) -> Result<u32, usize> {
        let mut slot = self.first(tag);
        loop {
            let held = self.slots[slot];
            if held == FREE {
                return Err(slot);
            }
            let node = (held as u32) - 1;
            if (held >> 32) as u32 == tag && self.get(node) == name {
                return Ok(node);
            }
            slot = self.behind(slot);
        }
    }

    fn first(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    fn behind(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}
