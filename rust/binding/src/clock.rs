//! `VectorClock`: the core's clock as a Python mapping.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString, PyType};
use tierstore_core::clock::Clock;
use tierstore_core::error::Error;
use tierstore_core::room::push;

use crate::buffer::contiguous;
use crate::codec::read::lift;
use crate::errors::to_py;
use crate::room;

/// How often each client has changed a document; immutable. A client that is not named counts as 0.
#[pyclass(frozen, mapping, weakref, name = "VectorClock", module = "tierstore")]
pub struct VectorClock(Clock);

#[pymethods]
impl VectorClock {
    #[new]
    #[pyo3(signature = (counts=None, /))]
    fn new(counts: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match counts {
            Some(counts) => with(counts, |clock| Self(clock.clone())),
            None => Ok(Self(Clock::from_pairs(Vec::new()).map_err(|error| to_py(&error))?)),
        }
    }

    /// The clock in `buffer`, as `bytes(clock)` gave it. CorruptError if it is not sound.
    #[classmethod]
    fn from_bytes(_class: &Bound<'_, PyType>, buffer: &Bound<'_, PyAny>) -> PyResult<Self> {
        Clock::from_bytes(contiguous(buffer)?.into_owned()).map(Self).map_err(|error| to_py(&error))
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        room::bytes(py, self.0.as_bytes())
    }

    /// Each client's higher count.
    fn merge(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        with(other, |other| self.0.merge(other))?.map(Self).map_err(|error| to_py(&error))
    }

    /// "before", "after", "equal" or "concurrent".
    fn compare(&self, other: &Bound<'_, PyAny>) -> PyResult<&'static str> {
        with(other, |other| self.0.compare(other).name())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__(&self, client: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.find(client).ok_or_else(|| PyKeyError::new_err(client.clone().unbind()))
    }

    fn __contains__(&self, client: &Bound<'_, PyAny>) -> bool {
        self.find(client).is_some()
    }

    #[pyo3(signature = (client, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        client: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.find(client) {
            Some(count) => Ok(Some(count.into_pyobject(py)?.into_any())),
            None => Ok(default),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.try_iter().map(Bound::into_any)
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.call_method0("keys")
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.call_method0("values")
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dict(py)?.call_method0("items")
    }

    /// As mappings are compared: `compare` also takes a count of 0 and no count for the same.
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        match other.cast::<Self>() {
            Ok(other) => Ok(self.0 == other.get().0),
            Err(_) => self.dict(py)?.eq(other),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("VectorClock({})", self.dict(py)?.repr()?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, (self.__bytes__(py)?,)))
    }
}

impl VectorClock {
    fn find(&self, client: &Bound<'_, PyAny>) -> Option<u64> {
        self.0.get(client.cast::<PyString>().ok()?.to_str().ok()?.as_bytes())
    }

    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for entry in self.0.entries() {
            dict.set_item(PyString::from_bytes(py, entry.client)?, entry.count)?;
        }
        Ok(dict)
    }
}

/// Run `body` over the clock in `value`, which is a VectorClock or a mapping of client to count.
fn with<T>(value: &Bound<'_, PyAny>, body: impl FnOnce(&Clock) -> T) -> PyResult<T> {
    if let Ok(clock) = value.cast::<VectorClock>() {
        return Ok(body(&clock.get().0));
    }
    let Ok(counts) = value.cast::<PyMapping>() else {
        return Err(to_py(&Error::new(
            tierstore_core::error::Kind::WrongType,
            "a clock must be a mapping of client (str) to count (int)",
        )));
    };
    let mut pairs = Vec::new();
    for entry in counts.items()?.iter() {
        lift(push(&mut pairs, pair(&entry)?))?;
    }
    Ok(body(&Clock::from_pairs(pairs).map_err(|error| to_py(&error))?))
}

fn pair(entry: &Bound<'_, PyAny>) -> PyResult<(String, u64)> {
    let (client, count): (Bound<'_, PyAny>, Bound<'_, PyAny>) = entry.extract()?;
    let invalid = || to_py(&Error::invalid("a clock must map str to int from 0 to 2^64-1"));
    let name = client.cast::<PyString>().ok().and_then(|name| name.to_str().ok()).ok_or_else(invalid)?;
    Ok((name.to_owned(), count.extract().map_err(|_| invalid())?))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<VectorClock>()?;
    let mapping = module.py().import("collections.abc")?.getattr("Mapping")?;
    mapping.call_method1("register", (module.getattr("VectorClock")?,))?;
    Ok(())
}
