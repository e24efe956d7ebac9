//! The core of tierstore: plain data and plain functions, no Python and no I/O.
//!
//! | module | what it holds |
//! |---|---|
//! | `cache` | the in-process cache: single-threaded shards and the wrapper that shares them |
//! | `codec` | records, their envelope, bincode and MessagePack |
//! | `clock` | vector clocks |
//! | `graph` | what depends on what, and its drawings |
//! | `json` | the strict JSON scanner that names the place of a fault |
//! | `proto` | imports of protobuf sources |
//! | `route` | digests and size routing |
//! | `score` | what a search hit is, and its score |
//! | `semver` | versions, their order and their order-preserving key |
//! | `room` | memory whose size a value decides |
//! | `uuid` | identifiers that sort by time |
//! | `error` | the one error type of all of them |

pub mod cache;
pub mod clock;
pub mod codec;
pub mod error;
pub mod graph;
pub mod json;
pub mod proto;
pub mod room;
pub mod route;
pub mod score;
pub mod semver;
pub mod uuid;
