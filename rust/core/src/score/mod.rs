//! What a search hit is, and its score: one function for both database engines (docs/design/score.md).

mod extent;
pub mod index;
mod query;
mod similarity;
mod tables;
mod trigram;
mod unicode;

pub use query::{Grade, Query, Scratch};
pub use similarity::{Similarity, word_similarity};
pub use trigram::shown as trigrams;
