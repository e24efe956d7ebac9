//! JSON without building anything: the strict check that names the place of a fault, and the identifiers to search by.

mod check;
mod identifiers;

pub use check::{MAX_DEPTH, check};
pub use identifiers::search_text;
