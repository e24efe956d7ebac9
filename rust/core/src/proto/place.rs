//! Lines and columns as protoc prints them: both from 1, a column is a byte, a tab reaches to the next multiple of eight.

use super::work;

const TAB_WIDTH: u32 = 8;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// The position of the byte at `at`.
pub fn position(source: &[u8], at: usize) -> Position {
    Lines::default().position(source, at)
}

/// Counts lines and columns onward from the last place asked, so that any number of positions of one file cost one pass over it.
#[derive(Default)]
pub struct Lines {
    counted: usize,
    line: u32,
    column: u32,
}

impl Lines {
    /// The position of the byte at `at`, which lies at or behind the last one asked.
    pub fn position(&mut self, source: &[u8], at: usize) -> Position {
        let mut fresh = &source[self.counted..at];
        work::count(fresh.len());
        if let Some(last) = memchr::memrchr(b'\n', fresh) {
            self.line += memchr::memchr_iter(b'\n', &fresh[..=last]).count() as u32;
            self.column = 0;
            fresh = &fresh[last + 1..];
        }
        self.counted = at;
        self.column = fresh.iter().fold(self.column, |column, &byte| match byte {
            b'\t' => column.saturating_add(TAB_WIDTH - column % TAB_WIDTH),
            _ => column.saturating_add(1),
        });
        Position { line: self.line + 1, column: self.column.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_reach_to_the_next_eighth() {
        let source = b"a\n\tb\n  \tc\t\td";
        let at = |byte: u8| {
            let Position { line, column } = position(source, memchr::memchr(byte, source).unwrap());
            (line, column)
        };
        assert_eq!((at(b'a'), at(b'b'), at(b'c'), at(b'd')), ((1, 1), (2, 9), (3, 9), (3, 25)));
    }

    #[test]
    fn asking_onward_is_asking_afresh() {
        let source = b"one\ntwo\n\n\tthree\nfour";
        let mut lines = Lines::default();
        for at in 0..=source.len() {
            assert_eq!(lines.position(source, at), position(source, at));
        }
    }
}
