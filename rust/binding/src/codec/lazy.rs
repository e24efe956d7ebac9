//! Sequences and mappings over a record's bytes: an item is built when it is asked for, each time anew.

use std::sync::Arc;

use pyo3::exceptions::{PyException, PyIndexError, PyKeyError, PyOverflowError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyNotImplemented, PySlice, PyTuple, PyType};
use tierstore_core::codec::read::Reader;

use super::out::Out;
use super::read::{lift, read};
use super::run::Run;
use super::shape::Compiled;
use super::{many, write};
use crate::room;

/// The other side is asked.
fn not_implemented(py: Python<'_>) -> Bound<'_, PyAny> {
    PyNotImplemented::get(py).to_owned().into_any()
}

const OUT_OF_RANGE: &str = "index out of range";

/// A read-only sequence of items that are built when asked for.
#[pyclass(frozen, sequence, weakref, module = "tierstore._native")]
pub struct LazySequence {
    run: Run,
    item: Arc<Compiled>,
}

#[pymethods]
impl LazySequence {
    fn __len__(&self) -> usize {
        self.run.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(self.run.len() as isize)?;
            let at = |step: usize| self.build(py, (range.start + step as isize * range.step) as usize);
            return Ok(room::tuple(py, room::list((0..range.slicelength).map(at))?)?.into_any());
        }
        let index: isize = index.extract().map_err(|error: PyErr| out_of_range(index.py(), error))?;
        let at = if index < 0 { index + self.run.len() as isize } else { index };
        if at < 0 || at as usize >= self.run.len() {
            return Err(PyIndexError::new_err(OUT_OF_RANGE));
        }
        self.build(py, at as usize)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.all(py)?.try_iter().map(Bound::into_any)
    }

    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.all(py)?.contains(value)
    }

    /// As a list or a tuple: equal to one of the same items, and to its like.
    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let other = match other.cast::<LazySequence>() {
            Ok(other) => other.get().all(py)?,
            Err(_) if other.is_instance_of::<PyList>() || other.is_instance_of::<PyTuple>() => {
                room::tuple(py, room::list(other.try_iter()?)?)?
            }
            Err(_) => return Ok(not_implemented(py)),
        };
        Ok(PyBool::new(py, self.all(py)?.eq(other)?).to_owned().into_any())
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let items = room::list((0..self.run.len()).rev().map(|at| self.build(py, at)))?;
        room::tuple(py, items)?.try_iter().map(Bound::into_any)
    }

    #[pyo3(signature = (value, start=0, stop=isize::MAX, /))]
    fn index<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
        start: isize,
        stop: isize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.all(py)?.call_method1("index", (value, start, stop))
    }

    fn count(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.all(py)?.as_sequence().count(value)
    }

    fn __repr__(&self) -> String {
        format!("<{} items, not read yet>", self.run.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyTuple>,))> {
        Ok((py.get_type::<PyTuple>(), (self.all(py)?,)))
    }
}

/// An index beyond the machine's integers is out of every range.
#[cold]
fn out_of_range(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyOverflowError>(py) { PyIndexError::new_err(OUT_OF_RANGE) } else { error }
}

impl LazySequence {
    fn build<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        read(py, &self.item, &mut lift(self.run.item(py, &[&self.item], at))?, self.run.owner(py))
    }

    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut reader = lift(self.run.whole(py, &[&self.item]))?;
        let items = (0..self.run.len()).map(|_| read(py, &self.item, &mut reader, self.run.owner(py)));
        room::tuple(py, room::list(items)?)
    }
}

/// A read-only mapping whose keys are looked for in the bytes. Of two equal keys the first counts.
#[pyclass(frozen, mapping, weakref, module = "tierstore._native")]
pub struct LazyMapping {
    run: Run,
    pair: Arc<(Compiled, Compiled)>,
}

#[pymethods]
impl LazyMapping {
    fn __len__(&self) -> usize {
        self.run.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(py, key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(py, key)?.or(default))
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(py, key)?.is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, self.entries(py)?.into_iter().map(|(key, _)| key).collect::<Vec<_>>())?
            .try_iter()
            .map(Bound::into_any)
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

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !many::is_abc(other, intern!(py, "Mapping"))? {
            return Ok(not_implemented(py));
        }
        Ok(PyBool::new(py, self.dict(py)?.eq(py.get_type::<PyDict>().call1((other,))?)?).to_owned().into_any())
    }

    fn __repr__(&self) -> String {
        format!("<{} entries, not read yet>", self.run.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<PyDict>(), (self.dict(py)?,)))
    }
}

impl LazyMapping {
    fn shapes(&self) -> [&Compiled; 2] {
        [&self.pair.0, &self.pair.1]
    }

    /// All of it. Of two equal keys the first counts.
    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (key, value) in self.entries(py)? {
            if !dict.contains(&key)? {
                dict.set_item(key, value)?;
            }
        }
        Ok(dict)
    }

    fn entries<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let owner = self.run.owner(py);
        let mut reader = lift(self.run.whole(py, &self.shapes()))?;
        let mut entry =
            || Ok((read(py, &self.pair.0, &mut reader, owner)?, read(py, &self.pair.1, &mut reader, owner)?));
        room::list((0..self.run.len()).map(|_| entry()))
    }

    /// The key's own bytes are what is looked for: one value has one encoding.
    fn find<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut probe = Out::whole();
        match write::write(&mut probe, &self.pair.0, key, 0) {
            Err(error) if error.is_instance_of::<PyException>(py) => return Ok(None), // no such key can be in it
            written => written?,
        }
        let found = lift(self.run.find(py, &self.shapes(), probe.as_slice()?))?;
        found.map(|mut reader| read(py, &self.pair.1, &mut reader, self.run.owner(py))).transpose()
    }
}

pub fn sequence<'py>(py: Python<'py>, item: &Arc<Compiled>, run: Run) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, LazySequence { run, item: Arc::clone(item) })?.into_any())
}

pub fn mapping<'py>(py: Python<'py>, pair: &Arc<(Compiled, Compiled)>, run: Run) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, LazyMapping { run, pair: Arc::clone(pair) })?.into_any())
}

/// The value of a field that is a sequence or a mapping: nothing of it is looked at yet. None for every other shape.
#[inline]
pub fn field<'py>(
    py: Python<'py>,
    shape: &Compiled,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
    sound: u32,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match shape {
        Compiled::Sequence(item) => sequence(py, item, lift(Run::begin(reader, owner, &[item], sound))?).map(Some),
        Compiled::Mapping(pair) => {
            mapping(py, pair, lift(Run::begin(reader, owner, &[&pair.0, &pair.1], sound))?).map(Some)
        }
        _ => Ok(None),
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LazySequence>()?;
    module.add_class::<LazyMapping>()?;
    let abc = module.py().import("collections.abc")?;
    abc.getattr("Sequence")?.call_method1("register", (module.getattr("LazySequence")?,))?;
    abc.getattr("Mapping")?.call_method1("register", (module.getattr("LazyMapping")?,))?;
    Ok(())
}
