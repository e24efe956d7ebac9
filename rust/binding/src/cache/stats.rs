//! What a cache has counted.

use pyo3::prelude::*;

/// A snapshot. `weight` is the sum of the entries' weights (1 each without a weigher).
#[pyclass(frozen, get_all, eq, module = "tierstore")]
#[derive(Clone, PartialEq)]
pub struct CacheStats {
    pub hits: u64,
    pub misses: u64,
    pub loads: u64,
    pub load_failures: u64,
    pub evictions: u64,
    pub expirations: u64,
    pub entries: usize,
    pub weight: u64,
}

#[pymethods]
impl CacheStats {
    /// Hits over look-ups; 0.0 before the first one.
    #[getter]
    fn hit_ratio(&self) -> f64 {
        let asked = self.hits + self.misses;
        if asked == 0 { 0.0 } else { self.hits as f64 / asked as f64 }
    }

    fn __repr__(&self) -> String {
        format!(
            "CacheStats(hits={}, misses={}, loads={}, load_failures={}, evictions={}, expirations={}, entries={}, weight={}, hit_ratio={:.4})",
            self.hits,
            self.misses,
            self.loads,
            self.load_failures,
            self.evictions,
            self.expirations,
            self.entries,
            self.weight,
            self.hit_ratio()
        )
    }
}
