//! Sequences and mappings over a record's bytes: an item is built when it is asked for, each time anew.
//!
//! The run is stepped over once, when the field is read: that finds where each item starts, and that the whole of it is sound.

use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyKeyError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice, PyTuple, PyType};
use tierstore_core::codec::read::Reader;

use super::read::{lift, read};
use super::shape::Compiled;
use super::write;

/// The bytes of a counted run of items: item i lies from `starts[i]` on.
struct Run {
    owner: Py<PyBytes>,
    starts: Vec<u32>,
}

impl Run {
    /// Take a run from `reader`, which stands before its count.
    fn take(reader: &mut Reader<'_>, owner: &Bound<'_, PyBytes>, item: &[&Compiled]) -> PyResult<Self> {
        let count = lift(reader.count(item.iter().map(|shape| shape.least()).sum()))?;
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            starts.push(reader.position() as u32);
            for shape in item {
                lift(shape.skip(reader))?;
            }
        }
        Ok(Self { owner: owner.clone().unbind(), starts })
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn reader<'a>(&self, bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader::new(bytes, self.starts[at] as usize)
    }
}

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
            let items = (0..range.slicelength).map(at).collect::<PyResult<Vec<_>>>()?;
            return Ok(PyTuple::new(py, items)?.into_any());
        }
        let index: isize = index.extract()?;
        let at = if index < 0 { index + self.run.len() as isize } else { index };
        if at < 0 || at as usize >= self.run.len() {
            return Err(PyIndexError::new_err("index out of range"));
        }
        self.build(py, at as usize)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.all(py)?.try_iter().map(Bound::into_any)
    }

    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.all(py)?.contains(value)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !other.len().is_ok_and(|length| length == self.run.len()) {
            return Ok(false);
        }
        let other = other.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        self.all(py)?.eq(PyTuple::new(py, other)?)
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let items = (0..self.run.len()).rev().map(|at| self.build(py, at)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, items)?.try_iter().map(Bound::into_any)
    }

    fn index(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.all(py)?.index(value)
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

impl LazySequence {
    fn build<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        let owner = self.run.owner.bind(py);
        read(py, &self.item, &mut self.run.reader(owner.as_bytes(), at), owner)
    }

    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let items = (0..self.run.len()).map(|at| self.build(py, at)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(py, items)
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
        self.keys(py)?.try_iter().map(Bound::into_any)
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys = (0..self.run.len()).map(|at| Ok(self.entry(py, at)?.0)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, keys)
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let values = (0..self.run.len()).map(|at| Ok(self.entry(py, at)?.1)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, values)
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let items = (0..self.run.len()).map(|at| self.entry(py, at)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, items)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let class = py.import("builtins")?.getattr("dict")?;
        if !other.hasattr("keys")? {
            return Ok(false);
        }
        class.call1((self.items(py)?,))?.eq(class.call1((other,))?)
    }

    fn __repr__(&self) -> String {
        format!("<{} entries, not read yet>", self.run.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyList>,))> {
        Ok((py.import("builtins")?.getattr("dict")?, (self.items(py)?,)))
    }
}

impl LazyMapping {
    fn entry<'py>(&self, py: Python<'py>, at: usize) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let owner = self.run.owner.bind(py);
        let mut reader = self.run.reader(owner.as_bytes(), at);
        Ok((read(py, &self.pair.0, &mut reader, owner)?, read(py, &self.pair.1, &mut reader, owner)?))
    }

    /// The key's own bytes are what is looked for: one value has one encoding.
    fn find<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let owner = self.run.owner.bind(py);
        let bytes = owner.as_bytes();
        let mut probe = Vec::with_capacity(64);
        if write::write(&mut probe, &self.pair.0, key, 0).is_err() {
            return Ok(None);
        }
        for start in &self.run.starts {
            let start = *start as usize;
            if bytes[start..].starts_with(&probe) {
                return read(py, &self.pair.1, &mut Reader::new(bytes, start + probe.len()), owner).map(Some);
            }
        }
        Ok(None)
    }
}

pub fn sequence<'py>(
    py: Python<'py>,
    item: Arc<Compiled>,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let run = Run::take(reader, owner, &[&item])?;
    Ok(Bound::new(py, LazySequence { run, item })?.into_any())
}

pub fn mapping<'py>(
    py: Python<'py>,
    pair: Arc<(Compiled, Compiled)>,
    reader: &mut Reader<'_>,
    owner: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let run = Run::take(reader, owner, &[&pair.0, &pair.1])?;
    Ok(Bound::new(py, LazyMapping { run, pair })?.into_any())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LazySequence>()?;
    module.add_class::<LazyMapping>()?;
    let abc = module.py().import("collections.abc")?;
    abc.getattr("Sequence")?.call_method1("register", (module.getattr("LazySequence")?,))?;
    abc.getattr("Mapping")?.call_method1("register", (module.getattr("LazyMapping")?,))?;
    Ok(())
}
