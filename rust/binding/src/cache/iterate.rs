//! Walking over the entries, slot by slot. The cache may change meanwhile: an entry that stays throughout is met exactly once.

use super::class::Cache;
use super::work::Place;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Copy)]
pub enum What {
    Keys,
    Values,
    Pairs,
}

#[pyclass(frozen, module = "tierstore")]
pub struct CacheIterator {
    cache: Py<Cache>,
    what: What,
    /// Taken for the moment of one step, in which no Python code runs.
    next: Mutex<Place>,
}

impl CacheIterator {
    pub fn new(cache: Py<Cache>, what: What) -> Self {
        Self { cache, what, next: Mutex::new((0, 0)) }
    }
}

#[pymethods]
impl CacheIterator {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let pair = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let (pair, after) = self.cache.get().next_from(py, *next);
            *next = after;
            pair
        };
        let Some((key, value)) = pair else { return Ok(None) };
        Ok(Some(match self.what {
            What::Keys => key,
            What::Values => value,
            What::Pairs => (key, value).into_pyobject(py)?.into_any().unbind(),
        }))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)
    }
}
