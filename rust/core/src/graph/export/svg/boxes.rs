//! A node's label: its whole name, in lines of at most WIDEST columns.

use crate::graph::export::text::{columns, shown};
use crate::graph::export::view::View;

const WIDEST: usize = 44;
/// Of a letter of 13 px in fonts of fixed width.
pub const LETTER: f64 = 7.8;
pub const LINE: f64 = 17.0;
const PADDING: (f64, f64) = (11.0, 6.0);

pub struct Label {
    pub lines: Vec<String>,
    /// "and 3 more".
    pub more: Option<String>,
    pub width: f64,
    pub height: f64,
}

impl Label {
    pub fn new(view: &View, node: usize) -> Self {
        let lines = wrapped(&shown(view.name(node)));
        let more = (view.more(node) > 0).then(|| format!("and {} more", view.more(node)));
        let widest = lines.iter().chain(&more).map(|line| width_of(line)).max().unwrap_or(0);
        let count = lines.len() + usize::from(more.is_some());
        let (width, height) = (widest as f64 * LETTER + 2.0 * PADDING.0, count as f64 * LINE + 2.0 * PADDING.1);
        Self { lines, more, width, height }
    }
}

pub fn width_of(line: &str) -> usize {
    line.chars().map(columns).sum()
}

/// Lines that end behind a sign where there is one in their second half.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    for letter in text.chars() {
        let last = lines.len() - 1;
        if width + columns(letter) > WIDEST {
            let line = &lines[last];
            let sign = line.rfind(|letter: char| !letter.is_alphanumeric());
            let sign = sign.map(|at| at + line[at..].chars().next().map_or(1, char::len_utf8));
            let end = sign.filter(|&end| 2 * end >= line.len()).unwrap_or(line.len());
            let rest = lines[last].split_off(end);
            width = width_of(&rest);
            lines.push(rest);
        }
        width += columns(letter);
        let last = lines.len() - 1;
        lines[last].push(letter);
    }
    lines
}
