//! A module of functions and a class that panic behind the guard: `tests/core/test_guard.py` builds it and looks at what Python sees.
//! The module that is shipped has none of it.

use std::ffi::{c_int, c_void};
use std::panic::panic_any;
use std::ptr;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

#[path = "../src/guard.rs"]
mod guard;

type Pointer = *mut ffi::PyObject;

/// What a panic may carry that does harm when it is dropped.
struct Dangerous;

impl Drop for Dangerous {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Panic as `how` says: the text itself, or in a way of its own.
fn planted(how: &str) -> Pointer {
    match how {
        "literal" => panic!("a planted panic"),
        "index" => ptr::null_mut::<Pointer>().wrapping_add([0usize; 2][how.len()]).cast(),
        "dangerous" => panic_any(Dangerous),
        other => panic!("{other}"),
    }
}

fn text(py: Python<'_>, object: Pointer) -> String {
    // SAFETY: the interpreter lends the argument for the call.
    unsafe { Bound::from_borrowed_ptr(py, object) }.to_string()
}

unsafe extern "C" fn answers(_: Pointer, how: Pointer) -> Pointer {
    // SAFETY: called by the interpreter.
    unsafe { guard::answer(|py| Ok(planted(&text(py, how)))) }
}

unsafe extern "C" fn refuses(_: Pointer, how: Pointer) -> Pointer {
    // SAFETY: called by the interpreter.
    unsafe { guard::answer(|py| Err(PyValueError::new_err(text(py, how)))) }
}

unsafe extern "C" fn raises(_: Pointer, how: Pointer) -> Pointer {
    // SAFETY: called by the interpreter.
    unsafe { guard::raise(|py| planted(&text(py, how))) }
}

unsafe extern "C" fn endures(_: Pointer, number: Pointer) -> Pointer {
    // SAFETY: the interpreter lends the argument for the call.
    unsafe { guard::endure(ffi::Py_NewRef(number), || panic_any(Dangerous)) }
}

unsafe extern "C" fn contains(_: Pointer, how: Pointer) -> c_int {
    // SAFETY: called by the interpreter.
    unsafe {
        guard::raise(|py| {
            planted(&text(py, how));
            1
        })
    }
}

unsafe extern "C" fn dies(object: Pointer) {
    // SAFETY: called by the interpreter, once, for a dead object.
    unsafe {
        guard::report(|| {
            let class = ffi::Py_TYPE(object);
            if let Some(free) = (*class).tp_free {
                free(object.cast());
            }
            ffi::Py_DECREF(class.cast());
            planted("literal");
        });
    }
}

struct Methods([ffi::PyMethodDef; 4]);
// SAFETY: constant.
unsafe impl Sync for Methods {}

const fn method(name: &'static std::ffi::CStr, function: ffi::PyCFunction) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: ffi::METH_O,
        ml_doc: ptr::null(),
    }
}

static METHODS: Methods = Methods([
    method(c"answers", answers),
    method(c"refuses", refuses),
    method(c"raises", raises),
    method(c"endures", endures),
]);

#[pymodule]
fn panics(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    for definition in &METHODS.0 {
        // SAFETY: the definition is static.
        unsafe {
            let made = ffi::PyCFunction_NewEx(ptr::from_ref(definition).cast_mut(), ptr::null_mut(), ptr::null_mut());
            let function = Bound::from_owned_ptr_or_err(py, made)?;
            module.add(function.getattr("__name__")?.extract::<String>()?.as_str(), function)?;
        }
    }
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dies as *mut c_void },
        ffi::PyType_Slot { slot: ffi::Py_sq_contains, pfunc: contains as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"panics.Object".as_ptr(),
        basicsize: size_of::<ffi::PyObject>() as c_int,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec lives through the call.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    module.add("Object", class)
}
