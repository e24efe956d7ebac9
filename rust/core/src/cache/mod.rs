//! The in-process cache: a shard of it is plain `&mut` data, and locks are a wrapper round that. No clock and no foreign code.
//!
//! | module | what it holds |
//! |---|---|
//! | `table` | the index: hash to slot |
//! | `slab` | the entries, and the intrusive lists that run through them |
//! | `policy` | which entry leaves when the cache is full |
//! | `expiry` | which entry is due next |
//! | `tags` | which entries carry a tag |
//! | `fence` | whether a key was invalidated since a load of it began |
//! | `lifetime` | how long a loaded value lives, and when it is loaded anew |
//! | `terms` | the words in which a shard and its owner speak |
//! | `shard` | all of these together |
//! | `whole` | a change that panics half way |
//! | `sharded` | shards behind locks, for callers that run at the same time |
//! | `sync` | the atomics and locks of that |
//! | `suspended` | how long the machine was suspended, for a coarse clock |
//!
//! Whoever owns a shard decides when two keys are equal and drops what leaves it: both may run foreign code, so
//! `Shard::find` only asks (`Match`), and everything that leaves goes into a `Removed` that outlives the borrow.

mod expiry;
mod fence;
mod lifetime;
mod policy;
mod shard;
mod sharded;
mod slab;
mod suspended;
mod sync;
mod table;
mod tags;
mod terms;
mod whole;

pub use lifetime::{Lifetime, milliseconds};
pub use policy::Choice;
pub use shard::Shard;
pub use sharded::{Sharded, share};
pub use slab::Slot;
pub use suspended::Suspended;
pub use table::{Gap, mix};
pub use tags::tag_hash;
pub use terms::{Counters, Found, Gone, Life, Limits, Match, Reason, Removed};
