//! Imports of protobuf sources, exactly as protoc's own parser sees them (docs/design/proto.md).
//!
//! | module | what it does |
//! |---|---|
//! | `lexer` | bytes into tokens, with protoc's lexical faults |
//! | `grammar` | the whole grammar: what protoc's parser refuses is refused here, at the same place |
//! | `skip` | the end of a block, by its brackets, strings and comments |
//! | `literal` | the value of string and integer literals |
//! | `classes` | which of sixty-four bytes matter, all at once |
//! | `work` | counts, in tests, the bytes looked at |
//! | `place` | lines and columns, worked out only for what is reported |

mod classes;
mod grammar;
mod lexer;
mod literal;
mod place;
mod skip;
mod work;

use std::borrow::Cow;

use crate::error::{Error, Kind, Place, Result};

pub use place::Position;

/// What a file says of itself before its first message. Names are slices of the source where it spells them whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProtoFile<'a> {
    /// Dotted; empty without a package statement.
    pub package: Cow<'a, str>,
    pub syntax: Syntax,
    /// The text of `edition = "…"`.
    pub edition: Option<String>,
    /// In the order of the file.
    pub imports: Vec<Import<'a>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Syntax {
    Proto2,
    Proto3,
    Editions,
}

impl Syntax {
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Proto2 => "proto2",
            Syntax::Proto3 => "proto3",
            Syntax::Editions => "editions",
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import<'a> {
    /// Escapes decoded, adjacent literals joined. Bytes, since nothing makes a path UTF-8.
    pub path: Cow<'a, [u8]>,
    pub kind: ImportKind,
    /// Where the word `import` stands.
    pub at: Position,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportKind {
    Plain,
    Public,
    Weak,
    /// `import option`, of editions from 2024 on.
    Option,
}

impl ImportKind {
    pub fn name(self) -> &'static str {
        match self {
            ImportKind::Plain => "plain",
            ImportKind::Public => "public",
            ImportKind::Weak => "weak",
            ImportKind::Option => "option",
        }
    }
}

/// What is wrong, and at which byte. The first fault ends the parse: it is the first that protoc prints.
#[derive(Debug)]
struct Fault {
    at: usize,
    message: Cow<'static, str>,
    /// The message without the words of the source that protoc quotes, where it quotes any.
    plain: Option<&'static str>,
}

type Step<T = ()> = std::result::Result<T, Box<Fault>>;

fn fault<T>(at: usize, message: impl Into<Cow<'static, str>>) -> Step<T> {
    Err(Box::new(Fault { at, message: message.into(), plain: None }))
}

fn quoting<T>(at: usize, plain: &'static str, message: String) -> Step<T> {
    Err(Box::new(Fault { at, message: message.into(), plain: Some(plain) }))
}

/// Parse `source`, passing over the inside of its long blocks.
///
/// Every fault outside of them is found, and inside of them those of brackets, strings, comments and characters. A
/// file with any is parsed again by the whole grammar, so that the fault named is the first that protoc prints.
pub fn parse(source: &[u8]) -> Result<ProtoFile<'_>> {
    grammar::parse(source, Inside::LongSkipped).or_else(|_| parse_strict(source))
}

/// Parse all of `source` by the whole grammar.
pub fn parse_strict(source: &[u8]) -> Result<ProtoFile<'_>> {
    grammar::parse(source, Inside::Parsed).map_err(|fault| placed(source, fault.at, fault.message))
}

/// Whether all of `source` is sound: `parse_strict`, but an error quotes nothing of it.
pub fn check(source: &[u8]) -> Result<()> {
    let checked = grammar::parse(source, Inside::Parsed).map(drop);
    checked.map_err(|fault| placed(source, fault.at, fault.plain.map_or(fault.message, Cow::Borrowed)))
}

fn placed(source: &[u8], at: usize, message: Cow<'static, str>) -> Error {
    let Position { line, column } = place::position(source, at);
    Error::new(Kind::ProtoSyntax, message).at(Place::Text { line, column })
}

/// What becomes of the inside of blocks.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Inside {
    Parsed,
    LongSkipped,
}

#[cfg(test)]
mod tests;
