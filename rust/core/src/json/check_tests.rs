use super::*;

fn fault_of(source: &[u8]) -> (String, u32, u32) {
    let error = check(source, MAX_DEPTH).unwrap_err();
    match error.place {
        Some(Place::Text { line, column }) => (error.message, line, column),
        other => panic!("no line and column: {other:?}"),
    }
}

#[test]
fn json_texts() {
    for text in [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-1.5e+10",
        "1E400",
        "\"\"",
        "[]",
        "{}",
        "[[],{}]",
        "{\"a\":1,\"a\":2}",
        "\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\ud83d\\ude00\"",
        "\"é😀\u{7f}\"",
        "[1,\n2]\r\n\t",
        "\"\\u0000\"",
    ] {
        assert_eq!(check(text.as_bytes(), MAX_DEPTH), Ok(()), "{text}");
    }
}

#[test]
fn what_is_not_json() {
    for text in [
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1]",
        "[1}",
        "nul",
        "nulll",
        "tru",
        "True",
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "01",
        "-01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "--1",
        "0x1",
        "1 2",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"a\nb\"",
        "\"\u{0}\"",
        "\u{feff}1",
        "// c\n1",
        "1 // c",
        "[1]\u{0}",
        "\u{a0}1",
    ] {
        assert!(check(text.as_bytes(), MAX_DEPTH).is_err(), "{text:?}");
    }
}

#[test]
fn the_place_is_a_line_and_a_code_point() {
    assert_eq!(fault_of("{\n  \"é😀\": nul\n}".as_bytes()), ("not JSON: expected null".into(), 2, 9));
    assert_eq!(fault_of(b"[1,\n2").1, 2);
    assert_eq!(fault_of(b"").1, 1);
    assert_eq!(fault_of(b"\"ab\xffc\""), ("not JSON: the text is not UTF-8".into(), 1, 4));
    assert_eq!(fault_of(b"\"\xc3\xa9\xc3\""), ("not JSON: the text is not UTF-8".into(), 1, 3));
    assert_eq!(fault_of(b"\xff"), ("not JSON: the text is not UTF-8".into(), 1, 1));
    assert_eq!(fault_of(b"\"\xed\xa0\x80\"").1, 1);
}

#[test]
fn depth_has_a_limit_and_no_stack() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(check(&nested(MAX_DEPTH), MAX_DEPTH), Ok(()));
    assert!(fault_of(&nested(MAX_DEPTH + 1)).0.contains("at most 512 levels"));
    assert_eq!(check(&nested(1_000_000), usize::MAX), Ok(()));
    assert!(check(&b"{\"a\":".repeat(100_000), MAX_DEPTH).is_err());
    assert!(check(b"1", 0).is_ok() && check(b"[]", 0).is_err());
}

#[test]
fn any_bytes_are_answered() {
    let alphabet = b"{}[]\",:\\u0d8c1e+-.tfn \n\x80\xc3\xa9\xff\xf0\x9f";
    let mut state = 7u64;
    for _ in 0..200_000 {
        let source: Vec<u8> = (0..state as usize % 24)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11) >> 1;
        let ours = check(&source, MAX_DEPTH).is_ok();
        assert!(!ours || std::str::from_utf8(&source).is_ok());
    }
}
