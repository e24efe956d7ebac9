//! Open addressing with linear probing over 8-byte buckets: half of the hash, and the slot of the entry.
//!
//! The kept half holds the top bits, so a bucket's home position follows from the bucket alone: growing and deleting
//! (by shifting back, without tombstones) never touch an entry, and two entries are compared only if 32 bits agree.

use super::slab::Slot;

const EMPTY: u64 = 0;
const FIRST_BITS: u32 = 3;
const FEW_BITS: u32 = 15;
const MANY_BITS: u32 = 17;

/// Spread the entropy of a 64-bit hash into 32 bits: CPython's integers hash to themselves.
/// The multiplier is 2^64 / φ (Knuth, TAOCP 6.4).
#[inline]
#[must_use]
pub fn mix(hash: u64) -> u32 {
    ((hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

pub struct Table {
    buckets: Vec<u64>,
    bits: u32,
    len: usize,
}

/// Where the probe for a key that is not there ended: good until the table is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap(usize);

#[inline]
fn pack(hash: u32, slot: Slot) -> u64 {
    (u64::from(hash) << 32) | (u64::from(slot) + 1)
}

#[inline]
fn hash_of(bucket: u64) -> u32 {
    (bucket >> 32) as u32
}

#[inline]
fn slot_of(bucket: u64) -> Slot {
    (bucket as u32).wrapping_sub(1)
}

impl Table {
    pub fn new() -> Self {
        Self { buckets: vec![EMPTY; 1 << FIRST_BITS], bits: FIRST_BITS, len: 0 }
    }

    #[inline]
    fn bucket(&self, at: usize) -> u64 {
        // SAFETY: there are 2^bits buckets, at least one, and the mask keeps the index below their number.
        unsafe { *self.buckets.get_unchecked(at & (self.buckets.len() - 1)) }
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut u64 {
        let mask = self.buckets.len() - 1;
        // SAFETY: as in `bucket`.
        unsafe { self.buckets.get_unchecked_mut(at & mask) }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    /// The slots whose entries have this hash, in probing order, until `pick` answers something; or the gap where they end.
    #[inline(always)]
    pub fn find<R>(&self, hash: u32, mut pick: impl FnMut(Slot) -> Option<R>) -> Result<R, Gap> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.bucket(at);
            if bucket == EMPTY {
                return Err(Gap(at));
            }
            if hash_of(bucket) == hash
                && let Some(found) = pick(slot_of(bucket))
            {
                return Ok(found);
            }
            at += 1;
        }
    }

    /// As `insert`, at the gap that `find` gave for this hash; nothing was inserted or removed since.
    #[inline]
    pub fn insert_at(&mut self, gap: Gap, hash: u32, slot: Slot) {
        if self.len >= self.room() || self.bucket(gap.0) != EMPTY {
            return self.insert(hash, slot);
        }
        *self.bucket_mut(gap.0) = pack(hash, slot);
        self.len += 1;
    }

    pub fn insert(&mut self, hash: u32, slot: Slot) {
        if self.len >= self.room() {
            self.grow();
        }
        self.place(pack(hash, slot));
        self.len += 1;
    }

    /// How many slots it holds before it grows. Short probes are what a branch predictor can learn, few buckets are what the
    /// processor's caches can hold: a quarter of few (with half, an insert that evicts takes half as long again), half of more
    /// (with a quarter, a hit takes a twentieth longer), four fifths of very many, to save memory.
    #[inline]
    fn room(&self) -> usize {
        let buckets = self.buckets.len();
        match self.bits {
            ..FEW_BITS => buckets / 4,
            FEW_BITS..MANY_BITS => buckets / 2,
            _ => buckets / 5 * 4,
        }
    }

    fn place(&mut self, bucket: u64) {
        let mut at = self.home(hash_of(bucket));
        while self.bucket(at) != EMPTY {
            at += 1;
        }
        *self.bucket_mut(at) = bucket;
    }

    /// Doubles. Above 2^31 buckets the home position has used up the kept half; a slot is 32 bits wide, so that is out of reach.
    fn grow(&mut self) {
        self.bits += 1;
        let old = std::mem::replace(&mut self.buckets, vec![EMPTY; 1 << self.bits]);
        for bucket in old {
            if bucket != EMPTY {
                self.place(bucket);
            }
        }
    }

    /// Take the bucket of `slot` out. It must be there.
    pub fn remove(&mut self, hash: u32, slot: Slot) {
        let mask = self.buckets.len() - 1;
        let wanted = pack(hash, slot);
        let mut hole = self.home(hash);
        while self.bucket(hole) != wanted {
            debug_assert_ne!(self.bucket(hole), EMPTY, "the slot is not in the table");
            hole += 1;
        }
        let mut at = hole;
        loop {
            at += 1;
            let bucket = self.bucket(at);
            if bucket == EMPTY {
                break;
            }
            let home = self.home(hash_of(bucket));
            // It may fill the hole unless its home lies between the hole and where it stands, cyclically.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                *self.bucket_mut(hole) = bucket;
                hole = at;
            }
        }
        *self.bucket_mut(hole) = EMPTY;
        self.len -= 1;
    }

    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_map_under_collisions() {
        let mut table = Table::new();
        let mut model = std::collections::BTreeMap::new();
        let mut state = 7u64;
        for _ in 0..if cfg!(miri) { 500 } else { 20_000 } {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let slot = (state >> 33) as u32 % 300;
            let hash = (slot % 40).wrapping_mul(0x0800_0001);
            if model.remove(&slot).is_some() {
                table.remove(hash, slot);
            } else {
                model.insert(slot, hash);
                table.insert(hash, slot);
            }
            let probe = (state >> 20) as u32 % 300;
            let hash = (probe % 40).wrapping_mul(0x0800_0001);
            let found = table.find(hash, |slot| (slot == probe).then_some(slot));
            assert_eq!(found.is_ok(), model.contains_key(&probe));
        }
    }
}
