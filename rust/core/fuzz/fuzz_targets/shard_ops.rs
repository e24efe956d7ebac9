//! Any sequence of operations on a cache shard agrees with the model, keeps the bounds and loses nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/shard_model/ops.rs"]
mod ops;

fuzz_target!(|data: &[u8]| ops::run(data));
