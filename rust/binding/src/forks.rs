//! How many forks lie between this process and the one that loaded the module: a child tells by it what belongs to its parent.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

#[inline]
pub fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Count from now on. Called once, as the module is made.
#[cfg(unix)]
pub fn watch() {
    use crate::guard::endure;
    use std::sync::Once;

    static ONCE: Once = Once::new();
    extern "C" fn forked() {
        endure((), || {
            FORKS.fetch_add(1, Ordering::Relaxed);
        });
    }
    ONCE.call_once(|| {
        // SAFETY: the handler touches one atomic number and nothing else, as a child of a threaded process may.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
}

#[cfg(not(unix))]
pub fn watch() {}
