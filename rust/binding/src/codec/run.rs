//! A counted run of items in a record's bytes.
//!
//! Where an item starts is known once those before it were stepped over. That is done as far as somebody asks, once, and what was
//! stepped over is checked before anything of it is handed out: a wrong length would lead to bytes that were never an item.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tierstore_core::codec::envelope::verify;
use tierstore_core::codec::read::Reader;
use tierstore_core::error::Result;
use tierstore_core::room::room;

use super::shape::Compiled;

pub struct Run {
    owner: Py<PyBytes>,
    count: usize,
    /// Where the first item starts, and where the bytes that hold the run end.
    first: usize,
    end: usize,
    steps: Mutex<Steps>,
}

/// How far a run was stepped over. No Python code runs while it is locked.
struct Steps {
    /// Item i lies from `starts[i]` on.
    starts: Vec<u32>,
    /// Where the first item that was not stepped over starts.
    next: usize,
    /// Up to where the buffer is known to be sound: see `envelope::verify`.
    sound: usize,
}

impl Steps {
    /// Step over the next item. The piece that it starts in is checked first: then its bytes are near, too.
    #[inline]
    fn step(&mut self, bytes: &[u8], end: usize, item: &[&Compiled]) -> Result<usize> {
        let start = self.next;
        if start >= self.sound {
            self.sound = verify(bytes, self.sound, start + 1)?;
        }
        let mut reader = Reader::new(&bytes[..end], start);
        for shape in item {
            shape.skip(&mut reader)?;
        }
        self.next = reader.position();
        self.starts.push(start as u32);
        Ok(start)
    }

    /// Check the bytes up to the end of item `at`, or of all that was stepped over.
    fn vouch(&mut self, bytes: &[u8], at: Option<usize>) -> Result<()> {
        let until = at.and_then(|at| self.starts.get(at + 1)).map_or(self.next, |start| *start as usize);
        if until > self.sound {
            self.sound = verify(bytes, self.sound, until)?;
        }
        Ok(())
    }
}

impl Run {
    /// The run before whose count `reader` stands; the reader stays behind the count.
    pub fn begin(reader: &mut Reader<'_>, owner: &Bound<'_, PyBytes>, item: &[&Compiled], sound: u32) -> Result<Self> {
        let count = reader.count(item.iter().map(|shape| shape.least()).sum())?;
        let (first, end) = (reader.position(), reader.position() + reader.remaining());
        let steps = Steps { starts: room(count)?, next: first, sound: sound as usize };
        Ok(Self { owner: owner.clone().unbind(), count, first, end, steps: Mutex::new(steps) })
    }

    /// The same, for a run whose bytes somebody else checks: `reader` steps over it.
    pub fn take(reader: &mut Reader<'_>, owner: &Bound<'_, PyBytes>, item: &[&Compiled]) -> Result<Self> {
        let run = Self::begin(reader, owner, item, u32::MAX)?;
        let mut steps = run.lock();
        for _ in 0..run.count {
            steps.starts.push(reader.position() as u32);
            for shape in item {
                shape.skip(reader)?;
            }
        }
        steps.next = reader.position();
        drop(steps);
        Ok(run)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn owner<'py>(&self, py: Python<'py>) -> &Bound<'py, PyBytes> {
        self.owner.bind(py)
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        self.owner.bind(py).as_bytes()
    }

    fn reader<'a>(&self, bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader::new(&bytes[..self.end], at)
    }

    /// A reader before item `at`, which MUST be below `len()`.
    pub fn item<'a>(&'a self, py: Python<'a>, item: &[&Compiled], at: usize) -> Result<Reader<'a>> {
        let bytes = self.bytes(py);
        let mut steps = self.lock();
        while steps.starts.len() <= at {
            steps.step(bytes, self.end, item)?;
        }
        steps.vouch(bytes, Some(at))?;
        Ok(self.reader(bytes, steps.starts[at] as usize))
    }

    /// A reader before the first of all items, which are sound.
    pub fn whole<'a>(&'a self, py: Python<'a>, item: &[&Compiled]) -> Result<Reader<'a>> {
        let bytes = self.bytes(py);
        let mut steps = self.lock();
        while steps.starts.len() < self.count {
            steps.step(bytes, self.end, item)?;
        }
        steps.vouch(bytes, None)?;
        Ok(self.reader(bytes, self.first))
    }

    /// A reader behind `probe` in the first item that starts with it.
    pub fn find<'a>(&'a self, py: Python<'a>, item: &[&Compiled], probe: &[u8]) -> Result<Option<Reader<'a>>> {
        let bytes = self.bytes(py);
        let mut steps = self.lock();
        // Keys differ at their ends more often than at their starts.
        let tail = probe.last_chunk::<8>();
        let is_here = |start: usize| match (bytes[start..self.end].get(..probe.len()), tail) {
            (Some(own), Some(_)) => own.last_chunk::<8>() == tail && own == probe,
            (Some(own), None) => own == probe,
            (None, _) => false,
        };
        let mut found = steps.starts.iter().position(|start| is_here(*start as usize));
        while found.is_none() && steps.starts.len() < self.count {
            if is_here(steps.step(bytes, self.end, item)?) {
                found = Some(steps.starts.len() - 1);
            }
        }
        steps.vouch(bytes, found)?;
        Ok(found.map(|at| self.reader(bytes, steps.starts[at] as usize + probe.len())))
    }
}
