//! Any bytes into every decoder of the codec: nothing may panic, run away or take memory that the input does not justify.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tierstore_core::clock::Clock;
use tierstore_core::codec::envelope::{open, seal, verify};
use tierstore_core::codec::msgpack::{Splitter, Timestamp, Token, Tokens, skip};
use tierstore_core::codec::read::Reader;
use tierstore_core::codec::shape::{Int as Width, Shape};

/// Every shape there is, in one tuple.
fn shape() -> Shape<()> {
    use Shape::*;
    let pair = || (Str, Option(Box::new(Int(Width::I64))));
    Tuple(vec![
        Bool,
        Int(Width::U8),
        Int(Width::U32),
        Int(Width::I128),
        F32,
        F64,
        Char,
        Datetime,
        Date,
        Timedelta,
        Uuid,
        Decimal,
        Json,
        List(Box::new(List(Box::new(Char)))),
        Sequence(Arc::new(Record(()))),
        Dict(Box::new(pair())),
        Mapping(Arc::new(pair())),
        Enum((), Box::new(Str)),
        Union(vec![Struct((), vec![Str, View]), Struct((), vec![Bytes])]),
        Option(Box::new(Many(Box::new(Tuple(vec![Uuid, Bool]))))),
    ])
}

fuzz_target!(|data: &[u8]| {
    if open(data, 0).is_ok_and(|head| !head.checked) {
        let _ = verify(data, 0, usize::MAX);
    }
    let mut sealed = [vec![0; 32], data.to_vec()].concat();
    seal(&mut sealed, 1, 1, 1, data.len() / 2, 7).expect("shorter than 4 GiB");
    let head = open(&sealed, 7).expect("just sealed");
    if !head.checked {
        assert_eq!(verify(&sealed, 0, usize::MAX), Ok(usize::MAX));
    }

    let mut reader = Reader::new(data, 0);
    if shape().skip(&mut reader).is_ok() {
        assert!(reader.position() <= data.len());
    }
    if let Ok(clock) = Clock::from_bytes(data.to_vec()) {
        assert_eq!(clock.merge(&clock).unwrap().entries().count(), clock.len());
        assert_eq!(clock.compare(&clock).name(), "equal");
    }
    msgpack(data);
});

fn msgpack(data: &[u8]) {
    let mut tokens = Tokens::new(data);
    let whole = skip(&mut tokens).is_ok().then(|| tokens.position());
    if let Some(length) = whole {
        assert_eq!(Splitter::default().advance(data).ok().flatten(), Some(length));
    }
    let mut tokens = Tokens::new(data);
    while let Ok(token) = tokens.token() {
        if let Token::Ext(-1, data) = token {
            let _ = Timestamp::from_ext(data);
        }
    }
}
