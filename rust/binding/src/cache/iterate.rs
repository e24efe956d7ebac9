//! Walking over the entries, slot by slot. The cache may change meanwhile: an entry that stays throughout is met exactly once.

use super::class::Cache;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

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
    next: AtomicU32,
}

impl CacheIterator {
    pub fn new(cache: Py<Cache>, what: What) -> Self {
        Self { cache, what, next: AtomicU32::new(0) }
    }
}

#[pymethods]
impl CacheIterator {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let (pair, next) = self.cache.get().next_from(py, self.next.load(Ordering::Relaxed));
        self.next.store(next, Ordering::Relaxed);
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
