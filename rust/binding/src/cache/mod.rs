//! `Cache`: the core's shard behind the interpreter's lock (or its own, where there is none).
//!
//! | file | what it holds |
//! |---|---|
//! | `cell` | who may touch the shard, and when |
//! | `key` | hashing and comparing keys; when Python must be asked |
//! | `clock` | the time, suspension included: exact, and coarse |
//! | `life` | reading ttl, tti, weight and tags |
//! | `class` | the class, as Python sees it |
//! | `work` | what its methods are made of |
//! | `fast` | the short way in for the most usual calls |
//! | `hits`, `owner_loop` | a hit of the first tier: its time, its freshness, and where it may be asked for |
//! | `iterate` | walking over the keys |
//! | `stats`, `ticket` | the small classes that it answers with |

use pyo3::prelude::*;

mod cell;
mod class;
mod clock;
mod fast;
mod hits;
mod iterate;
mod key;
mod life;
mod owner_loop;
mod stats;
mod ticket;
mod work;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    fast::install(&module.py().get_type::<class::Cache>())?;
    hits::register(module)?;
    module.add_function(wrap_pyfunction!(clock::uptime, module)?)?;
    module.add_class::<class::Cache>()?;
    module.add_class::<iterate::CacheIterator>()?;
    module.add_class::<stats::CacheStats>()?;
    module.add_class::<ticket::FillTicket>()
}
