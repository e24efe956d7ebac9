//! What a search hit is, and its score: one function for both database engines (docs/design/score.md).

mod extent;
pub mod index;
mod query;
mod similarity;
mod tables;
mod trigram;
mod unicode;

pub use query::{Query, Scratch, Tier};
pub use similarity::{Similarity, word_similarity};
pub use trigram::shown as trigrams;
