//! Any bytes as protobuf source: no panic, and what the whole grammar accepts reads the same when long blocks are skipped.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tierstore_core::proto::{parse, parse_strict};

fuzz_target!(|source: &[u8]| {
    let quick = parse(source);
    match parse_strict(source) {
        Ok(file) => assert_eq!(quick, Ok(file)),
        Err(error) => assert!(quick.is_ok() || quick == Err(error)),
    }
});
