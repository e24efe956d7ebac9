//! A record from values: what `Schema(…)` does.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::layout::Layout;
use super::object::{Record, Source};
use crate::guard::answer;

/// `tp_new` of all record classes.
pub unsafe extern "C" fn construct(
    class: *mut ffi::PyTypeObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls tp_new with a class, a tuple, and a dict or null.
    unsafe {
        answer(|py| {
            let class = Bound::from_borrowed_ptr(py, class.cast()).cast_into_unchecked::<PyType>();
            let args = Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>();
            let kwargs = Bound::from_borrowed_ptr_or_opt(py, kwargs).map(|given| given.cast_into_unchecked::<PyDict>());
            build(&class, &args, kwargs.as_ref()).map(Bound::into_ptr)
        })
    }
}

fn build<'py>(
    class: &Bound<'py, PyType>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let name = || class.name().map_or_else(|_| "Record".into(), |name| name.to_string());
    let layout =
        class.getattr(pyo3::intern!(py, "__layout__")).ok().and_then(|layout| layout.cast_into::<Layout>().ok());
    let Some(layout) = layout.filter(|layout| layout.get().is_class(class.as_type_ptr())) else {
        return Err(PyTypeError::new_err(format!(
            "{} cannot be made: expected a class that is declared with Record as its base",
            name()
        )));
    };
    let layout = layout.get();
    if args.len() > layout.declared.len() {
        return Err(PyTypeError::new_err(format!(
            "{}() takes {} fields, not {}",
            name(),
            layout.declared.len(),
            args.len()
        )));
    }
    let source = Source { key: 0, start: 0, end: 0, revision: layout.revision, checked: true, whole: false };
    let object = Record::allocate(class, None, &source)?;
    // SAFETY: it was allocated as one just now.
    let record = unsafe { &*object.as_ptr().cast::<Record>() };
    let count = layout.fields.len();
    for (at, value) in layout.declared.iter().zip(args.iter()) {
        record.keep(value, *at, count)?;
    }
    for (key, value) in kwargs.into_iter().flatten() {
        let Some(at) = layout.position(py, &key)? else {
            return Err(PyTypeError::new_err(format!("{}() has no field {key}", name())));
        };
        if record.value(at).is_some() {
            return Err(PyTypeError::new_err(format!("{}() got the field {key} twice", name())));
        }
        record.keep(value, at, count)?;
    }
    for at in &layout.declared {
        if record.value(*at).is_none() {
            let field = &layout.fields[*at];
            let Some(value) = field.make_default(py)? else {
                return Err(PyTypeError::new_err(format!("{}() is missing the field {}", name(), field.name.bind(py))));
            };
            record.keep(value, *at, count)?;
        }
    }
    Ok(object)
}
