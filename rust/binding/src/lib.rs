//! `tierstore._native`: frozen classes over the core, one file per core module, no logic of its own.

use pyo3::prelude::*;

mod buffer;
mod cache;
mod clock;
mod codec;
mod errors;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod exit;
mod forks;
mod graph;
mod guard;
mod items;
mod json;
mod proto;
mod reply;
mod room;
mod route;
mod score;
mod semver;
mod uuid;

#[pymodule(gil_used = false)]
mod _native {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
        forks::watch();
        cache::register(module)?;
        clock::register(module)?;
        codec::register(module)?;
        graph::register(module)?;
        json::register(module)?;
        proto::register(module)?;
        reply::register(module)?;
        route::register(module)?;
        score::register(module)?;
        semver::register(module)?;
        uuid::register(module)
    }
}
