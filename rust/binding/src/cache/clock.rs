//! Two clocks that go on while the machine is suspended: what is cached gets older then, too.

use pyo3::prelude::*;

/// Seconds since the machine was started, those included in which it was suspended. (Elsewhere than on Linux: since the first call.)
///
/// Linux reads CLOCK_BOOTTIME without a system call from 5.3 on, at the cost of CLOCK_MONOTONIC, which stands still meanwhile.
#[pyfunction]
#[inline(always)]
pub fn uptime() -> f64 {
    clocks::whole_s()
}

/// Milliseconds since some fixed moment, right to a few of them, for a few nanoseconds a reading.
#[cfg(target_os = "linux")]
#[inline]
pub fn now_ms() -> u64 {
    use tierstore_core::cache::Suspended;
    static SUSPENDED: Suspended = Suspended::new();
    let coarse = clocks::coarse_ms();
    coarse + SUSPENDED.ms(coarse, clocks::suspended_ms)
}

#[cfg(not(target_os = "linux"))]
#[inline]
pub fn now_ms() -> u64 {
    (clocks::whole_s() * 1000.0) as u64
}

#[cfg(target_os = "linux")]
mod clocks {
    #[inline(always)]
    fn read(clock: libc::clockid_t) -> libc::timespec {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a live timespec; these clocks exist on every Linux that Rust supports (2.6.39 on).
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time
    }

    #[inline(always)]
    fn seconds(time: libc::timespec) -> f64 {
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9 // no `Duration`: a hit would feel its division
    }

    #[inline(always)]
    pub fn whole_s() -> f64 {
        seconds(read(libc::CLOCK_BOOTTIME))
    }

    pub fn suspended_ms() -> u64 {
        ((whole_s() - seconds(read(libc::CLOCK_MONOTONIC))) * 1000.0) as u64 // the cast saturates at 0
    }

    #[inline]
    pub fn coarse_ms() -> u64 {
        let time = read(libc::CLOCK_MONOTONIC_COARSE);
        time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
    }
}

#[cfg(not(target_os = "linux"))]
mod clocks {
    use std::sync::OnceLock;
    use std::time::Instant;

    #[inline]
    pub fn whole_s() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64()
    }
}
