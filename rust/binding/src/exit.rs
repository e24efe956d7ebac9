//! How a thread ends that the interpreter ends: it stops where it is, for ever, and the process exits without it.
//!
//! A daemon thread that asks for the interpreter while that one shuts down is ended by `pthread_exit` (CPython 3.11 to 3.13; 3.14
//! stops it instead). glibc does that by unwinding the stack, through whoever called back into Python: a loader, a listener, a key's
//! `__eq__`, the destructor of a value. That unwinding is no panic: a `catch_unwind` on its way, or a call that "cannot unwind", ends
//! the process with SIGABRT, and what Rust frames drop on its way is dropped without the interpreter.
//!
//! No list of the calls that run Python would be whole (any object that is freed may run some). So it is stopped before the first
//! frame of this module that would act on it: the unwinder asks each such frame's handler what to do, and the first thing that a
//! handler does is to ask the unwinder for the frame's table. That question comes here (`build.rs` has the linker send it), and one
//! that no panic of this thread explains never returns. No lock of this module is held then, since no foreign code runs under one.
//!
//! Elsewhere (musl, macOS, Windows) a thread's end does not unwind, and nothing is done.

use std::ffi::c_void;
use std::thread;

unsafe extern "C" {
    fn __real__Unwind_GetLanguageSpecificData(frame: *mut c_void) -> *mut c_void;
}

/// # Safety
/// Called by the handler of a frame, with what the unwinder gave it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap__Unwind_GetLanguageSpecificData(frame: *mut c_void) -> *mut c_void {
    while !thread::panicking() {
        thread::park();
    }
    // SAFETY: handed on as it came.
    unsafe { __real__Unwind_GetLanguageSpecificData(frame) }
}
