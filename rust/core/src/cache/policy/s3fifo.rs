//! S3-FIFO (Yang et al., SOSP 2023): a small queue on probation, a main queue, and the hashes of those who left probation.

use super::super::slab::{List, Slab, Slot};
use std::collections::{HashMap, VecDeque};

const SMALL: u8 = 0;
const MAIN: u8 = 1;
/// Uses beyond this are not counted.
const MOST_USES: u8 = 3;
const SMALL_SHARE: usize = 10;

pub struct S3Fifo {
    small: List,
    main: List,
    ghosts: VecDeque<u32>,
    /// How often a hash stands in `ghosts`.
    known: HashMap<u32, u32>,
}

impl S3Fifo {
    pub fn new() -> Self {
        Self { small: List::new(), main: List::new(), ghosts: VecDeque::new(), known: HashMap::new() }
    }

    #[inline]
    pub fn hit<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        let mark = &mut slab.at_mut(slot).mark;
        if mark.uses < MOST_USES {
            mark.uses += 1;
        }
    }

    pub fn insert<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        if self.known.contains_key(&slab.at(slot).hash) {
            slab.at_mut(slot).mark.list = MAIN;
            self.main.push_head(slab, slot);
        } else {
            slab.at_mut(slot).mark.list = SMALL;
            self.small.push_head(slab, slot);
        }
    }

    pub fn remove<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        if slab.at(slot).mark.list == SMALL { &mut self.small } else { &mut self.main }.unlink(slab, slot);
    }

    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>) -> Option<Slot> {
        loop {
            let share = (self.small.len + self.main.len) / SMALL_SHARE;
            if self.main.len == 0 || self.small.len > share {
                let slot = self.small.pop_tail(slab)?;
                let entry = slab.at_mut(slot);
                if entry.mark.uses == 0 {
                    let hash = entry.hash;
                    self.remember(hash);
                    return Some(slot);
                }
                entry.mark.uses = 0;
                entry.mark.list = MAIN;
                self.main.push_head(slab, slot);
            } else {
                let slot = self.main.pop_tail(slab)?;
                let entry = slab.at_mut(slot);
                if entry.mark.uses == 0 {
                    return Some(slot);
                }
                entry.mark.uses -= 1;
                self.main.push_head(slab, slot);
            }
        }
    }

    fn remember(&mut self, hash: u32) {
        self.ghosts.push_front(hash);
        *self.known.entry(hash).or_default() += 1;
        while self.ghosts.len() > self.main.len.max(1) {
            let Some(old) = self.ghosts.pop_back() else { break };
            if let Some(count) = self.known.get_mut(&old) {
                *count -= 1;
                if *count == 0 {
                    self.known.remove(&old);
                }
            }
        }
    }
}
