//! MessagePack (github.com/msgpack/msgpack, spec of 2017): tokens in, tokens out.
//!
//! A value is a run of tokens; who builds something of them keeps the open arrays and maps in a list of its own, so that depth
//! costs no stack. Written is always the shortest form, and a float is never written as an integer.

mod read;
mod timestamp;
mod write;

pub use read::{Splitter, Token, Tokens, skip};
pub use timestamp::Timestamp;
pub use write::*;

/// Arrays and maps inside one another, unless the caller says otherwise.
pub const MAX_DEPTH: usize = 512;
/// The extension type of timestamps.
pub const TIMESTAMP: i8 = -1;
