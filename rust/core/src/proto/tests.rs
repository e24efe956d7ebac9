use super::*;

fn paths(source: &str) -> Vec<String> {
    let file = parse_strict(source.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    file.imports.iter().map(|import| String::from_utf8_lossy(&import.path).into_owned()).collect()
}

fn refusal(source: &str) -> String {
    parse_strict(source.as_bytes()).unwrap_err().to_string()
}

#[test]
fn imports_stand_outside_of_braces() {
    assert_eq!(
        paths("import \"a\"; message M { optional string import = 1; } /* import \"b\"; */ import 'c' \"d\";"),
        ["a", "cd"]
    );
}

#[test]
fn the_first_fault_is_named() {
    assert_eq!(refusal("import x; }"), "Expected a string naming the file to import. (line 1, column 8)");
    assert_eq!(refusal("\tmessage"), "Expected message name. (line 1, column 16)");
    assert_eq!(refusal("/* x\n"), "End-of-file inside block comment. (line 2, column 1)");
}

#[test]
fn names_and_paths_are_borrowed_where_they_can_be() {
    let file = parse(b"package a.b; import \"c\";").unwrap();
    assert!(matches!(file.package, Cow::Borrowed("a.b")));
    assert!(matches!(file.imports[0].path, Cow::Borrowed(b"c")));
    assert_eq!(parse(b"package a . b;").unwrap().package, "a.b");
}

/// Random sequences of whole tokens and of torn ones: never a panic, and what the grammar accepts reads the same when long
/// blocks are skipped.
#[test]
fn any_bytes_are_answered() {
    const PIECES: &[&str] = &[
        "syntax",
        "edition",
        "=",
        "\"proto3\"",
        "\"2024\"",
        ";",
        "import",
        "public",
        "weak",
        "option",
        "\"a\"",
        "'b'",
        "package",
        "a.b",
        "message",
        "M",
        "{",
        "}",
        "enum",
        "service",
        "rpc",
        "(",
        ")",
        "returns",
        "stream",
        "extend",
        "oneof",
        "group",
        "map",
        "<",
        ">",
        ",",
        "[",
        "]",
        "default",
        "json_name",
        "reserved",
        "extensions",
        "to",
        "max",
        "1",
        "-",
        "0x",
        "1.5",
        ".5",
        "1e",
        "optional",
        "repeated",
        "string",
        "int32",
        "G",
        " ",
        "\n",
        "\t",
        "//",
        "/*",
        "*/",
        "\"",
        "'",
        "\\",
        "\\u12",
        "\0",
        "\u{1}",
        "é",
        "/",
        "\u{feff}",
    ];
    let mut state = 1u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for _ in 0..100_000 {
        let mut source = Vec::new();
        for _ in 0..random(30) {
            source.extend(PIECES[random(PIECES.len())].bytes());
            if random(3) > 0 {
                source.push(b' ');
            }
        }
        source.truncate(source.len() - random(3).min(source.len()));
        if let Ok(file) = parse_strict(&source) {
            assert_eq!(parse(&source), Ok(file));
        } else {
            let _ = parse(&source);
        }
    }
}

/// Sources that grow in one way each, sound ones and others.
const GROWING: [(&str, &str, &str); 20] = [
    ("", "import \"a.proto\";", ""),
    ("", "import\t'a.proto'\r;", ""),
    ("", " ", "import \"a.proto\";"),
    ("", "\t", "import \"a.proto\";"),
    ("", "\r", "import \"a.proto\";"),
    ("", ";", ""),
    ("", "//\n", ""),
    ("", "/**/", ""),
    ("", "/*/", ""),
    ("import ", "'a'", ";"),
    ("import '", "\\x41", "';"),
    ("package a", ".a", ";"),
    ("", "option a = 'b';", ""),
    ("option a", ".a", " = 'b';"),
    ("option a = '", "b", "'\n;"),
    ("", "message A {", ""),
    ("", "message A { }", ""),
    ("message A {", "optional group A = 1 {", ""),
    ("message A {", "}", ""),
    ("enum A {", "a = 1;", "}"),
];

#[test]
fn the_work_grows_with_the_source_and_no_faster() {
    for (before, piece, after) in GROWING {
        let work = |count: usize| {
            let source = format!("{before}{}{after}", piece.repeat(count));
            let work = work::of(|| drop(parse(source.as_bytes())));
            assert!(work <= 8 * source.len() + 1_000, "{piece:?}: {work} for {}", source.len());
            work
        };
        let (small, large) = (work(4_000), work(16_000));
        assert!(large <= 4 * small + 1_000, "{piece:?}: {small}, then {large}");
    }
}
