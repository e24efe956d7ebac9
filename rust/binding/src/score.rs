use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use tierstore_core::score::{self, Query, Scratch};

type Row = (PyBackedStr, PyBackedStr, PyBackedStr);

/// How well a row matches a search text, from 0 to 1; None if a word of it is not found (docs/design/score.md).
#[pyfunction(name = "score")]
#[pyo3(signature = (query, subject, description, text, /))]
fn score_one(query: &str, subject: &str, description: &str, text: &str) -> Option<f64> {
    Query::new(query).score(&mut Scratch::default(), subject, description, text)
}

/// `score` of each (subject, description, text), detached from the interpreter.
#[pyfunction]
#[pyo3(signature = (query, rows, /))]
fn score_many(py: Python<'_>, query: &str, rows: Vec<Row>) -> Vec<Option<f64>> {
    py.detach(|| {
        let query = Query::new(query);
        let mut scratch = Scratch::default();
        rows.iter().map(|(subject, description, text)| query.score(&mut scratch, subject, description, text)).collect()
    })
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

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(score_one, module)?)?;
    module.add_function(wrap_pyfunction!(score_many, module)?)?;
    module.add_function(wrap_pyfunction!(trigrams, module)?)?;
    module.add_function(wrap_pyfunction!(word_similarity, module)?)
}
