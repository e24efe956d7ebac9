//! From the tuples of `tierstore.layout` to the core's shapes.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use tierstore_core::codec::shape::{Int, Shape};

use super::layout::Layout;

/// What the binding knows of a class inside a shape.
pub enum Class {
    Enum {
        class: Py<PyAny>,
        members: Py<PyDict>,
    },
    /// The layout is found at first use: a class may nest itself.
    Record {
        class: Py<PyType>,
        layout: PyOnceLock<Py<Layout>>,
    },
    Struct {
        class: Py<PyType>,
        names: Vec<Py<PyString>>,
    },
}

impl Class {
    pub fn layout<'a>(&'a self, py: Python<'_>) -> PyResult<&'a Py<Layout>> {
        match self {
            Class::Record { class, layout } => {
                layout.get_or_try_init(py, || Ok(class.bind(py).getattr("__layout__")?.cast_into::<Layout>()?.unbind()))
            }
            _ => Err(PyTypeError::new_err("expected a record class")),
        }
    }
}

pub type Compiled = Shape<Class>;

pub fn compile(spec: &Bound<'_, PyTuple>) -> PyResult<Compiled> {
    let name: String = spec.get_item(0)?.extract()?;
    if let Some(plain) = plain(&name) {
        return Ok(plain);
    }
    let inner = |at: usize| -> PyResult<Compiled> { compile(spec.get_item(at)?.cast::<PyTuple>()?) };
    Ok(match name.as_str() {
        "option" => Shape::Option(Box::new(inner(1)?)),
        "list" => Shape::List(Box::new(item(inner(1)?)?)),
        "many" => Shape::Many(Box::new(item(inner(1)?)?)),
        "sequence" => Shape::Sequence(Arc::new(item(inner(1)?)?)),
        "dict" => Shape::Dict(Box::new((item(inner(1)?)?, inner(2)?))),
        "mapping" => Shape::Mapping(Arc::new((item(inner(1)?)?, inner(2)?))),
        "tuple" => Shape::Tuple(compile_all(&spec.get_item(1)?)?),
        "enum" => enumeration(&spec.get_item(1)?, inner(2)?)?,
        "record" => {
            let class = spec.get_item(1)?.cast_into::<PyType>()?.unbind();
            Shape::Record(Class::Record { class, layout: PyOnceLock::new() })
        }
        "struct" => structure(spec)?,
        "union" => {
            let variants = spec.get_item(1)?;
            let one = |pair: PyResult<Bound<'_, PyAny>>| compile(pair?.get_item(1)?.cast::<PyTuple>()?);
            Shape::Union(variants.try_iter()?.map(one).collect::<PyResult<_>>()?)
        }
        _ => return Err(PyTypeError::new_err(format!("unknown shape {name}"))),
    })
}

fn plain(name: &str) -> Option<Compiled> {
    Some(match name {
        "none" => Shape::None,
        "bool" => Shape::Bool,
        "u8" => Shape::Int(Int::U8),
        "u16" => Shape::Int(Int::U16),
        "u32" => Shape::Int(Int::U32),
        "u64" => Shape::Int(Int::U64),
        "u128" => Shape::Int(Int::U128),
        "i8" => Shape::Int(Int::I8),
        "i16" => Shape::Int(Int::I16),
        "i32" => Shape::Int(Int::I32),
        "i64" => Shape::Int(Int::I64),
        "i128" => Shape::Int(Int::I128),
        "f32" => Shape::F32,
        "f64" => Shape::F64,
        "char" => Shape::Char,
        "str" => Shape::Str,
        "bytes" => Shape::Bytes,
        "view" => Shape::View,
        "datetime" => Shape::Datetime,
        "date" => Shape::Date,
        "timedelta" => Shape::Timedelta,
        "uuid" => Shape::Uuid,
        "decimal" => Shape::Decimal,
        "json" => Shape::Json,
        _ => return None,
    })
}

/// Items of no size would let a few bytes claim any number of them.
fn item(shape: Compiled) -> PyResult<Compiled> {
    if shape.least() == 0 {
        return Err(PyTypeError::new_err("the items of a list or a dict must take at least one byte each"));
    }
    Ok(shape)
}

fn compile_all(specs: &Bound<'_, PyAny>) -> PyResult<Vec<Compiled>> {
    specs.try_iter()?.map(|spec| compile(spec?.cast::<PyTuple>()?)).collect()
}

fn enumeration(class: &Bound<'_, PyAny>, values: Compiled) -> PyResult<Compiled> {
    let members = class.getattr("_value2member_map_")?.cast_into::<PyDict>()?.unbind();
    Ok(Shape::Enum(Class::Enum { class: class.clone().unbind(), members }, Box::new(values)))
}

fn structure(spec: &Bound<'_, PyTuple>) -> PyResult<Compiled> {
    let class = spec.get_item(1)?.cast_into::<PyType>()?.unbind();
    let (mut names, mut shapes) = (Vec::new(), Vec::new());
    for pair in spec.get_item(2)?.try_iter()? {
        let (name, shape): (Bound<'_, PyString>, Bound<'_, PyTuple>) = pair?.extract()?;
        names.push(name.unbind());
        shapes.push(compile(&shape)?);
    }
    Ok(Shape::Struct(Class::Struct { class, names }, shapes))
}
