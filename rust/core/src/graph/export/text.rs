//! Names in the quoting of each format.

use std::fmt::Write;

/// A name as people see it: what has no picture, or would change the direction of the text around it, is shown as `\u{…}`.
pub fn shown(name: &str) -> String {
    if name.is_empty() {
        return "\"\"".into();
    }
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        if is_unseen(letter) { text.extend(letter.escape_unicode()) } else { text.push(letter) }
    }
    text
}

fn is_unseen(letter: char) -> bool {
    let is_noncharacter = letter as u32 & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&letter);
    letter.is_control()
        || is_noncharacter
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How many columns of a fixed-width font the letter takes: about, since fonts differ beyond Latin.
pub fn columns(letter: char) -> usize {
    match letter as u32 {
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x610..=0x61a
        | 0x64b..=0x65f
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// A JSON string, which may stand in HTML and in YAML too: what means something there is escaped.
pub fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '<'
            | '>'
            | '&'
            | '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                _ = write!(out, "\\u{:04x}", letter as u32);
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// Text between tags or in an attribute.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A quoted string of DOT that Graphviz shows as it is: it knows escapes and entities. `\n` is written by the caller.
pub fn push_dot(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            _ => out.push(letter),
        }
    }
}

/// The inside of a quoted label of Mermaid. Its lexer has no escapes but codes, and reads labels as Markdown and HTML afterwards: so
/// every sign is a code that means something to one of them.
pub fn push_mermaid(out: &mut String, text: &str) {
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_inner = before.is_alphanumeric() && letters.peek().is_some_and(|next| next.is_alphanumeric());
        let is_plain = match letter {
            '_' | '-' | '@' | ':' => is_inner && letter != ':',
            '.' => is_inner && !before.is_numeric(),
            ' ' | '/' => is_inner,
            _ => letter.is_alphanumeric(),
        };
        if is_plain {
            out.push(letter);
        } else {
            _ = write!(out, "#{};", letter as u32);
        }
        before = letter;
    }
}
