//! What a record class is, compiled once when the class is made.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::shape::{Class, compile};
use crate::items::Items;
use tierstore_core::codec::shape::Shape;

/// The kind of a class that is only nested in others.
pub const NO_KIND: u16 = u16::MAX;
/// More fields than this in one class are refused: the place of a field is kept in 16 bits.
const MAX_FIELDS: usize = 4096;

pub struct Field {
    pub name: Py<PyString>,
    pub shape: Shape<Class>,
    pub revision: u16,
    pub bulk: bool,
    pub removed: bool,
    default: Option<Py<PyAny>>,
    factory: Option<Py<PyAny>>,
}

impl Field {
    /// What an older buffer, or a constructor without this argument, stands for. None: there is no default.
    pub fn make_default<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (&self.factory, &self.default) {
            (Some(factory), _) => factory.bind(py).call0().map(Some),
            (None, Some(value)) => Ok(Some(value.bind(py).clone())),
            (None, None) => Ok(None),
        }
    }
}

/// The compiled layout of one record class.
#[pyclass(frozen, module = "tierstore._native")]
pub struct Layout {
    pub kind: u16,
    pub revision: u16,
    pub oldest_reader: u16,
    /// In wire order.
    pub fields: Vec<Field>,
    /// Wire positions in the order of the declaration, removed fields left out.
    pub declared: Vec<usize>,
    /// Records stand in its fields.
    pub has_records: bool,
    class: PyOnceLock<Py<PyType>>,
    /// The same class, to compare with.
    class_pointer: AtomicPtr<pyo3::ffi::PyTypeObject>,
}

impl Layout {
    /// The class. Records are made only after `adopt`.
    pub fn class<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        match self.class.get(py) {
            Some(class) => Ok(class.bind(py)),
            None => Err(PyTypeError::new_err("this layout has no class yet")),
        }
    }

    pub fn set_class(&self, class: &Bound<'_, PyType>) -> PyResult<()> {
        let set = self.class.set(class.py(), class.clone().unbind());
        set.map_err(|_| PyTypeError::new_err("this layout has a class already"))?;
        self.class_pointer.store(class.as_type_ptr(), Ordering::Release);
        Ok(())
    }

    #[inline]
    pub fn is_class(&self, class: *mut pyo3::ffi::PyTypeObject) -> bool {
        self.class_pointer.load(Ordering::Acquire) == class
    }

    pub fn position(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        for at in &self.declared {
            let own = self.fields[*at].name.bind(py);
            if own.is(name) || own.as_any().eq(name)? {
                return Ok(Some(*at));
            }
        }
        Ok(None)
    }
}

/// name, shape, revision, bulk, removed, default (a 1-tuple or None), factory or None
type Spec<'py> = (
    Bound<'py, PyString>,
    Bound<'py, PyTuple>,
    u16,
    bool,
    bool,
    Option<(Bound<'py, PyAny>,)>,
    Option<Bound<'py, PyAny>>,
);

#[pymethods]
impl Layout {
    /// `fields` in wire order; `declared` are wire positions in the order of the declaration.
    #[new]
    fn new(
        kind: Option<u16>,
        revision: u16,
        oldest_reader: u16,
        fields: Items<Spec<'_>, MAX_FIELDS>,
        declared: Items<usize, MAX_FIELDS>,
    ) -> PyResult<Self> {
        let (fields, declared) = (fields.0, declared.0);
        if kind == Some(NO_KIND) || oldest_reader > revision {
            return Err(PyValueError::new_err("kind must be from 0 to 65534, and oldest_reader at most revision"));
        }
        if declared.iter().any(|at| *at >= fields.len()) {
            return Err(PyValueError::new_err("a declared position is not that of a field"));
        }
        let fields: Vec<Field> = fields.into_iter().map(compile_field).collect::<PyResult<_>>()?;
        let has_records = fields.iter().any(|field| field.shape.has_records());
        let kind = kind.unwrap_or(NO_KIND);
        let (class, class_pointer) = (PyOnceLock::new(), AtomicPtr::new(std::ptr::null_mut()));
        Ok(Self { kind, revision, oldest_reader, fields, declared, has_records, class, class_pointer })
    }
}

fn compile_field(spec: Spec<'_>) -> PyResult<Field> {
    let (name, shape, revision, bulk, removed, default, factory) = spec;
    let shape = compile(&shape)?;
    let default = default.map(|(value,)| value.unbind());
    Ok(Field { name: name.unbind(), shape, revision, bulk, removed, default, factory: factory.map(Bound::unbind) })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Layout>()
}
