//! Records, bincode and MessagePack for Python.
//!
//! | file | what it holds |
//! |---|---|
//! | `layout` | what a record class is: its fields in wire order, compiled once |
//! | `shape` | from the tuples of `tierstore.layout` to the core's shapes |
//! | `object` | the record itself: its memory, its life and death |
//! | `construct` | a record from values |
//! | `pool` | the memory of dead records, for the next ones |
//! | `field` | the descriptor that builds a field when it is first read |
//! | `attribute` | the look-up of fields by name |
//! | `read`, `write`, `scalar` | Python values from bincode and back |
//! | `many` | lists and dicts to bincode |
//! | `lent` | items of lists and dicts on their way to bytes |
//! | `out` | bytes on their way to a bytes object |
//! | `intern` | str objects of short texts, kept for the next time |
//! | `lazy`, `run` | sequences and mappings whose items are built when asked for |
//! | `entry` | encode, decode and what they share |
//! | `twins` | two records of one reading |
//! | `msgpack`, `msgpack_write`, `bincode` | the two formats for plain values |

use pyo3::prelude::*;

mod attribute;
mod bincode;
mod construct;
mod entry;
mod field;
mod intern;
mod layout;
mod lazy;
mod lent;
mod many;
mod msgpack;
mod msgpack_read;
mod msgpack_write;
mod object;
mod out;
mod pool;
mod raw;
pub(crate) mod read;
mod run;
mod scalar;
mod shape;
mod twins;
mod write;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    object::register(module)?;
    field::register(module)?;
    scalar::register(module)?;
    layout::register(module)?;
    lazy::register(module)?;
    entry::register(module)?;
    twins::register(module)?;
    msgpack::register(module)?;
    bincode::register(module)
}
