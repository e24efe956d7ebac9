//! What `begin` hands out and `fill` takes back.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// The right to fill one key, unless it is invalidated first. Nothing need be done with one that is not used.
#[pyclass(frozen, module = "tierstore")]
pub struct FillTicket {
    #[pyo3(get)]
    pub key: Py<PyAny>,
    pub hash: u32,
    pub sequence: u64,
    /// The number of its cache: a ticket is no good elsewhere.
    pub cache: u64,
}

#[pymethods]
impl FillTicket {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.key)
    }
}
