//! A hit of the first tier in one call: the key is looked up, and the entry's own time and the freshness of all that this process
//! knows (docs/design/flow.md) are held against the clock.

use super::class::{Cache, Object};
use super::clock::uptime;
use super::fast::{Pointer, find_or_none, install_method};
use super::life::OwnLife;
use super::owner_loop::OwnerLoop;
use super::ticket::FillTicket;
use super::work::Fencing;
use crate::guard::{failed, raise};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use tierstore_core::cache::Lifetime;

/// A moment that is read with every hit and written now and then.
struct Moment(AtomicU64);

impl Moment {
    fn new(seconds: f64) -> Self {
        Self(AtomicU64::new(seconds.to_bits()))
    }

    #[inline]
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }
}

/// The base of what says how long hits count as fresh: `until`, in seconds of the clock. Its arguments are its subclass's affair.
#[pyclass(frozen, subclass, module = "tierstore._native")]
pub struct FreshUntil(Moment);

#[pymethods]
impl FreshUntil {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self(Moment::new(f64::NEG_INFINITY))
    }

    #[getter]
    fn until(&self) -> f64 {
        self.0.get()
    }

    #[setter]
    fn set_until(&self, seconds: f64) {
        self.0.set(seconds);
    }
}

/// An entry: a value, and the second `until` which hits are answered with it. The rest is its owner's: the `version` of the value, when
/// it was `loaded_at`, when its life `ends`, and how much longer than others it lives (`stretch`).
#[pyclass(frozen, subclass, module = "tierstore._native")]
pub struct TimedEntry {
    #[pyo3(get)]
    value: Object,
    until: Moment,
    #[pyo3(get)]
    version: i64,
    life: Lifetime,
}

#[pymethods]
impl TimedEntry {
    #[new]
    #[pyo3(signature = (value, until, version = 0, loaded_at = 0.0, ends = 0.0, stretch = 1, /))]
    fn new(value: Object, until: f64, version: i64, loaded_at: f64, ends: f64, stretch: u32) -> Self {
        Self { value, until: Moment::new(until), version, life: Lifetime { loaded_at, ends, stretch } }
    }

    #[getter]
    fn until(&self) -> f64 {
        self.until.get()
    }

    #[setter]
    fn set_until(&self, seconds: f64) {
        self.until.set(seconds);
    }

    #[getter]
    fn loaded_at(&self) -> f64 {
        self.life.loaded_at
    }

    #[getter]
    fn ends(&self) -> f64 {
        self.life.ends
    }

    #[getter]
    fn stretch(&self) -> u32 {
        self.life.stretch
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)
    }
}

/// Where the time is read.
enum Clock {
    /// `uptime` itself: read without a call.
    Uptime,
    Asked(Object),
}

impl Clock {
    fn new(clock: &Bound<'_, PyAny>) -> PyResult<Self> {
        let own = clock.py().import("tierstore._native")?.getattr("uptime")?;
        Ok(if clock.is(&own) { Self::Uptime } else { Self::Asked(clock.clone().unbind()) })
    }

    #[inline(always)]
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        match self {
            Self::Uptime => Ok(uptime()),
            Self::Asked(clock) => clock.call0(py)?.extract(py),
        }
    }
}

/// `hit(key)` over a cache of `TimedEntry`s.
///
/// Nothing is answered away from `owner_loop`, where there is one: whoever goes the long way is told what is wrong.
/// Values of a `lasting` kind need no freshness, but for `absent`: that something is not there may end at any time.
#[pyclass(frozen, module = "tierstore._native")]
pub struct Hits {
    cache: Py<Cache>,
    fresh: Py<FreshUntil>,
    clock: Clock,
    absent: Object,
    lasting: bool,
    owner_loop: Option<Py<OwnerLoop>>,
    ttl_s: f64,
    absent_ttl_s: f64,
}

#[pymethods]
impl Hits {
    #[new]
    #[pyo3(signature = (cache, fresh, clock, absent, lasting, owner_loop, ttl_s = 0.0, absent_ttl_s = 0.0))]
    #[expect(clippy::too_many_arguments, reason = "what a tier is made of")]
    fn new(
        cache: Py<Cache>,
        fresh: Py<FreshUntil>,
        clock: &Bound<'_, PyAny>,
        absent: Object,
        lasting: bool,
        owner_loop: Option<Py<OwnerLoop>>,
        ttl_s: f64,
        absent_ttl_s: f64,
    ) -> PyResult<Self> {
        Ok(Self { cache, fresh, clock: Clock::new(clock)?, absent, lasting, owner_loop, ttl_s, absent_ttl_s })
    }

    /// Keep what was loaded `now`, and answer whether it was taken: False if the key was invalidated since the ticket. Where a later
    /// version is there, nothing changes, and its entry is the answer.
    ///
    /// It lives for `ttl_s` or `absent_ttl_s` as `Lifetime` says; how long the last value of the key lived counts, but not for `absent`.
    #[pyo3(signature = (ticket, value, version, now, weight, /))]
    fn keep<'py>(
        &self,
        ticket: &Bound<'py, FillTicket>,
        value: &Bound<'py, PyAny>,
        version: i64,
        now: f64,
        weight: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = ticket.py();
        let (cache, given) = (self.cache.bind(py), ticket.get());
        let there = cache.get().peek(given.key.bind(py))?;
        let there = there.as_ref().map(|entry| entry.bind(py).cast::<TimedEntry>()).transpose()?;
        if let Some(there) = there.filter(|there| there.get().version > version) {
            return Ok(there.clone().into_any());
        }
        let (ttl_s, before) = if value.is(&self.absent) {
            (self.absent_ttl_s, None)
        } else {
            (self.ttl_s, there.map(|there| there.get().life))
        };
        let life = Lifetime::begin(now, ttl_s, given.hash, before);
        let until = Moment::new(life.eager_at());
        let entry = TimedEntry { value: value.clone().unbind(), until, version, life };
        let entry = Bound::new(py, entry)?;
        let life = OwnLife { ttl: None, idle: None, weight, tags: Vec::new() };
        let kept = Cache::store(cache, given.key.bind(py), entry.as_any(), &life, Fencing::Ticket(given.sequence))?;
        Ok(kept.into_pyobject(py)?.to_owned().into_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.fresh)?;
        if let Clock::Asked(clock) = &self.clock {
            visit.call(clock)?;
        }
        visit.call(&self.owner_loop)?;
        visit.call(&self.absent)
    }
}

impl Hits {
    /// The value of what was found, or None.
    #[inline(always)]
    fn believed<'py>(&self, found: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if found.is_none() {
            return Ok(None);
        }
        let Ok(entry) = found.cast::<TimedEntry>() else {
            return Err(PyTypeError::new_err("this cache holds only entries that its own tier made"));
        };
        let (entry, now) = (entry.get(), self.clock.now(found.py())?);
        let free = || self.lasting && !entry.value.is(&self.absent);
        let here = || self.owner_loop.as_ref().map_or(Ok(true), |own| own.get().is_here(found.py()));
        let believed = now < entry.until.get() && (now < self.fresh.get().0.get() || free()) && here()?;
        Ok(believed.then(|| entry.value.bind(found.py()).clone()))
    }
}

/// SAFETY: called by CPython, with the METH_O convention, as a method of `Hits`.
unsafe extern "C" fn hit(object: Pointer, key: Pointer) -> Pointer {
    // SAFETY: CPython passes a `Hits` and a live key, attached; the class is frozen, and holds its cache. What is found is a new
    // reference, or null with an exception set.
    unsafe {
        raise(|py| {
            let hits = Bound::ref_from_ptr(py, &object).cast_unchecked::<Hits>().get();
            let found = Bound::from_owned_ptr_or_opt(py, find_or_none(hits.cache.as_ptr(), key));
            let Some(found) = found else { return null_mut() };
            match hits.believed(&found) {
                Ok(Some(value)) => value.into_ptr(),
                Ok(None) => ffi::Py_NewRef(ffi::Py_None()),
                Err(error) => failed(py, error),
            }
        })
    }
}

const HIT_DOC: &CStr =
    c"hit($self, key, /)\n--\n\nReturn the value if it is there and known to be fresh; None otherwise.";

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FreshUntil>()?;
    module.add_class::<TimedEntry>()?;
    module.add_class::<OwnerLoop>()?;
    module.add_class::<Hits>()?;
    let class = module.py().get_type::<Hits>();
    install_method(&class, c"hit", ffi::PyMethodDefPointer { PyCFunction: hit }, ffi::METH_O, HIT_DOC)
}
