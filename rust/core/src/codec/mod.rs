//! Records on the wire, bincode and MessagePack.
//!
//! | module | what it holds |
//! |---|---|
//! | `sum` | the checksums, and why these |
//! | `envelope` | the 32 bytes before every record |
//! | `sink` | where encoded bytes go |
//! | `read`, `write` | bincode `standard()`: varints, strings, bytes |
//! | `text` | UTF-8 to characters of one width |
//! | `shape` | what a field is, and how to step over one without building it |
//! | `once` | a slot that is filled once, by whichever thread comes first |
//! | `msgpack` | tokens of MessagePack, both ways |
//! | `instant` | days, seconds and microseconds of Python's calendar |
//!
//! Nothing here recurses with the depth of its input, and nothing allocates by a length that the input only claims.

pub mod envelope;
pub mod instant;
pub mod msgpack;
pub mod once;
pub mod read;
pub mod shape;
pub mod sink;
pub mod sum;
pub mod text;
pub mod write;
