//! Which entry is due next: a 4-ary heap of slots by the time at which to look at them.
//!
//! A hit that renews an idle time only writes the new time: the heap may hold a time that is too early, never one that is
//! too late, and puts the entry back when that time comes. With one TTL for all, a new entry belongs at the end: no step up.

use super::slab::{NIL, Slot};

const WIDTH: usize = 4;
/// A time that never comes, in milliseconds.
pub const NEVER: u64 = u64::MAX;

/// All times are milliseconds of the owner's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The end of the time to live.
    pub deadline: u64,
    /// How long it may lie unused; NEVER for as long as it likes.
    pub idle: u64,
    /// The end of the idle time as of the last use.
    pub idle_deadline: u64,
    place: u32,
}

impl Due {
    #[inline]
    pub fn at(&self) -> u64 {
        self.deadline.min(self.idle_deadline)
    }
}

#[derive(Default)]
pub struct Expiry {
    heap: Vec<(u64, Slot)>,
    due: Vec<Due>,
}

impl Expiry {
    #[inline]
    pub fn of(&self, slot: Slot) -> &Due {
        &self.due[slot as usize]
    }

    /// A use at `now` renews the idle time.
    #[inline]
    pub fn renew(&mut self, slot: Slot, now: u64) {
        let due = &mut self.due[slot as usize];
        due.idle_deadline = now.saturating_add(due.idle);
    }

    pub fn insert(&mut self, slot: Slot, now: u64, ttl: u64, idle: u64) {
        if self.due.len() <= slot as usize {
            self.due.resize(slot as usize + 1, Due { deadline: NEVER, idle: NEVER, idle_deadline: NEVER, place: NIL });
        }
        let due = Due { deadline: now.saturating_add(ttl), idle, idle_deadline: now.saturating_add(idle), place: NIL };
        self.due[slot as usize] = due;
        self.heap.push((due.at(), slot));
        self.up(self.heap.len() - 1);
    }

    pub fn remove(&mut self, slot: Slot) {
        let place = self.due[slot as usize].place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            let moved = self.up(place);
            self.down(moved);
        }
    }

    /// An entry that is past its time. The caller removes it.
    pub fn past(&mut self, now: u64) -> Option<Slot> {
        while let Some(&(at, slot)) = self.heap.first() {
            if at > now {
                return None;
            }
            let really = self.due[slot as usize].at();
            if really <= now {
                return Some(slot);
            }
            self.heap[0].0 = really;
            self.down(0);
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn set(&mut self, place: usize, item: (u64, Slot)) {
        self.heap[place] = item;
        self.due[item.1 as usize].place = place as u32;
    }

    fn up(&mut self, mut place: usize) -> usize {
        let item = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / WIDTH;
            if self.heap[parent].0 <= item.0 {
                break;
            }
            self.set(place, self.heap[parent]);
            place = parent;
        }
        self.set(place, item);
        place
    }

    fn down(&mut self, mut place: usize) {
        let item = self.heap[place];
        loop {
            let first = place * WIDTH + 1;
            let children = first..(first + WIDTH).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child].0) else { break };
            if self.heap[least].0 >= item.0 {
                break;
            }
            self.set(place, self.heap[least]);
            place = least;
        }
        self.set(place, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_is_past_and_only_that() {
        let mut expiry = Expiry::default();
        for slot in 0..500u32 {
            expiry.insert(slot, 0, u64::from(slot * 7919 % 500) + 1, NEVER);
        }
        for slot in (0..500).step_by(3) {
            expiry.remove(slot);
        }
        for now in 0..=500u64 {
            while let Some(slot) = expiry.past(now) {
                assert_eq!(expiry.of(slot).deadline, now);
                assert_ne!(slot % 3, 0);
                expiry.remove(slot);
            }
        }
        assert!(expiry.heap.is_empty());
    }

    #[test]
    fn a_renewed_idle_time_counts() {
        let mut expiry = Expiry::default();
        expiry.insert(0, 0, 100, 10);
        expiry.renew(0, 8);
        assert_eq!(expiry.past(17), None);
        assert_eq!(expiry.past(18), Some(0));
    }
}
