//! The entries, in slots that never move, and the doubly linked lists that run through them.

/// Where an entry lies. Reused after the entry has gone.
pub type Slot = u32;

pub const NIL: Slot = Slot::MAX;
/// Slots are 32 bits, one of them is NIL.
pub const MOST_ENTRIES: usize = (u32::MAX - 1) as usize;

/// What the policy knows of an entry besides its links.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mark {
    /// How often it was hit, saturating at the policy's ceiling.
    pub uses: u8,
    /// Which of the policy's lists it is in.
    pub list: u8,
    /// It has a deadline or an idle time, kept in `expiry`.
    pub expires: bool,
    /// It carries tags, kept in `tags`.
    pub tagged: bool,
}

pub struct Entry<K, V> {
    pub pair: Option<(K, V)>,
    pub hash: u32,
    pub before: Slot,
    pub after: Slot,
    pub mark: Mark,
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
