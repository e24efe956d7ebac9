//! How many bytes the parse looks at, counted in tests alone: the work is linear in the source, whatever it is.

#[cfg(test)]
thread_local! {
    static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[inline(always)]
pub fn count(_bytes: usize) {
    #[cfg(test)]
    BYTES.with(|bytes| bytes.set(bytes.get() + _bytes));
}

/// What `run` looks at.
#[cfg(test)]
pub fn of(run: impl FnOnce()) -> usize {
    BYTES.with(|bytes| bytes.set(0));
    run();
    BYTES.with(std::cell::Cell::get)
}
