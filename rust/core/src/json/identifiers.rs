//! The identifiers of a content: what a search looks into in place of the content itself.
//!
//! A trigram index over whole bodies costs more than the rows it serves; names are what people search for. So prose is
//! left out: comments of protobuf, strings of JSON that contain a blank. The input may be anything.

use std::collections::HashSet;

/// The distinct identifiers of `content`, in lower case, in the order they are first seen, parted by spaces, together at
/// most `limit` bytes; one that would not fit ends the text.
///
/// An identifier is a run of letters, digits and `_ . - $` with a letter or `_` in it, without the dots and dashes at
/// its ends. Of `protobuf` those outside comments count; of `json`, `jsonschema` and `avro` those in names and in
/// strings without a blank; of any other type all of them.
pub fn search_text(schema_type: &str, content: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(content);
    let mut found = Found { seen: HashSet::new(), text: String::new(), limit, full: false };
    match schema_type {
        "json" | "jsonschema" | "avro" => json_strings(&text, &mut found),
        "protobuf" => outside_comments(&text, &mut found),
        _ => found.add_all(&text),
    }
    found.text
}

struct Found {
    seen: HashSet<String>,
    text: String,
    limit: usize,
    full: bool,
}

impl Found {
    fn add_all(&mut self, text: &str) {
        for run in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '$'))) {
            let name = run.trim_matches(['.', '-']);
            if name.contains(|c: char| c.is_alphabetic() || c == '_') {
                self.add(name);
            }
            if self.full {
                return;
            }
        }
    }

    fn add(&mut self, name: &str) {
        let name = name.to_lowercase();
        if self.seen.contains(&name) {
            return;
        }
        let gap = usize::from(!self.text.is_empty());
        if self.text.len() + gap + name.len() > self.limit {
            self.full = true;
            return;
        }
        if gap == 1 {
            self.text.push(' ');
        }
        self.text.push_str(&name);
        self.seen.insert(name);
    }
}

/// What stands between double quotes: names whole, values only where they are one word.
fn json_strings(text: &str, found: &mut Found) {
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let (string, after) = unquote(&rest[open + 1..]);
        let is_name = after.trim_start().starts_with(':');
        if is_name || !string.contains(char::is_whitespace) {
            found.add_all(&string);
        }
        if found.full {
            return;
        }
        rest = after;
    }
}

/// A string up to its closing quote, escapes as blanks or as the character they stand for, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut string = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        string.push_str(&rest[..at]);
        let mut after = rest[at..].chars();
        let mark = after.next();
        rest = after.as_str();
        if mark == Some('"') {
            return (string, rest);
        }
        rest = unescape(rest, &mut string);
    }
    string.push_str(rest);
    (string, "")
}

fn unescape<'a>(rest: &'a str, string: &mut String) -> &'a str {
    let mut after = rest.chars();
    match after.next() {
        Some('u') => {
            let unit = rest.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            string.push(unit.and_then(char::from_u32).unwrap_or(' '));
            return if unit.is_some() { &rest[5..] } else { after.as_str() };
        }
        Some(literal @ ('"' | '\\' | '/')) => string.push(literal),
        _ => string.push(' '),
    }
    after.as_str()
}

/// Code and strings, but neither `//` to the end of its line nor `/*` to `*/`.
fn outside_comments(text: &str, found: &mut Found) {
    let mut rest = text;
    while !rest.is_empty() && !found.full {
        let code = rest.find(['"', '\'', '/']).unwrap_or(rest.len());
        found.add_all(&rest[..code]);
        rest = &rest[code..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else if let Some(quote) = rest.chars().next().filter(|&c| c != '/') {
            let end = rest[1..].find([quote, '\n']).map_or(rest.len(), |end| end + 2);
            found.add_all(&rest[..end]);
            end
        } else {
            rest.len().min(1)
        };
        rest = &rest[skipped..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_without_its_comments() {
        let source = b"// Prose here\nsyntax = \"proto3\";\n/* more */ package Acme.Orders;\nimport \"google/api/http.proto\";\n\
            message OrderLine { string order_id = 1; OrderLine next = 2; } // \"end\n";
        let expected =
            "syntax proto3 package acme.orders import google api http.proto message orderline string order_id next";
        assert_eq!(search_text("protobuf", source, 4096), expected);
    }

    #[test]
    fn json_names_and_one_word_values() {
        let source =
            br##"{"$schema": "https://json-schema.org/x", "title": "All the orders", "Order-Id": {"type": "string"},
            "two words": "\u00c9t\u00e9\n", "n": 12, "ref": "#\/defs\/Line"}"##;
        let expected = "$schema https json-schema.org x title order-id type string two words n ref defs line";
        assert_eq!(search_text("jsonschema", source, 4096), expected);
        assert_eq!(search_text("json", br#""\u00c9t\u00e9""#, 4096), "été");
    }

    #[test]
    fn the_limit_is_in_bytes_and_cuts_between_names() {
        assert_eq!(search_text("other", b"alpha beta gamma", 10), "alpha beta");
        assert_eq!(search_text("other", b"alpha beta gamma", 9), "alpha");
        assert_eq!(search_text("other", b"alpha", 0), "");
    }

    #[test]
    fn any_bytes_are_answered() {
        let alphabet: &[&[u8]] = &[
            b"\"",
            b"\\",
            b"\\u00",
            b"e9",
            b"'",
            b"/",
            b"/*",
            b"*/",
            b"\n",
            b" ",
            b"a",
            b"B.",
            b"\xff",
            b"\xc3\xa9",
            b":",
            b"-",
        ];
        let mut state = 3u64;
        for _ in 0..50_000 {
            let mut source = Vec::new();
            for _ in 0..state % 16 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                source.extend(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11) >> 1;
            for kind in ["json", "protobuf", "other"] {
                assert!(search_text(kind, &source, 20).len() <= 20);
            }
        }
    }
}
