//! What the methods of `Cache` are made of. Each reads its arguments and hashes the key first (Python may run), acts in one
//! closure on the shard (nothing foreign runs), then tells the listener and drops what left (Python may run again).

use super::cell::Cell;
use super::class::{Cache, Object};
use super::clock::now_ms;
use super::key::{Answers, hash_of};
use super::life::{OwnLife, count, duration, tags};
use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::Ordering;
use tierstore_core::cache::{Counters, Found, Life, Reason, Removed, Shard, Slot, tag_hash};

type Out = Removed<Object, Object>;
/// Number of a shard, and a slot of it.
pub type Place = (usize, Slot);

/// Entries removed at once by a sweep or a tag: between two such steps other threads get their turn.
pub const STEP: usize = 256;

fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Evicted => "evicted",
        Reason::Expired => "expired",
        Reason::Invalidated => "invalidated",
        Reason::Replaced => "replaced",
        Reason::Cleared => "cleared",
    }
}

pub const FOREVER: Life<'static> = Life { ttl: None, idle: None, weight: 1, tags: &[] };

/// Find the key, asking Python where its keys must be compared, and act on what was found under one borrow.
#[inline]
pub fn with_key<V, R>(
    cell: &Cell<Object, V>,
    key: &Bound<'_, PyAny>,
    hash: u32,
    act: impl FnOnce(&mut Shard<Object, V>, Option<Slot>) -> R,
) -> PyResult<R> {
    let (py, mut act, mut answers) = (key.py(), Some(act), Answers::default());
    loop {
        let step = cell.with(py, hash, |shard| {
            let slot = match shard.find(hash, |candidate| answers.compare(key.as_ptr(), candidate)) {
                Found::Hit(slot) => Some(slot),
                Found::Miss(_) => None,
                Found::Ask(slot) => return Err(shard.key(slot).map(|candidate| candidate.clone_ref(py))),
            };
            Ok(act.take().map(|act| act(shard, slot)))
        });
        match step {
            Ok(Some(result)) => return Ok(result),
            Ok(None) | Err(None) => {}
            Err(Some(candidate)) => answers.ask(py, key, candidate)?,
        }
    }
}

/// One call of `tierstore.cache`, which holds the parts that are written in Python.
pub fn face<'py>(
    py: Python<'py>,
    name: &str,
    arguments: impl PyCallArgs<'py>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Object> {
    Ok(py.import("tierstore.cache")?.getattr(name)?.call(arguments, keywords)?.unbind())
}

impl Cache {
    /// Tell the listener and drop what left. Never inside a borrow.
    pub fn dispose(&self, py: Python<'_>, out: Out) {
        if let Some(listener) = &self.on_evict {
            for gone in out.iter() {
                let told = listener.call1(py, (&gone.key, &gone.value, reason_text(gone.reason)));
                if let Err(error) = told {
                    error.write_unraisable(py, Some(listener.bind(py)));
                }
            }
        }
        drop(out);
    }

    #[inline]
    pub fn look_up(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let hash = hash_of(key)?;
        let mut out = Removed::default();
        let found = with_key(&self.shards, key, hash, |shard, slot| match slot {
            Some(slot) => shard.touch(slot, now_ms, &mut out).map(|value| value.clone_ref(key.py())),
            None => {
                shard.counters.misses += 1;
                None
            }
        })?;
        if !out.is_empty() {
            self.dispose(key.py(), out);
        }
        Ok(found)
    }

    pub fn store(
        this: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        life: &OwnLife,
        fence: Fencing,
    ) -> PyResult<bool> {
        let own = this.get();
        if (life.ttl.is_some() || life.idle.is_some()) && !own.watched.swap(true, Ordering::Relaxed) {
            this.py().import("tierstore.cache")?.call_method1("watch", (this,))?;
        }
        let (py, hash, mut out) = (key.py(), hash_of(key)?, Out::default());
        let pair = (key.clone().unbind(), value.clone().unbind());
        let now = now_ms();
        let tag_hashes: Vec<u32> = life.tags.iter().map(|tag| tag_hash(tag)).collect();
        let refused = with_key(&own.shards, key, hash, |shard, slot| {
            match fence {
                Fencing::Raise => shard.refuse_fills(hash),
                Fencing::Ticket(ticket) if !shard.holds(hash, &tag_hashes, ticket) => return Some(pair),
                Fencing::Ticket(_) => {}
            }
            match slot {
                Some(slot) => shard.replace(slot, pair, &life.borrow(), now, &mut out),
                None => shard.insert(hash, pair, &life.borrow(), now, &mut out),
            }
            None
        })?;
        own.dispose(py, out);
        Ok(refused.is_none())
    }

    pub fn life(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tti: Option<&Bound<'_, PyAny>>,
        weight: Option<&Bound<'_, PyAny>>,
        tag_names: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<OwnLife> {
        let weight = match (count("weight", 0, weight)?, &self.weigher) {
            (Some(weight), _) => weight,
            (None, None) => 1,
            (None, Some(weigher)) => {
                let weight = weigher.bind(key.py()).call1((key, value))?;
                count("the weigher's answer", 0, Some(&weight))?
                    .ok_or_else(|| PyTypeError::new_err("the weigher must return an int, not None"))?
            }
        };
        Ok(OwnLife {
            ttl: if ttl.is_some() { duration("ttl", ttl)? } else { self.ttl },
            idle: if tti.is_some() { duration("tti", tti)? } else { self.idle },
            weight,
            tags: tags(tag_names)?,
        })
    }

    /// The value; nothing is counted.
    pub fn peek(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let hash = hash_of(key)?;
        with_key(&self.shards, key, hash, |shard, slot| {
            slot.and_then(|slot| shard.peek(slot, now_ms)).map(|(_, value)| value.clone_ref(key.py()))
        })
    }

    /// Take the entry out, refusing the fills under way: whether it was there, not past its time, and all that left.
    fn extract(&self, key: &Bound<'_, PyAny>) -> PyResult<(bool, Out)> {
        let (hash, mut out) = (hash_of(key)?, Removed::default());
        let live = with_key(&self.shards, key, hash, |shard, slot| {
            shard.refuse_fills(hash);
            let Some(slot) = slot else { return false };
            let live = shard.peek(slot, now_ms).is_some();
            shard.remove(slot, if live { Reason::Invalidated } else { Reason::Expired }, &mut out);
            live
        })?;
        Ok((live, out))
    }

    /// Take the value out; nobody but the caller is told.
    pub fn take(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Object>> {
        let (live, mut out) = self.extract(key)?;
        let taken = if live { out.take_any().map(|gone| (gone.key, gone.value)) } else { None };
        self.dispose(key.py(), out);
        Ok(taken.map(|(_, value)| value))
    }

    /// Take the entry out and drop it. Whether it was there.
    pub fn drop_key(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (live, out) = self.extract(key)?;
        self.dispose(key.py(), out);
        Ok(live)
    }

    /// The next pair from a place on, and the place after it.
    pub fn next_from(&self, py: Python<'_>, place: Place) -> (Option<(Object, Object)>, Place) {
        let (mut number, mut slot) = place;
        while number < self.shards.count() {
            let found = self.shards.nth(py, number, |shard| {
                while slot < shard.end() {
                    let pair = shard.peek(slot, now_ms).map(|(key, value)| (key.clone_ref(py), value.clone_ref(py)));
                    slot += 1;
                    if pair.is_some() {
                        return pair;
                    }
                }
                None
            });
            if found.is_some() {
                return (found, (number, slot));
            }
            (number, slot) = (number + 1, 0);
        }
        (None, (number, 0))
    }

    /// Let `act` remove up to STEP entries at a time from each shard, until it removes fewer. How many went.
    pub fn remove_in_steps(
        &self,
        py: Python<'_>,
        mut act: impl FnMut(&mut Shard<Object, Object>, &mut Out) -> usize,
    ) -> usize {
        let (mut total, mut number) = (0, 0);
        while number < self.shards.count() {
            let mut out = Removed::default();
            let count = self.shards.nth(py, number, |shard| act(shard, &mut out));
            self.dispose(py, out);
            total += count;
            number += usize::from(count < STEP);
        }
        total
    }

    pub fn sweep_all(&self, py: Python<'_>) -> usize {
        self.remove_in_steps(py, |shard, out| shard.sweep(now_ms(), STEP, out))
    }

    pub fn clear_all(&self, py: Python<'_>) {
        for number in 0..self.shards.count() {
            let mut out = Removed::default();
            self.shards.nth(py, number, |shard| shard.clear(&mut out));
            self.dispose(py, out);
        }
    }

    /// Counters, entries and weight of all shards together.
    pub fn totals(&self, py: Python<'_>) -> (Counters, usize, u64) {
        let mut total = (Counters::default(), 0, 0);
        for number in 0..self.shards.count() {
            self.shards.nth(py, number, |shard| {
                total.0.add(shard.counters);
                total.1 += shard.len();
                total.2 += shard.weight();
            });
        }
        total
    }
}

/// What a write does with the loads under way.
#[derive(Clone, Copy)]
pub enum Fencing {
    Raise,
    Ticket(u64),
}
