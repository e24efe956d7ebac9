//! Who may touch the shard. With the interpreter's lock, whoever is attached; without it, whoever holds the mutex.
//!
//! The closure given to `with` must run no Python code: no call, no comparison of unknown keys, no drop of an object,
//! and no allocation that the collector could use to start. So no other thread and no re-entrant call ever meets it.

use pyo3::prelude::*;

#[cfg(not(Py_GIL_DISABLED))]
pub struct Cell<T>(std::cell::UnsafeCell<T>);

// SAFETY: every access goes through `with`, whose caller is attached to the interpreter, which one thread at a time is;
// or through `visit`, which the collector calls while the thread that runs it is attached.
#[cfg(not(Py_GIL_DISABLED))]
unsafe impl<T: Send> Sync for Cell<T> {}

#[cfg(not(Py_GIL_DISABLED))]
impl<T> Cell<T> {
    pub fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub fn with<R>(&self, _py: Python<'_>, act: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: attached (`_py`), and the closure runs no Python code, so nobody else is in here until it ends.
        act(unsafe { &mut *self.0.get() })
    }

    pub fn visit<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        // SAFETY: the collector runs with the interpreter's lock held and never inside `with`, which allocates no Python object.
        act(unsafe { &*self.0.get() })
    }
}

#[cfg(Py_GIL_DISABLED)]
pub struct Cell<T>(std::sync::Mutex<T>);

#[cfg(Py_GIL_DISABLED)]
impl<T> Cell<T> {
    pub fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    #[inline(always)]
    pub fn with<R>(&self, _py: Python<'_>, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub fn visit<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        act(&self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
