use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use tierstore_core::error::{Error, Place as ErrorPlace};
use tierstore_core::score::index::{Entry, Index, Place, Proposed};
use tierstore_core::score::{self, Grade, Query, Scratch};
use tierstore_core::uuid;

use crate::errors::to_py;
use crate::items::{Items, list_of};

type Row = (PyBackedStr, PyBackedStr, PyBackedStr);
/// Id, subject, the version's three parts, prerelease_key, description, search text.
type IndexedRow = (PyBackedStr, PyBackedStr, u32, u32, u32, PyBackedBytes, PyBackedStr, PyBackedStr);
/// Subject, the version's three parts, prerelease_key.
type Key = (PyBackedStr, u32, u32, u32, PyBackedBytes);

/// Rows that are added before readers are let in again: some two milliseconds.
const ADDED_AT_ONCE: usize = 256;
/// How often a writer comes back before it waits in line.
const PATIENCE: usize = 2_000;

/// How well a row matches a search text, from 0 to 1; None if a word of it is not found (docs/design/score.md).
#[pyfunction(name = "score")]
#[pyo3(signature = (query, subject, description, text, /))]
fn score_one(query: &str, subject: &str, description: &str, text: &str) -> Option<f64> {
    Query::new(query).score(&mut Scratch::default(), subject, description, text)
}

/// `score` of each (subject, description, text), detached from the interpreter.
#[pyfunction]
#[pyo3(signature = (query, rows, /))]
fn score_many(py: Python<'_>, query: &str, rows: Items<Row>) -> Vec<Option<f64>> {
    py.detach(|| {
        let query = Query::new(query);
        let mut scratch = Scratch::default();
        rows.0
            .iter()
            .map(|(subject, description, text)| query.score(&mut scratch, subject, description, text))
            .collect()
    })
}

/// The grade (0: in the subject, 1: anywhere, 2: similar) and the score of each row that is a hit, None for others.
#[pyfunction]
#[pyo3(signature = (query, rows, /))]
fn rank_many<'py>(py: Python<'py>, query: &str, rows: Items<Row>) -> PyResult<Bound<'py, PyAny>> {
    let ranks: Vec<_> = py.detach(|| {
        let (query, mut scratch) = (Query::new(query), Scratch::default());
        let fields = rows.0.iter().map(|(subject, description, text)| [&**subject, description, text]);
        fields.map(|fields| ranked(&query, &mut scratch, fields)).collect()
    });
    list_of(py, ranks)
}

fn ranked(query: &Query, scratch: &mut Scratch, [subject, description, text]: [&str; 3]) -> Option<(u8, f64)> {
    let score = query.score(scratch, subject, description, text)?;
    Some((query.grade(scratch, subject, description, text) as u8, score))
}

/// The trigrams of `text` as pg_trgm's show_trgm gives them.
#[pyfunction]
#[pyo3(signature = (text, /))]
fn trigrams(text: &str) -> Vec<String> {
    score::trigrams(text)
}

/// pg_trgm's word_similarity, equal to the last bit of its float4.
#[pyfunction]
#[pyo3(signature = (word, text, /))]
fn word_similarity(word: &str, text: &str) -> f32 {
    score::word_similarity(word, text).value()
}

/// What a search looks into, in memory: proposes a superset of a grade's hits. Detached from the interpreter; for any thread.
#[pyclass(frozen, module = "tierstore._native")]
struct SearchIndex {
    index: RwLock<Index>,
}

#[pymethods]
impl SearchIndex {
    #[new]
    fn new() -> Self {
        Self { index: RwLock::default() }
    }

    /// Add rows; those that are known are passed over. InvalidKeyError for an id that is not a UUID.
    #[pyo3(signature = (rows, /))]
    fn add(&self, py: Python<'_>, rows: Items<IndexedRow>) -> PyResult<()> {
        let entries = entries(&rows.0)?;
        py.detach(|| {
            let mut rest = entries.into_iter().peekable();
            while rest.peek().is_some() {
                self.write().add(rest.by_ref().take(ADDED_AT_ONCE));
            }
        });
        Ok(())
    }

    /// `add` of a few rows, unless somebody reads at the moment: then False.
    #[pyo3(signature = (rows, /))]
    fn try_add(&self, py: Python<'_>, rows: Items<IndexedRow>) -> PyResult<bool> {
        let entries = entries(&rows.0)?;
        Ok(py.detach(|| self.try_write().map(|mut index| index.add(entries)).is_some()))
    }

    /// At most `limit` rows of a grade behind the key `after`, in the order of keys, every hit of the grade before the
    /// last of them among them. ValidationError for a text that cannot be looked for here (`can_search`).
    #[pyo3(signature = (text, grade, after, limit, /))]
    fn propose(&self, py: Python<'_>, text: &str, grade: u8, after: Key, limit: usize) -> PyResult<Proposal> {
        let grade = match grade {
            0 => Grade::Subject,
            1 => Grade::Anywhere,
            _ => Grade::Similar,
        };
        let (subject, major, minor, patch, prerelease_key) = &after;
        let after = Place::new(subject, [*major, *minor, *patch], prerelease_key);
        let rows = py.detach(|| self.read().propose(text, grade, &after, limit));
        let refused = || {
            to_py(
                &Error::invalid("the index cannot look for a text without words, or with a word of signs only")
                    .at(ErrorPlace::Name("text".into())),
            )
        };
        Ok(Proposal { rows: rows.ok_or_else(refused)? })
    }

    /// Whether `propose` can look for the text.
    #[staticmethod]
    #[pyo3(signature = (text, /))]
    fn can_search(text: &str) -> bool {
        Index::can_search(text)
    }

    /// About how much memory it takes.
    #[getter]
    fn bytes(&self) -> usize {
        self.read().bytes()
    }

    fn __len__(&self) -> usize {
        self.read().len()
    }
}

impl SearchIndex {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_write(&self) -> Option<RwLockWriteGuard<'_, Index>> {
        match self.index.try_write() {
            Ok(index) => Some(index),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A writer that waits in line keeps readers out for as long as one of them still reads, tens of milliseconds; so it comes back
    /// for a while instead.
    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        for _ in 0..PATIENCE {
            if let Some(index) = self.try_write() {
                return index;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entries(rows: &[IndexedRow]) -> PyResult<Vec<Entry<'_>>> {
    let entries: Option<Vec<Entry<'_>>> = rows.iter().map(entry).collect();
    entries.ok_or_else(|| {
        to_py(
            &Error::invalid("an id is not a UUID; expected 32 hexadecimal digits, as in 018f4e2a-…")
                .at(ErrorPlace::Name("id".into())),
        )
    })
}

fn entry(row: &IndexedRow) -> Option<Entry<'_>> {
    let (id, subject, major, minor, patch, prerelease_key, description, text) = row;
    let place = Place::new(subject, [*major, *minor, *patch], prerelease_key);
    Some(Entry { id: uuid::parse(id)?, place, fields: [subject, description, text] })
}

/// Rows that may be hits, numbered from 0 in the order of their keys.
#[pyclass(frozen, module = "tierstore._native")]
struct Proposal {
    rows: Vec<Proposed>,
}

#[pymethods]
impl Proposal {
    #[getter]
    fn ids(&self) -> Vec<String> {
        self.rows.iter().map(|row| uuid::canonical_of(row.id)).collect()
    }

    /// Subject, the three parts of the version and prerelease_key of a row. IndexError where there is none.
    #[pyo3(signature = (number, /))]
    fn key<'py>(&self, py: Python<'py>, number: usize) -> PyResult<(String, u32, u32, u32, Bound<'py, PyBytes>)> {
        let row = self
            .rows
            .get(number)
            .ok_or_else(|| pyo3::exceptions::PyIndexError::new_err("the proposal has no row of this number"))?;
        let [major, minor, patch] = row.place.version();
        Ok((row.place.subject().to_owned(), major, minor, patch, PyBytes::new(py, &row.place.prerelease_key())))
    }

    /// `rank_many` of rows given as (number, description, search text).
    #[pyo3(signature = (query, rows, /))]
    fn rank<'py>(
        &self,
        py: Python<'py>,
        query: &str,
        rows: Items<(usize, PyBackedStr, PyBackedStr)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ranks: Vec<_> = py.detach(|| {
            let (query, mut scratch) = (Query::new(query), Scratch::default());
            let subject = |number: usize| self.rows.get(number).map(|row| row.place.subject());
            let fields = rows.0.iter().map(|(number, description, text)| Some([subject(*number)?, description, text]));
            fields.map(|fields| ranked(&query, &mut scratch, fields?)).collect()
        });
        list_of(py, ranks)
    }

    fn __len__(&self) -> usize {
        self.rows.len()
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SearchIndex>()?;
    module.add_class::<Proposal>()?;
    module.add_function(wrap_pyfunction!(score_one, module)?)?;
    module.add_function(wrap_pyfunction!(score_many, module)?)?;
    module.add_function(wrap_pyfunction!(rank_many, module)?)?;
    module.add_function(wrap_pyfunction!(trigrams, module)?)?;
    module.add_function(wrap_pyfunction!(word_similarity, module)?)
}
