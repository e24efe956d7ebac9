//! The class `Cache` as Python sees it; what its methods are made of is in `work`.

use super::cell::Cell;
use super::clock::now_ms;
use super::iterate::{CacheIterator, What};
use super::key::hash_of;
use super::life::{OwnLife, count, duration, tag_text};
use super::stats::CacheStats;
use super::ticket::FillTicket;
use super::work::{FOREVER, Fencing, STEP, face, with_key};
use crate::errors::to_py;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tierstore_core::cache::{Choice, Limits, Reason, Removed, Shard, tag_hash};
use tierstore_core::error::{Error, Place};

pub type Object = Py<PyAny>;

/// How many were made so far.
static CACHES: AtomicU64 = AtomicU64::new(0);

/// A bounded map from hashable keys to values, in this process.
#[pyclass(frozen, weakref, subclass, mapping, module = "tierstore")]
pub struct Cache {
    pub shards: Cell<Object, Object>,
    /// No entry has a time, weight or listener unless its put says so.
    pub plain: bool,
    limits: Limits,
    /// No other cache of this process has or had it, unlike an address.
    number: u64,
    pub ttl: Option<u64>,
    pub idle: Option<u64>,
    pub weigher: Option<Object>,
    pub on_evict: Option<Object>,
    /// The loads under way, each with the ticket it began with.
    flights: Cell<Object, (Object, u64)>,
    /// Whether the sweeper of `tierstore.cache` knows this cache.
    pub watched: AtomicBool,
    loads: AtomicU64,
    load_failures: AtomicU64,
}

fn choice(policy: &str) -> PyResult<Choice> {
    match policy {
        "default" => Ok(Choice::Default),
        "lru" => Ok(Choice::Lru),
        other => {
            let message = format!("policy must be \"default\" or \"lru\", not {other:?}");
            Err(to_py(&Error::invalid(message).at(Place::Name("policy".to_owned()))))
        }
    }
}

fn callable(name: &str, value: Option<Bound<'_, PyAny>>) -> PyResult<Option<Object>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_callable() => Ok(Some(value.unbind())),
        Some(_) => Err(PyTypeError::new_err(format!("{name} must be callable"))),
    }
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (max_entries = None, *, max_weight = None, ttl = None, tti = None, policy = "default", weigher = None, on_evict = None))]
    fn new(
        max_entries: Option<Bound<'_, PyAny>>,
        max_weight: Option<Bound<'_, PyAny>>,
        ttl: Option<Bound<'_, PyAny>>,
        tti: Option<Bound<'_, PyAny>>,
        policy: &str,
        weigher: Option<Bound<'_, PyAny>>,
        on_evict: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let entries = count("max_entries", 1, max_entries.as_ref())?.unwrap_or(10_000);
        let weight = count("max_weight", 1, max_weight.as_ref())?.unwrap_or(u64::MAX);
        let limits = Limits { entries: usize::try_from(entries).unwrap_or(usize::MAX), weight };
        let plain = ttl.is_none() && tti.is_none() && weigher.is_none() && on_evict.is_none();
        Ok(Self {
            plain,
            shards: Cell::new(limits, choice(policy)?),
            limits,
            number: CACHES.fetch_add(1, Ordering::Relaxed),
            ttl: duration("ttl", ttl.as_ref())?,
            idle: duration("tti", tti.as_ref())?,
            weigher: callable("weigher", weigher)?,
            on_evict: callable("on_evict", on_evict)?,
            flights: Cell::new(Limits { entries: usize::MAX, weight: u64::MAX }, Choice::Lru),
            watched: AtomicBool::new(false),
            loads: AtomicU64::new(0),
            load_failures: AtomicU64::new(0),
        })
    }

    /// The value, or `default`. A hit is a use.
    #[pyo3(signature = (key, default = None, /))]
    fn get(&self, key: &Bound<'_, PyAny>, default: Option<Object>) -> PyResult<Option<Object>> {
        Ok(self.look_up(key)?.or(default))
    }

    /// Put a value, for `ttl` seconds from now, `tti` seconds from each use, where given; else as the cache was made.
    #[pyo3(signature = (key, value, /, *, ttl = None, tti = None, weight = None, tags = None))]
    fn put(
        this: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Bound<'_, PyAny>>,
        tti: Option<Bound<'_, PyAny>>,
        weight: Option<Bound<'_, PyAny>>,
        tags: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let life = this.get().life(key, value, ttl.as_ref(), tti.as_ref(), weight.as_ref(), tags.as_ref())?;
        Self::store(this, key, value, &life, Fencing::Raise)?;
        Ok(())
    }

    /// Take the value out and answer it; `default`, or KeyError without one.
    #[pyo3(signature = (key, /, *default))]
    fn pop(&self, key: &Bound<'_, PyAny>, default: &Bound<'_, PyTuple>) -> PyResult<Object> {
        if default.len() > 1 {
            return Err(PyTypeError::new_err("pop expected a key and at most one default"));
        }
        match self.take(key)? {
            Some(value) => Ok(value),
            None if default.is_empty() => Err(PyKeyError::new_err(key.clone().unbind())),
            None => Ok(default.get_item(0)?.unbind()),
        }
    }

    /// Remove the key, and refuse the fills of it that are under way. Whether it was there.
    #[pyo3(signature = (key, /))]
    fn invalidate(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.drop_key(key)
    }

    /// Put pairs: a mapping, or an iterable of (key, value).
    #[pyo3(signature = (pairs, /, *, ttl = None, tti = None, tags = None))]
    fn put_many(
        this: &Bound<'_, Self>,
        pairs: &Bound<'_, PyAny>,
        ttl: Option<Bound<'_, PyAny>>,
        tti: Option<Bound<'_, PyAny>>,
        tags: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let pairs = if pairs.hasattr("keys")? { pairs.call_method0("items")? } else { pairs.clone() };
        let tags = super::life::tags(tags.as_ref())?;
        for pair in pairs.try_iter()? {
            let (key, value) = pair?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            let life = this.get().life(&key, &value, ttl.as_ref(), tti.as_ref(), None, None)?;
            Self::store(this, &key, &value, &OwnLife { tags: tags.clone(), ..life }, Fencing::Raise)?;
        }
        Ok(())
    }

    /// Invalidate each key; how many were there.
    #[pyo3(signature = (keys, /))]
    fn invalidate_many(&self, keys: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut count = 0;
        for key in keys.try_iter()? {
            count += usize::from(self.drop_key(&key?)?);
        }
        Ok(count)
    }

    /// Remove every entry that carries the tag, and refuse the fills under way that will; how many were there.
    #[pyo3(signature = (tag, /))]
    fn invalidate_tag(&self, tag: &Bound<'_, PyAny>) -> PyResult<usize> {
        let tag_name = tag_text(tag)?;
        let hash = tag_hash(&tag_name);
        Ok(self.remove_in_steps(tag.py(), |shard, out| shard.invalidate_tag(&tag_name, hash, STEP, out)))
    }

    /// Remove everything, and refuse the fills under way.
    fn clear(&self, py: Python<'_>) {
        self.clear_all(py);
    }

    /// A ticket for one later `fill` of this key.
    #[pyo3(signature = (key, /))]
    fn begin(&self, key: &Bound<'_, PyAny>) -> PyResult<FillTicket> {
        let hash = hash_of(key)?;
        let sequence = self.shards.with(key.py(), hash, Shard::begin);
        Ok(FillTicket { key: key.clone().unbind(), hash, sequence, cache: self.number })
    }

    /// Put the value under the ticket's key, unless the key, one of `tags` or everything was invalidated, or the key was
    /// written, since `begin`: then False.
    #[pyo3(signature = (ticket, value, /, *, ttl = None, tti = None, weight = None, tags = None))]
    fn fill(
        this: &Bound<'_, Self>,
        ticket: &Bound<'_, FillTicket>,
        value: &Bound<'_, PyAny>,
        ttl: Option<Bound<'_, PyAny>>,
        tti: Option<Bound<'_, PyAny>>,
        weight: Option<Bound<'_, PyAny>>,
        tags: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let given = ticket.get();
        if given.cache != this.get().number {
            return Err(PyTypeError::new_err("the ticket belongs to another cache"));
        }
        let key = given.key.bind(ticket.py());
        let life = this.get().life(key, value, ttl.as_ref(), tti.as_ref(), weight.as_ref(), tags.as_ref())?;
        Self::store(this, key, value, &life, Fencing::Ticket(given.sequence))
    }

    /// Whether a fill with this ticket (and no tags) would be taken now.
    fn _holds(&self, ticket: &Bound<'_, FillTicket>) -> bool {
        let given = ticket.get();
        self.shards.with(ticket.py(), given.hash, |shard| shard.holds(given.hash, &[], given.sequence))
    }

    /// The value; where it is missing, one caller loads it and the others wait.
    #[pyo3(signature = (key, loader, /, **keywords))]
    fn get_or_load(
        this: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        loader: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Object> {
        match this.get().look_up(key)? {
            Some(found) => Ok(found),
            None => face(this.py(), "load", (this, key, loader), keywords),
        }
    }

    /// As `get_or_load`, with a loader that may be a coroutine function.
    #[pyo3(signature = (key, loader, /, **keywords))]
    fn aget_or_load(
        this: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        loader: &Bound<'_, PyAny>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Object> {
        face(this.py(), "aload", (this, key, loader), keywords)
    }

    /// A decorator: calls with the same arguments are answered from this cache, or from one load.
    #[pyo3(signature = (**keywords))]
    fn memoize(this: &Bound<'_, Self>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Object> {
        face(this.py(), "memoize", (this,), keywords)
    }

    /// What has been counted so far.
    fn stats(&self, py: Python<'_>) -> CacheStats {
        self.sweep_all(py);
        let (counters, entries, weight) = self.totals(py);
        CacheStats {
            hits: counters.hits,
            misses: counters.misses,
            loads: self.loads.load(Ordering::Relaxed),
            load_failures: self.load_failures.load(Ordering::Relaxed),
            evictions: counters.evictions,
            expirations: counters.expirations,
            entries,
            weight,
        }
    }

    /// Remove what is past its time; how many that were.
    fn sweep(&self, py: Python<'_>) -> usize {
        self.sweep_all(py)
    }

    fn _count_load(&self, failed: bool) {
        self.loads.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.load_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The flight to join for this key: `flight` itself where none is under way, or only one that began before an invalidation.
    fn _join(&self, ticket: &Bound<'_, FillTicket>, flight: &Bound<'_, PyAny>) -> PyResult<Object> {
        let (py, given) = (ticket.py(), ticket.get());
        let mut out = Removed::default();
        let joined = with_key(&self.flights, given.key.bind(py), given.hash, |flights, slot| {
            let current = slot
                .and_then(|slot| flights.peek(slot, || 0))
                .map(|(_, (flight, begun))| (flight.clone_ref(py), *begun));
            if let Some((current, begun)) = current
                && self.shards.with(py, given.hash, |shard| shard.holds(given.hash, &[], begun))
            {
                return current;
            }
            let pair = (given.key.clone_ref(py), (flight.clone().unbind(), given.sequence));
            match slot {
                Some(slot) => flights.replace(slot, pair, &FOREVER, 0, &mut out),
                None => flights.insert(given.hash, pair, &FOREVER, 0, &mut out),
            }
            flight.clone().unbind()
        })?;
        drop(out);
        Ok(joined)
    }

    /// End a flight: nobody joins it from now on.
    fn _leave(&self, ticket: &Bound<'_, FillTicket>, flight: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = ticket.get();
        let mut out = Removed::default();
        with_key(&self.flights, given.key.bind(ticket.py()), given.hash, |flights, slot| {
            if let Some(slot) = slot
                && flights.peek(slot, || 0).is_some_and(|(_, (current, _))| current.is(flight))
            {
                flights.remove(slot, Reason::Invalidated, &mut out);
            }
        })?;
        drop(out);
        Ok(())
    }

    /// The value as a one-tuple, or None. No use, and nothing is counted.
    fn _peek<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<(Object,)>> {
        Ok(self.peek(key)?.map(|value| (value,)))
    }

    /// Forget that the sweeper knows this cache: its thread is not in this process.
    fn _unwatch(&self) {
        self.watched.store(false, Ordering::Relaxed);
    }

    #[getter]
    fn max_entries(&self) -> usize {
        self.limits.entries
    }

    #[getter]
    fn max_weight(&self) -> Option<u64> {
        (self.limits.weight != u64::MAX).then_some(self.limits.weight)
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        self.look_up(key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __setitem__(this: &Bound<'_, Self>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::put(this, key, value, None, None, None, None)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.drop_key(key)? { Ok(()) } else { Err(PyKeyError::new_err(key.clone().unbind())) }
    }

    /// No use, and nothing is counted.
    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let hash = hash_of(key)?;
        with_key(&self.shards, key, hash, |shard, slot| slot.is_some_and(|slot| shard.peek(slot, now_ms).is_some()))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.sweep_all(py);
        self.totals(py).1
    }

    fn __iter__(this: Py<Self>) -> CacheIterator {
        CacheIterator::new(this, What::Keys)
    }

    fn _values(this: Py<Self>) -> CacheIterator {
        CacheIterator::new(this, What::Values)
    }

    fn _pairs(this: Py<Self>) -> CacheIterator {
        CacheIterator::new(this, What::Pairs)
    }

    #[classmethod]
    fn __class_getitem__(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Object> {
        let alias = class.py().import("types")?.getattr("GenericAlias")?;
        Ok(alias.call1((class, item))?.unbind())
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let cache = this.get();
        let (_, entries, weight) = cache.totals(this.py());
        let (class, most) = (this.get_type().fully_qualified_name()?, cache.limits.entries);
        Ok(format!("<{class} of {entries} entries, at most {most}, weight {weight}>"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.weigher)?;
        visit.call(&self.on_evict)?;
        self.flights.visit(|flights| {
            for (key, (flight, _)) in flights.pairs() {
                visit.call(key)?;
                visit.call(flight)?;
            }
            Ok(())
        })?;
        self.shards.visit(|shard| {
            for (key, value) in shard.pairs() {
                visit.call(key)?;
                visit.call(value)?;
            }
            Ok(())
        })
    }

    /// Break cycles: nobody can reach the cache by now, so nobody is told.
    fn __clear__(&self, py: Python<'_>) {
        for number in 0..self.shards.count() {
            let mut out = Removed::default();
            self.shards.nth(py, number, |shard| shard.clear(&mut out));
        }
    }
}
