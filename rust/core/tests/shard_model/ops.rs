//! A shard driven by bytes, against a model: shared by the test, by miri and by the fuzzer (`fuzz/fuzz_targets/shard_ops.rs`).
//!
//! The model is what was put and has not been reported as gone. Keys collide on purpose, and some comparisons are put off
//! (`Match::Ask`) as foreign ones are.

use std::collections::BTreeMap;
use std::sync::Arc;
use tierstore_core::cache::{Choice, Found, Gone, Life, Limits, Match, Reason, Removed, Shard, mix};

/// Boxed, so that a leak or a use after free is seen by miri and by the sanitizers.
type Key = Box<u8>;
type Value = Box<u32>;

struct Kept {
    value: u32,
    deadline: u64,
    weight: u64,
    tags: Vec<usize>,
}

struct Run {
    shard: Shard<Key, Value>,
    limits: Limits,
    model: BTreeMap<u8, Kept>,
    tags: Vec<Arc<str>>,
    /// Loads under way: key, number, and whether nothing was invalidated since.
    loads: Vec<(u8, u64, bool)>,
    now: u64,
    next_value: u32,
}

fn hash(key: u8) -> u32 {
    mix(u64::from(key % 13))
}

fn tag_hash(tag: usize) -> u32 {
    mix(1000 + tag as u64)
}

/// Run the operations that `data` spells; panics where the shard and the model part.
pub fn run(data: &[u8]) {
    let [entries, weight, choice, operations @ ..] = data else { return };
    let limits = Limits {
        entries: usize::from(entries % 24) + 1,
        weight: if weight % 2 == 0 { u64::MAX } else { u64::from(*weight) },
    };
    let choice = if choice % 4 == 0 { Choice::Lru } else { Choice::Default };
    let mut run = Run {
        shard: Shard::new(limits, choice),
        limits,
        model: BTreeMap::new(),
        tags: ["red", "green", "blue"].map(Arc::from).to_vec(),
        loads: Vec::new(),
        now: 0,
        next_value: 0,
    };
    for &[first, second, third] in operations.as_chunks().0 {
        run.step(first, second, third);
        run.check();
    }
    let mut out = Removed::default();
    run.shard.clear(&mut out);
    run.settle(&mut out, None);
    assert!(run.model.is_empty() && run.shard.is_empty());
}

impl Run {
    fn find(&self, key: u8) -> Found {
        let mut answers = [false; 256];
        loop {
            let found = self.shard.find(hash(key), |kept| match () {
                () if **kept % 3 == 0 && !answers[usize::from(**kept)] => Match::Ask,
                () if **kept == key => Match::Yes,
                () => Match::No,
            });
            let Found::Ask(slot) = found else { return found };
            let asked = self.shard.key(slot).expect("an occupied slot");
            answers[usize::from(**asked)] = true;
        }
    }

    fn step(&mut self, operation: u8, key: u8, extra: u8) {
        match operation % 10 {
            0..=2 => self.put(key, extra),
            3 | 4 => self.get(key),
            5 => self.remove(key),
            6 => self.tag(usize::from(extra) % self.tags.len()),
            7 => self.sweep(u64::from(extra)),
            8 => self.load(key, extra),
            _ => self.swap(key),
        }
    }

    fn put(&mut self, key: u8, extra: u8) {
        self.shard.refuse_fills(hash(key));
        self.spoil(|load| hash(load) == hash(key));
        self.store(key, extra);
    }

    fn store(&mut self, key: u8, extra: u8) {
        let tags: Vec<usize> = (0..3).filter(|tag| extra & (1 << tag) != 0).collect();
        let names: Vec<Arc<str>> = tags.iter().map(|&tag| self.tags[tag].clone()).collect();
        let ttl = (extra & 8 != 0).then_some(u64::from(extra >> 4) + 1);
        let weight = if extra & 0x30 == 0x30 { u64::from(extra) } else { 1 };
        let life = Life { ttl, idle: None, weight, tags: &names };
        self.next_value += 1;
        let (pair, mut out) = ((Box::new(key), Box::new(self.next_value)), Removed::default());
        let plain = ttl.is_none() && weight == 1 && names.is_empty();
        match self.find(key) {
            Found::Hit(slot) => self.shard.replace(slot, pair, &life, self.now, &mut out),
            Found::Miss(gap) if plain => match self.shard.insert_plain(gap, hash(key), pair) {
                Ok(None) => {}
                Ok(Some((key, value))) => out.push(Gone { key, value, reason: Reason::Evicted }),
                Err(pair) => self.shard.insert(hash(key), pair, &life, self.now, &mut out),
            },
            _ => self.shard.insert(hash(key), pair, &life, self.now, &mut out),
        }
        let deadline = ttl.map_or(u64::MAX, |ttl| self.now + ttl);
        let kept = Kept { value: self.next_value, deadline, weight, tags };
        self.settle(&mut out, Some((key, kept)));
    }

    /// Take what left out of the model. `put` is what came in; it may have left at once.
    fn settle(&mut self, out: &mut Removed<Key, Value>, put: Option<(u8, Kept)>) {
        let mut gone = Vec::new();
        while let Some(each) = out.take_any() {
            gone.push((*each.key, *each.value, each.reason));
        }
        let (mut old, mut put) = (std::mem::take(&mut self.model), put);
        for (key, value, reason) in gone {
            if put.as_ref().is_some_and(|(_, kept)| kept.value == value) {
                put = None;
                continue;
            }
            let kept = old.remove(&key).expect("what left was there");
            assert_eq!(kept.value, value);
            assert!(reason != Reason::Expired || kept.deadline <= self.now);
        }
        self.model = old;
        if let Some((key, kept)) = put {
            assert!(self.model.insert(key, kept).is_none(), "the old value was reported");
        }
    }

    fn get(&mut self, key: u8) {
        let expected = self.model.get(&key).filter(|kept| kept.deadline > self.now).map(|kept| kept.value);
        let mut out = Removed::default();
        let found = match self.find(key) {
            Found::Hit(slot) => self.shard.touch(slot, || self.now, &mut out).map(|value| **value),
            _ => None,
        };
        assert_eq!(found, expected);
        self.settle(&mut out, None);
    }

    fn swap(&mut self, key: u8) {
        if let Found::Hit(slot) = self.find(key) {
            let value = Box::new(self.next_value + 1);
            if let Ok(old) = self.shard.swap(slot, value) {
                self.next_value += 1;
                self.spoil(|load| hash(load) == hash(key));
                let kept = self.model.get_mut(&key).expect("what is found was put");
                assert_eq!(kept.value, *old);
                kept.value = self.next_value;
            }
        }
    }

    fn remove(&mut self, key: u8) {
        self.shard.refuse_fills(hash(key));
        self.spoil(|load| hash(load) == hash(key));
        let mut out = Removed::default();
        if let Found::Hit(slot) = self.find(key) {
            self.shard.remove(slot, Reason::Invalidated, &mut out);
        }
        self.settle(&mut out, None);
        assert!(!self.model.contains_key(&key));
    }

    fn tag(&mut self, tag: usize) {
        let mut out = Removed::default();
        let name = self.tags[tag].clone();
        let count = self.shard.invalidate_tag(&name, tag_hash(tag), usize::MAX, &mut out);
        let before = self.model.len();
        let tagged: Vec<u8> =
            self.model.iter().filter(|(_, kept)| kept.tags.contains(&tag)).map(|(&key, _)| key).collect();
        self.spoil(|load| tagged.iter().any(|&key| hash(load) == hash(key)));
        self.settle(&mut out, None);
        assert_eq!(before - self.model.len(), count);
        assert!(self.model.values().all(|kept| !kept.tags.contains(&tag)));
    }

    fn sweep(&mut self, milliseconds: u64) {
        self.now += milliseconds % 8;
        let mut out = Removed::default();
        self.shard.sweep(self.now, usize::MAX, &mut out);
        self.settle(&mut out, None);
        assert!(self.model.values().all(|kept| kept.deadline > self.now));
    }

    /// Begin a load, or end one: it may fill only if nothing was invalidated since.
    fn load(&mut self, key: u8, extra: u8) {
        if extra & 1 == 0 || self.loads.is_empty() {
            let ticket = self.shard.begin();
            self.loads.push((key, ticket, true));
            return;
        }
        let (key, ticket, fresh) = self.loads.swap_remove(usize::from(extra) % self.loads.len());
        let holds = self.shard.holds(hash(key), &[], ticket);
        assert!(fresh || !holds, "a fill would be taken that began before an invalidation");
        if holds {
            self.store(key, 0);
        }
    }

    fn spoil(&mut self, mut which: impl FnMut(u8) -> bool) {
        for (key, _, fresh) in &mut self.loads {
            *fresh &= !which(*key);
        }
    }

    fn check(&self) {
        assert_eq!(self.shard.len(), self.model.len());
        assert!(self.shard.len() <= self.limits.entries);
        assert_eq!(self.shard.weight(), self.model.values().map(|kept| kept.weight).sum::<u64>());
        assert!(self.shard.weight() <= self.limits.weight);
        for (key, value) in self.shard.pairs() {
            assert_eq!(self.model.get(key).map(|kept| kept.value), Some(**value));
        }
    }
}
