//! Which entries carry a tag. Adding, dropping and finding cost what the entry's own tags or the tag's own entries cost.

use super::slab::Slot;
use super::table::mix;
use std::collections::HashMap;
use std::sync::Arc;

/// FNV-1a over the text, folded: where the fence keeps the tag's invalidations.
#[must_use]
pub fn tag_hash(tag: &str) -> u32 {
    let hash = tag
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    mix(hash)
}

#[derive(Default)]
pub struct Tags {
    slots: HashMap<Arc<str>, Vec<Slot>>,
    /// For each tagged slot its tags, each with its place in the tag's list.
    of: HashMap<Slot, Vec<(Arc<str>, usize)>>,
}

impl Tags {
    pub fn insert(&mut self, slot: Slot, tags: &[Arc<str>]) {
        let mut own: Vec<(Arc<str>, usize)> = Vec::with_capacity(tags.len());
        for tag in tags {
            if own.iter().any(|(known, _)| known == tag) {
                continue;
            }
            let tag = self.slots.get_key_value(tag).map_or(tag, |(known, _)| known).clone();
            let list = self.slots.entry(tag.clone()).or_default();
            own.push((tag, list.len()));
            list.push(slot);
        }
        self.of.insert(slot, own);
    }

    pub fn remove(&mut self, slot: Slot) {
        for (tag, place) in self.of.remove(&slot).unwrap_or_default() {
            let Some(list) = self.slots.get_mut(&tag) else { continue };
            list.swap_remove(place);
            if let Some(moved) = list.get(place) {
                let own = self.of.get_mut(moved).and_then(|own| own.iter_mut().find(|(known, _)| *known == tag));
                if let Some(own) = own {
                    own.1 = place;
                }
            } else if list.is_empty() {
                self.slots.remove(&tag);
            }
        }
    }

    /// Any one of the entries that carry `tag`.
    pub fn any(&self, tag: &str) -> Option<Slot> {
        self.slots.get(tag).and_then(|list| list.last().copied())
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
