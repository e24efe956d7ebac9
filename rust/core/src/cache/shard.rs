//! One shard of a cache: plain data behind `&mut`, from which nothing is dropped and in which no foreign code runs.

use super::expiry::{Expiry, NEVER};
use super::fence::Fence;
use super::policy::{Choice, Policy};
use super::sharded::Counted;
use super::slab::{Entry, Slab, Slot, TIME_BITS};
use super::table::{Gap, Table};
use super::tags::Tags;
use super::terms::{Counters, Found, Gone, Life, Limits, Match, Reason, Removed};
use std::mem;

pub struct Shard<K, V> {
    table: Table,
    slab: Slab<K, V>,
    policy: Policy,
    /// Look-ups to one tick of the policy's clock, as a power of two.
    tick_shift: u32,
    /// Uses of an entry that are nearer to each other count as one, on the policy's clock.
    near: u32,
    expiry: Expiry,
    tags: Tags,
    fence: Fence,
    /// Of each slot; empty while every entry weighs 1.
    weights: Vec<u64>,
    weight: u64,
    limits: Limits,
    choice: Choice,
    pub counters: Counters,
}

/// The uses that count as one lie within so many look-ups, as a part of the entries that fill the cache: 1/16.
const NEAR_PART: usize = 16;

/// The clock has TIME_BITS, and should not come round within 64 look-ups an entry.
fn tick_shift(entries: usize) -> u32 {
    (entries as u128 * 64).max(1).ilog2().saturating_sub(TIME_BITS - 1).min(40)
}

impl<K, V> Counted for Shard<K, V> {
    fn count_hits(&mut self, hits: u64) {
        self.counters.hits += hits;
    }
}

impl<K, V> Shard<K, V> {
    #[must_use]
    pub fn new(limits: Limits, choice: Choice) -> Self {
        Self {
            table: Table::new(),
            slab: Slab::new(limits.entries),
            policy: Policy::new(choice, limits.entries),
            tick_shift: tick_shift(limits.entries),
            near: 0,
            expiry: Expiry::default(),
            tags: Tags::default(),
            fence: Fence::default(),
            weights: Vec::new(),
            weight: 0,
            limits,
            choice,
            counters: Counters::default(),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// The policy's clock: look-ups, coarser in a huge cache.
    #[inline]
    fn tick(&self) -> u32 {
        ((self.counters.hits + self.counters.misses) >> self.tick_shift) as u32
    }

    /// Look a key up. Counts nothing and changes nothing.
    #[inline(always)]
    pub fn find(&self, hash: u32, mut same: impl FnMut(&K) -> Match) -> Found {
        self.table
            .find(hash, |slot| match self.slab.at(slot).pair.as_ref().map(|(key, _)| same(key)) {
                Some(Match::Yes) => Some(Found::Hit(slot)),
                Some(Match::Ask) => Some(Found::Ask(slot)),
                Some(Match::No) | None => None,
            })
            .unwrap_or_else(Found::Miss)
    }

    /// The key in an occupied slot.
    #[must_use]
    pub fn key(&self, slot: Slot) -> Option<&K> {
        self.slab.at(slot).pair.as_ref().map(|(key, _)| key)
    }

    /// Use an entry that was found: counts a hit, or a miss if its time is past, and then it goes.
    /// `now` is asked only for an entry that expires.
    #[inline]
    pub fn touch(&mut self, slot: Slot, now: impl FnOnce() -> u64, out: &mut Removed<K, V>) -> Option<&V> {
        if self.slab.at(slot).mark.expires() && !self.renew(slot, now(), out) {
            self.counters.misses += 1;
            return None;
        }
        self.use_live(slot)
    }

    /// As `touch`, but where the time of the entry is past it does nothing at all, and answers None.
    #[inline]
    pub fn touch_live(&mut self, slot: Slot, now: impl FnOnce() -> u64) -> Option<&V> {
        if self.slab.at(slot).mark.expires() {
            let now = now();
            if self.expiry.of(slot).at() <= now {
                return None;
            }
            self.expiry.renew(slot, now);
        }
        self.use_live(slot)
    }

    /// As `touch_live`, among other callers who only do the same; the caller counts the hit. None also where a use must move
    /// or renew something: then take the shard for yourself and `touch`.
    ///
    /// The clock stands still between two writes to the shard, so an entry that is used much is not written either.
    #[inline]
    pub fn touch_shared(&self, slot: Slot, now: impl FnOnce() -> u64) -> Option<&V> {
        let entry = self.slab.at(slot);
        if self.choice == Choice::Lru {
            return None;
        }
        if entry.mark.expires() {
            let due = self.expiry.of(slot);
            if due.idle != NEVER || due.deadline <= now() {
                return None;
            }
        }
        entry.mark.used(self.tick(), self.near);
        entry.pair.as_ref().map(|(_, value)| value)
    }

    #[inline]
    fn use_live(&mut self, slot: Slot) -> Option<&V> {
        self.counters.hits += 1;
        self.renew_use(slot).pair.as_ref().map(|(_, value)| value)
    }

    /// A look-up or an update is a use of the entry.
    #[inline]
    fn renew_use(&mut self, slot: Slot) -> &mut Entry<K, V> {
        let tick = self.tick();
        if let Policy::Lru(policy) = &mut self.policy {
            policy.hit(&mut self.slab, slot);
        }
        let entry = self.slab.at_mut(slot);
        entry.mark.used(tick, self.near);
        entry
    }

    /// False if the time of the entry is past: it is gone then.
    fn renew(&mut self, slot: Slot, now: u64, out: &mut Removed<K, V>) -> bool {
        if self.expiry.of(slot).at() <= now {
            self.remove(slot, Reason::Expired, out);
            return false;
        }
        self.expiry.renew(slot, now);
        true
    }

    /// The pair in a slot, if it is there and its time is not past. No use of it.
    pub fn peek(&self, slot: Slot, now: impl FnOnce() -> u64) -> Option<(&K, &V)> {
        if slot >= self.slab.end() {
            return None;
        }
        let entry = self.slab.at(slot);
        let (key, value) = entry.pair.as_ref()?;
        if entry.mark.expires() && self.expiry.of(slot).at() <= now() {
            return None;
        }
        Some((key, value))
    }

    /// Every pair, expired or not.
    pub fn pairs(&self) -> impl Iterator<Item = (&K, &V)> {
        (0..self.slab.end()).filter_map(|slot| self.slab.at(slot).pair.as_ref().map(|(key, value)| (key, value)))
    }

    /// One past the last slot that may hold an entry.
    #[must_use]
    pub fn end(&self) -> Slot {
        self.slab.end()
    }

    /// Put a pair whose key was not found. Heavier than the whole cache: it goes straight into `out`.
    pub fn insert(&mut self, hash: u32, (key, value): (K, V), life: &Life<'_>, now: u64, out: &mut Removed<K, V>) {
        if life.weight > self.limits.weight {
            self.counters.evictions += 1;
            out.push(Gone { key, value, reason: Reason::Evicted });
            return;
        }
        self.make_room(1, life.weight, now, out);
        let slot = self.slab.insert(hash, key, value);
        self.table.insert(hash, slot);
        let tick = self.tick();
        self.policy.insert(&mut self.slab, slot, tick);
        self.attach(slot, life, now);
    }

    /// As `insert`, for a pair without a time, tags or another weight than 1, in a cache where no entry has a time or a weight
    /// either: one eviction makes room for one entry, which takes over its slot. The pair that was evicted, or the given one
    /// back as an error.
    ///
    /// `gap` is what `find` answered for the key; nothing was changed since.
    #[inline]
    pub fn insert_plain(&mut self, gap: Gap, hash: u32, pair: (K, V)) -> Result<Option<(K, V)>, (K, V)> {
        if !self.weights.is_empty() || !self.expiry.is_empty() {
            return Err(pair);
        }
        let (slot, gone) = if self.slab.len() < self.limits.entries && self.weight < self.limits.weight {
            let slot = self.slab.insert(hash, pair.0, pair.1);
            self.table.insert_at(gap, hash, slot);
            self.weight += 1;
            (slot, None)
        } else {
            let Some(slot) = self.evict() else { return Err(pair) };
            (slot, self.displace(slot, gap, hash, pair))
        };
        let tick = self.tick();
        self.policy.insert(&mut self.slab, slot, tick);
        Ok(gone)
    }

    /// Put a pair into the slot of an entry that the policy has given up; the pair that was there.
    #[inline]
    fn displace(&mut self, slot: Slot, gap: Gap, hash: u32, pair: (K, V)) -> Option<(K, V)> {
        let victim = self.slab.at(slot);
        let old_hash = victim.hash;
        if victim.mark.is_tagged() {
            self.tags.remove(slot);
        }
        // In this order the gap is still one. Two buckets of one slot are told apart by their hashes, or are the same anyway.
        self.table.insert_at(gap, hash, slot);
        self.table.remove(old_hash, slot);
        self.slab.reuse(slot, hash, pair)
    }

    /// Let the policy give an entry up. None only if there is none.
    #[inline]
    fn evict(&mut self) -> Option<Slot> {
        let slot = self.policy.evict(&mut self.slab)?;
        self.counters.evictions += 1;
        self.near = (self.slab.len() / NEAR_PART) as u32 >> self.tick_shift;
        Some(slot)
    }

    /// Expired entries go first, then what the policy chooses.
    fn make_room(&mut self, entries: usize, weight: u64, now: u64, out: &mut Removed<K, V>) {
        while self.slab.len() + entries > self.limits.entries || self.weight > self.limits.weight - weight {
            if let Some(slot) = self.expiry.past(now) {
                self.remove(slot, Reason::Expired, out);
            } else if let Some(slot) = self.evict() {
                self.detach(slot);
                self.release(slot, Reason::Evicted, out);
            } else {
                return;
            }
        }
    }

    #[inline]
    fn attach(&mut self, slot: Slot, life: &Life<'_>, now: u64) {
        let plain = life.ttl.is_none() && life.idle.is_none() && life.tags.is_empty() && life.weight == 1;
        if plain && self.weights.is_empty() {
            self.weight += 1;
        } else {
            self.attach_all(slot, life, now);
        }
    }

    fn attach_all(&mut self, slot: Slot, life: &Life<'_>, now: u64) {
        if life.ttl.is_some() || life.idle.is_some() {
            self.slab.at_mut(slot).mark.set_expires(true);
            self.expiry.insert(slot, now, life.ttl.unwrap_or(NEVER), life.idle.unwrap_or(NEVER));
        }
        if !life.tags.is_empty() {
            self.slab.at_mut(slot).mark.set_tagged(true);
            self.tags.insert(slot, life.tags);
        }
        self.weight += life.weight;
        if life.weight != 1 || !self.weights.is_empty() {
            let end = self.slab.end() as usize;
            self.weights.resize(end.max(self.weights.len()), 1);
            self.weights[slot as usize] = life.weight;
        }
    }

    fn detach(&mut self, slot: Slot) {
        let mark = &mut self.slab.at_mut(slot).mark;
        let (expires, tagged) = (mark.expires(), mark.is_tagged());
        mark.set_expires(false);
        mark.set_tagged(false);
        if expires {
            self.expiry.remove(slot);
        }
        if tagged {
            self.tags.remove(slot);
        }
        self.weight -= self.weights.get(slot as usize).copied().unwrap_or(1);
        if let Some(weight) = self.weights.get_mut(slot as usize) {
            *weight = 1;
        }
    }

    fn release(&mut self, slot: Slot, reason: Reason, out: &mut Removed<K, V>) {
        self.table.remove(self.slab.at(slot).hash, slot);
        if let Some((key, value)) = self.slab.remove(slot) {
            out.push(Gone { key, value, reason });
        }
    }

    /// Put a value under a key that was found, if neither it nor its entry has a time, tags or another weight than 1.
    /// The old value, or the new one back as an error.
    #[inline]
    pub fn swap(&mut self, slot: Slot, value: V) -> Result<V, V> {
        let entry = self.slab.at_mut(slot);
        if entry.mark.expires() || entry.mark.is_tagged() || !self.weights.is_empty() {
            return Err(value);
        }
        let Some((_, old)) = entry.pair.as_mut() else { return Err(value) };
        let old = mem::replace(old, value);
        self.fence.invalidate(self.slab.at(slot).hash);
        self.renew_use(slot);
        Ok(old)
    }

    /// Put a value under a key that was found; `key` is the spelling that is not kept, as in a dict.
    pub fn replace(&mut self, slot: Slot, pair: (K, V), life: &Life<'_>, now: u64, out: &mut Removed<K, V>) {
        let hash = self.slab.at(slot).hash;
        if self.slab.at(slot).mark.expires() && self.expiry.of(slot).at() <= now {
            self.remove(slot, Reason::Expired, out);
            return self.insert(hash, pair, life, now, out);
        }
        if life.weight > self.limits.weight {
            self.remove(slot, Reason::Replaced, out);
            return self.insert(hash, pair, life, now, out);
        }
        let (key, value) = pair;
        self.detach(slot);
        if let Some((_, old)) = self.slab.at_mut(slot).pair.as_mut() {
            let value = mem::replace(old, value);
            out.push(Gone { key, value, reason: Reason::Replaced });
        }
        self.renew_use(slot);
        self.attach(slot, life, now);
        self.make_room(0, 0, now, out);
    }

    /// Take an entry out.
    pub fn remove(&mut self, slot: Slot, reason: Reason, out: &mut Removed<K, V>) {
        if reason == Reason::Expired {
            self.counters.expirations += 1;
        } else {
            self.fence.invalidate(self.slab.at(slot).hash);
        }
        self.policy.remove(&mut self.slab, slot);
        self.detach(slot);
        self.release(slot, reason, out);
    }

    /// Refuse the fills under way for this hash: its key is being written, or invalidated while it is not here.
    pub fn refuse_fills(&mut self, hash: u32) {
        self.fence.invalidate(hash);
    }

    /// Remove at most `limit` of the entries that carry `tag`, or are about to by a fill under way. How many went.
    pub fn invalidate_tag(&mut self, tag: &str, tag_hash: u32, limit: usize, out: &mut Removed<K, V>) -> usize {
        self.fence.invalidate(tag_hash);
        let mut count = 0;
        while count < limit
            && let Some(slot) = self.tags.any(tag)
        {
            self.remove(slot, Reason::Invalidated, out);
            count += 1;
        }
        count
    }

    /// Remove at most `limit` entries whose time is past. How many went.
    pub fn sweep(&mut self, now: u64, limit: usize, out: &mut Removed<K, V>) -> usize {
        let mut count = 0;
        while count < limit
            && let Some(slot) = self.expiry.past(now)
        {
            self.remove(slot, Reason::Expired, out);
            count += 1;
        }
        count
    }

    /// Remove everything, and refuse the fills under way.
    pub fn clear(&mut self, out: &mut Removed<K, V>) {
        self.fence.clear();
        for slot in 0..self.slab.end() {
            if let Some((key, value)) = self.slab.remove(slot) {
                out.push(Gone { key, value, reason: Reason::Cleared });
            }
        }
        self.slab = Slab::new(self.limits.entries);
        self.table.clear();
        self.policy = Policy::new(self.choice, self.limits.entries);
        self.expiry.clear();
        self.tags.clear();
        self.weights = Vec::new();
        self.weight = 0;
    }

    /// Empty it as if nothing had been in it: what was is not looked at, nor ever dropped.
    #[cold]
    #[inline(never)]
    pub(super) fn abandon(&mut self) {
        let mut fence = mem::take(&mut self.fence);
        fence.clear();
        let empty = Self { fence, counters: self.counters, ..Self::new(self.limits, self.choice) };
        mem::forget(mem::replace(self, empty));
    }

    /// The ticket of a load that begins now.
    pub fn begin(&mut self) -> u64 {
        self.fence.begin()
    }

    /// Neither the key nor one of the tags was invalidated since `ticket`.
    #[must_use]
    pub fn holds(&self, hash: u32, tag_hashes: &[u32], ticket: u64) -> bool {
        self.fence.holds(hash, ticket) && tag_hashes.iter().all(|&tag| self.fence.holds(tag, ticket))
    }
}
