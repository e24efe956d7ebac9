use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use tierstore_core::route;

use crate::buffer::contiguous;
use crate::errors::to_py;

/// Hashing fewer bytes than this is quicker than letting other threads run meanwhile.
const DETACH_MIN_BYTES: usize = 4096;

fn hash(py: Python<'_>, content: &[u8]) -> String {
    if content.len() < DETACH_MIN_BYTES {
        return route::digest(content);
    }
    py.detach(|| route::digest(content))
}

/// SHA-256 of `content` in lower-case hex, 64 characters. Large content is hashed detached from the interpreter.
#[pyfunction]
#[pyo3(signature = (content, /))]
fn digest(content: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(hash(content.py(), &contiguous(content)?))
}

/// A stable hash of (kind, key): 0…65535. Stored keys contain it, so it never changes.
#[pyfunction]
#[pyo3(signature = (kind, key, /))]
fn slot(kind: &str, key: &str) -> u16 {
    route::slot(kind, key)
}

/// `<head><slot>}:<kind>:<key>` for each key: the names of values in the second tier.
#[pyfunction]
#[pyo3(signature = (head, kind, keys, /))]
fn slotted<'py>(head: &str, kind: &str, keys: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let names = PyList::empty(keys.py());
    for key in keys.iter() {
        let key = key.cast::<PyString>()?.to_str()?;
        names.append(format!("{head}{}}}:{kind}:{key}", route::slot(kind, key)))?;
    }
    Ok(names)
}

/// Where content lives (`tier`: "inline", "row" or "object"), its `size` in bytes and its `digest` (hex SHA-256).
#[pyclass(frozen, eq, hash, module = "tierstore._native")]
#[derive(Clone, Eq, Hash, PartialEq)]
struct Placement {
    #[pyo3(get)]
    tier: &'static str,
    #[pyo3(get)]
    size: usize,
    #[pyo3(get)]
    digest: String,
}

#[pymethods]
impl Placement {
    fn __repr__(&self) -> String {
        format!("Placement(tier='{}', size={}, digest='{}')", self.tier, self.size, self.digest)
    }
}

/// Routes content by size in bytes: up to `inline_max` in the record's row, from `object_min` on in the object store,
/// between in chunk rows. ValidationError unless inline_max < object_min.
#[pyclass(frozen, eq, module = "tierstore._native")]
#[derive(Clone, Eq, PartialEq)]
struct SizeRouter(route::SizeRouter);

#[pymethods]
impl SizeRouter {
    #[new]
    #[pyo3(signature = (inline_max = 65536, object_min = 1048576))]
    fn new(inline_max: u64, object_min: u64) -> PyResult<Self> {
        route::SizeRouter::new(inline_max, object_min).map(Self).map_err(|error| to_py(&error))
    }

    #[getter]
    fn inline_max(&self) -> u64 {
        self.0.inline_max()
    }

    #[getter]
    fn object_min(&self) -> u64 {
        self.0.object_min()
    }

    /// The tier, size and digest of `content`.
    #[pyo3(signature = (content, /))]
    fn route(&self, content: &Bound<'_, PyAny>) -> PyResult<Placement> {
        let bytes = contiguous(content)?;
        let digest = hash(content.py(), &bytes);
        Ok(Placement { tier: self.0.placement(bytes.len() as u64).name(), size: bytes.len(), digest })
    }

    /// The tier of content of `size` bytes that is not at hand.
    #[pyo3(signature = (size, /))]
    fn tier(&self, size: u64) -> &'static str {
        self.0.placement(size).name()
    }

    fn __repr__(&self) -> String {
        format!("SizeRouter(inline_max={}, object_min={})", self.0.inline_max(), self.0.object_min())
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(digest, module)?)?;
    module.add_function(wrap_pyfunction!(slot, module)?)?;
    module.add_function(wrap_pyfunction!(slotted, module)?)?;
    module.add_class::<Placement>()?;
    module.add_class::<SizeRouter>()
}
