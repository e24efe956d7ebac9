//! A pointer that is set once and read by many.
//!
//! Two threads may build the same lazy value; the first to offer it wins and the other takes the winner's. No lock: a builder may run
//! Python code, and no Python code runs under a lock.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Null until the first `offer`. It owns nothing: the owner of the slot frees what it holds.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct OnceSlot<T>(AtomicPtr<T>);

impl<T> OnceSlot<T> {
    pub const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// What is there. Acquire: all that the offering thread wrote before is seen.
    #[inline]
    pub fn get(&self) -> Option<NonNull<T>> {
        NonNull::new(self.0.load(Ordering::Acquire))
    }

    /// Put `value` there unless another was first: then that one comes back as the error.
    #[inline]
    pub fn offer(&self, value: NonNull<T>) -> Result<(), NonNull<T>> {
        match self.0.compare_exchange(ptr::null_mut(), value.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(winner) => match NonNull::new(winner) {
                Some(winner) => Err(winner),
                None => Ok(()),
            },
        }
    }

    /// As `offer`, for a caller who knows that no other thread offers meanwhile (it holds the GIL): a locked instruction less.
    #[inline]
    pub fn offer_alone(&self, value: NonNull<T>) -> Result<(), NonNull<T>> {
        match self.get() {
            Some(winner) => Err(winner),
            None => {
                self.0.store(value.as_ptr(), Ordering::Release);
                Ok(())
            }
        }
    }

    /// As `take`, for a caller whom no other thread can disturb.
    #[inline]
    pub fn take_alone(&self) -> Option<NonNull<T>> {
        let value = self.get();
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
        value
    }

    /// Empty the slot, for its owner to free what was there.
    #[inline]
    pub fn take(&self) -> Option<NonNull<T>> {
        NonNull::new(self.0.swap(ptr::null_mut(), Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn all_threads_see_one_value_and_losers_keep_theirs() {
        for _ in 0..500 {
            let slot = OnceSlot::<[usize; 4]>::empty();
            let (barrier, won) = (Barrier::new(4), AtomicUsize::new(0));
            let seen: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4usize)
                    .map(|id| {
                        let (slot, barrier, won) = (&slot, &barrier, &won);
                        scope.spawn(move || read_once(slot, barrier, won, id))
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(won.load(Ordering::Relaxed), 1);
            assert!(seen.iter().all(|id| *id == seen[0]));
            // SAFETY: the slot owns the winner's box and no thread is left.
            drop(slot.take().map(|value| unsafe { Box::from_raw(value.as_ptr()) }));
        }
    }

    fn read_once(slot: &OnceSlot<[usize; 4]>, barrier: &Barrier, won: &AtomicUsize, id: usize) -> usize {
        barrier.wait();
        let mine = NonNull::from(Box::leak(Box::new([id; 4])));
        let value = match slot.offer(mine) {
            Ok(()) => {
                won.fetch_add(1, Ordering::Relaxed);
                mine
            }
            Err(winner) => {
                // SAFETY: the slot refused it, so this thread still owns it.
                drop(unsafe { Box::from_raw(mine.as_ptr()) });
                winner
            }
        };
        // SAFETY: the winner's value lives until the scope has ended.
        let value = unsafe { value.as_ref() };
        assert!(value.iter().all(|part| *part == value[0]));
        value[0]
    }
}
