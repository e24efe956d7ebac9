//! The entries, in slots that never move, and the doubly linked lists that run through them.

use std::sync::atomic::{AtomicU32, Ordering};

/// Where an entry lies. Reused after the entry has gone.
pub type Slot = u32;

pub const NIL: Slot = Slot::MAX;
/// Slots are 32 bits, one of them is NIL.
pub const MOST_ENTRIES: usize = (u32::MAX - 1) as usize;

/// What is known of an entry besides its links, in 32 bits: 24 of them the time of its last use, on the policy's clock.
///
/// Atomic, so that callers who share a shard may use an entry at the same time (`Shard::touch_shared`). Two of them may count
/// one use: all accesses are relaxed, and plain moves on every processor.
#[derive(Debug, Default)]
pub struct Mark(AtomicU32);

const TIME_SHIFT: u32 = 8;
/// The policy's clock has so many bits; times are compared by their wrapping difference.
pub const TIME_BITS: u32 = 32 - TIME_SHIFT;
const USES: u32 = 0b11;
const MAIN: u32 = 1 << 2;
const EXPIRES: u32 = 1 << 3;
const TAGGED: u32 = 1 << 4;

impl Mark {
    pub fn new(now: u32) -> Self {
        Self(AtomicU32::new(now << TIME_SHIFT))
    }

    #[inline]
    fn bits(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more use, at `now`; three is as far as they are counted. A use less than `near` after the last that was counted is part
    /// of it: nothing is written, so that the entries that are used most stay in the caches of several processors.
    #[inline]
    pub fn used(&self, now: u32, near: u32) {
        let old = self.bits();
        if now.wrapping_sub(old >> TIME_SHIFT) & ((1 << TIME_BITS) - 1) < near {
            return;
        }
        let more = u32::from(old & USES != USES);
        let new = (now << TIME_SHIFT) | ((old & ((1 << TIME_SHIFT) - 1)) + more);
        if new != old {
            self.0.store(new, Ordering::Relaxed);
        }
    }

    pub fn uses(&self) -> u32 {
        self.bits() & USES
    }

    pub fn set_uses(&mut self, uses: u32) {
        *self.0.get_mut() = (self.bits() & !USES) | uses;
    }

    /// The time of the last use.
    pub fn last(&self) -> u32 {
        self.bits() >> TIME_SHIFT
    }

    pub fn is_main(&self) -> bool {
        self.bits() & MAIN != 0
    }

    pub fn set_main(&mut self, main: bool) {
        self.set(MAIN, main);
    }

    /// It has a deadline or an idle time, kept in `expiry`.
    #[inline]
    pub fn expires(&self) -> bool {
        self.bits() & EXPIRES != 0
    }

    pub fn set_expires(&mut self, expires: bool) {
        self.set(EXPIRES, expires);
    }

    /// It carries tags, kept in `tags`.
    pub fn is_tagged(&self) -> bool {
        self.bits() & TAGGED != 0
    }

    pub fn set_tagged(&mut self, tagged: bool) {
        self.set(TAGGED, tagged);
    }

    fn set(&mut self, bit: u32, on: bool) {
        let bits = self.0.get_mut();
        *bits = if on { *bits | bit } else { *bits & !bit };
    }
}

/// 32 bytes where key and value are pointers.
pub struct Entry<K, V> {
    pub pair: Option<(K, V)>,
    pub hash: u32,
    pub mark: Mark,
    pub before: Slot,
    pub after: Slot,
}

pub struct Slab<K, V> {
    entries: Vec<Entry<K, V>>,
    free: Slot,
    len: usize,
    most: usize,
}

impl<K, V> Slab<K, V> {
    pub fn new(most: usize) -> Self {
        Self { entries: Vec::new(), free: NIL, len: 0, most: most.min(MOST_ENTRIES) }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// One past the highest slot ever used.
    pub fn end(&self) -> Slot {
        self.entries.len() as Slot
    }

    #[inline]
    pub fn at(&self, slot: Slot) -> &Entry<K, V> {
        &self.entries[slot as usize]
    }

    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut Entry<K, V> {
        &mut self.entries[slot as usize]
    }

    pub fn insert(&mut self, hash: u32, key: K, value: V) -> Slot {
        let entry = Entry { pair: Some((key, value)), hash, before: NIL, after: NIL, mark: Mark::default() };
        self.len += 1;
        if self.free != NIL {
            let slot = self.free;
            self.free = self.at(slot).after;
            self.entries[slot as usize] = entry;
            return slot;
        }
        assert!(self.entries.len() < MOST_ENTRIES, "the cache is out of slots");
        self.reserve();
        self.entries.push(entry);
        (self.entries.len() - 1) as Slot
    }

    /// Put another entry into the slot of one that is unlinked already; the pair that was there.
    pub fn reuse(&mut self, slot: Slot, hash: u32, pair: (K, V)) -> Option<(K, V)> {
        let entry = self.at_mut(slot);
        entry.hash = hash;
        entry.mark = Mark::default();
        entry.pair.replace(pair)
    }

    /// Doubling, but not beyond the most entries that there may be: a full cache has no room to spare.
    fn reserve(&mut self) {
        let have = self.entries.len();
        if have == self.entries.capacity() {
            let more = have.max(8).min(self.most.saturating_sub(have)).max(1);
            self.entries.reserve_exact(more);
        }
    }

    /// Take the entry out; it must be unlinked from its list already.
    pub fn remove(&mut self, slot: Slot) -> Option<(K, V)> {
        let free = self.free;
        let entry = self.at_mut(slot);
        let pair = entry.pair.take()?;
        entry.after = free;
        self.free = slot;
        self.len -= 1;
        Some(pair)
    }
}

/// A list of slots, from the newest (`head`) to the oldest (`tail`).
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub head: Slot,
    pub tail: Slot,
    pub len: usize,
}

impl List {
    pub const fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }

    pub fn push_head<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        let head = self.head;
        let entry = slab.at_mut(slot);
        entry.before = NIL;
        entry.after = head;
        if head == NIL {
            self.tail = slot;
        } else {
            slab.at_mut(head).before = slot;
        }
        self.head = slot;
        self.len += 1;
    }

    pub fn unlink<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        let (before, after) = (slab.at(slot).before, slab.at(slot).after);
        if before == NIL {
            self.head = after;
        } else {
            slab.at_mut(before).after = after;
        }
        if after == NIL {
            self.tail = before;
        } else {
            slab.at_mut(after).before = before;
        }
        self.len -= 1;
    }

    pub fn pop_tail<K, V>(&mut self, slab: &mut Slab<K, V>) -> Option<Slot> {
        let slot = self.tail;
        if slot == NIL {
            return None;
        }
        self.unlink(slab, slot);
        Some(slot)
    }
}
