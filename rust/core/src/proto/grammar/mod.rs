//! protoc's grammar (compiler/parser.cc), up to the first fault.
//!
//! Blocks are kept on a list, not on the thread's stack: groups nest without a bound. Each statement parser leaves the
//! lexer behind its statement, or opens a block whose statements follow.

mod body;
mod field;
mod option;
mod top;

use std::borrow::Cow;

use super::lexer::{Lexer, TokenKind};
use super::place::Lines;
use super::{Import, Inside, ProtoFile, Step, Syntax, fault, literal, quoting, skip};

/// protoc's bound on message definitions inside one another; groups are not counted.
const MESSAGE_DEPTH_MAX: usize = 32;

/// A block up to this long is parsed even where long ones are skipped.
const SHORT_BLOCK_BYTES: usize = 512;

/// Editions in their order, under the numbers of descriptor.proto.
#[derive(Clone, Copy, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Edition(u32);

const EDITION_2023: Edition = Edition(1000);
const EDITION_2024: Edition = Edition(1001);
const EDITION_UNSTABLE: Edition = Edition(9999);

/// A block that is open.
enum Block {
    Message {
        /// Where an option names `map_entry`, which only the compiler may set.
        map_entry: Option<usize>,
        is_group: bool,
    },
    Enum(EnumBlock),
    /// `extend` and `oneof` hold one field at least: `first` until it is there.
    Extend {
        first: bool,
    },
    Oneof {
        first: bool,
    },
    Service,
    Method,
}

#[derive(Default)]
struct EnumBlock {
    name: String,
    numbers: Vec<i64>,
    /// What the first `allow_alias` says.
    allow_alias: Option<bool>,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    file: ProtoFile<'a>,
    has_package: bool,
    has_option_import: bool,
    edition: Edition,
    lines: Lines,
    inside: Inside,
    blocks: Vec<Block>,
    message_depth: usize,
    /// Whether a message stood outside all blocks: only then does protoc begin to count their depth.
    counts_depth: bool,
}

/// Parse a file.
pub fn parse(source: &[u8], inside: Inside) -> Step<ProtoFile<'_>> {
    let file = ProtoFile { package: Cow::Borrowed(""), syntax: Syntax::Proto2, edition: None, imports: Vec::new() };
    let mut parser = Parser {
        lexer: Lexer::new(source)?,
        file,
        has_package: false,
        has_option_import: false,
        edition: Edition::default(),
        lines: Lines::default(),
        inside,
        blocks: Vec::new(),
        message_depth: 0,
        counts_depth: false,
    };
    parser.syntax()?;
    while parser.statement()? {}
    Ok(parser.file)
}

impl<'a> Parser<'a> {
    /// Parse one statement of the block that is open. False at the end of the file.
    fn statement(&mut self) -> Step<bool> {
        let Some(block) = self.blocks.last_mut() else {
            if self.at_end() {
                return Ok(false);
            }
            return self.top_level_statement().map(|()| true);
        };
        let may_close = match block {
            Block::Extend { first } | Block::Oneof { first } => !std::mem::replace(first, false),
            _ => true,
        };
        if may_close && self.at("}") {
            return self.close().map(|()| true);
        }
        if self.at_end() {
            return self.unclosed();
        }
        match self.blocks.last() {
            Some(Block::Message { .. }) => self.message_statement()?,
            Some(Block::Enum(_)) => self.enum_statement()?,
            Some(Block::Extend { .. }) => self.field(field::Holder::Extension)?,
            Some(Block::Oneof { .. }) => self.oneof_statement()?,
            Some(Block::Service) => self.service_statement()?,
            Some(Block::Method) | None => self.method_statement()?,
        }
        Ok(true)
    }

    fn unclosed(&self) -> Step<bool> {
        let what = match self.blocks.last() {
            Some(Block::Message { .. }) => "message definition",
            Some(Block::Enum(_)) => "enum definition",
            Some(Block::Extend { .. }) => "extend definition",
            Some(Block::Oneof { .. }) => "oneof definition",
            Some(Block::Service) => "service definition",
            Some(Block::Method) | None => "method options",
        };
        self.fault(format!("Reached end of input in {what} (missing '}}')."))
    }

    /// Consume `{` and open the block, or consume all of a long one that need not be parsed.
    fn open(&mut self, block: Block) -> Step {
        let (start, source) = (self.lexer.token.end, self.lexer.source());
        if self.inside == Inside::LongSkipped && self.blocks.is_empty() && self.at("{") {
            let Some(end) = skip::block_end(source, start) else {
                return self.fault("a fault inside of this block");
            };
            if end - start > SHORT_BLOCK_BYTES {
                return self.lexer.jump(end);
            }
        }
        self.consume("{")?;
        if let Block::Message { is_group: false, .. } = block {
            self.message_depth += 1;
        }
        self.blocks.push(block);
        Ok(())
    }

    /// Consume `}`, and check what only the whole block can tell.
    fn close(&mut self) -> Step {
        self.lexer.advance()?;
        match self.blocks.pop() {
            Some(Block::Message { map_entry: Some(at), .. }) => {
                fault(at, "map_entry should not be set explicitly. Use map<KeyType, ValueType> instead.")
            }
            Some(Block::Message { is_group: false, .. }) => {
                self.message_depth -= 1;
                Ok(())
            }
            Some(Block::Enum(block)) => self.check_enum(&block),
            _ => Ok(()),
        }
    }

    #[inline]
    fn text(&self) -> &'a [u8] {
        self.lexer.text()
    }

    #[inline]
    fn at(&self, text: &str) -> bool {
        self.text() == text.as_bytes()
    }

    #[inline]
    fn at_kind(&self, kind: TokenKind) -> bool {
        self.lexer.token.kind == kind
    }

    fn at_end(&self) -> bool {
        self.at_kind(TokenKind::End)
    }

    /// A fault at the present token.
    fn fault<T>(&self, message: impl Into<Cow<'static, str>>) -> Step<T> {
        fault(self.lexer.token.start, message)
    }

    fn quoting<T>(&self, plain: &'static str, message: String) -> Step<T> {
        quoting(self.lexer.token.start, plain, message)
    }

    #[inline]
    fn try_consume(&mut self, text: &str) -> Step<bool> {
        let found = self.at(text);
        if found {
            self.lexer.advance()?;
        }
        Ok(found)
    }

    #[inline]
    fn consume(&mut self, text: &str) -> Step {
        if self.try_consume(text)? { Ok(()) } else { self.fault(format!("Expected \"{text}\".")) }
    }

    #[inline]
    fn identifier(&mut self, otherwise: &'static str) -> Step<&'a [u8]> {
        if !self.at_kind(TokenKind::Identifier) {
            return self.fault(otherwise);
        }
        let text = self.text();
        self.lexer.advance()?;
        Ok(text)
    }

    /// Adjacent string tokens: their joined value.
    fn string(&mut self, otherwise: &'static str) -> Step<Cow<'a, [u8]>> {
        let mut value = None;
        while self.at_kind(TokenKind::String) {
            literal::append_string(self.text(), &mut value);
            self.lexer.advance()?;
        }
        value.map_or_else(|| self.fault(otherwise), Ok)
    }

    /// An integer token of at most `max`.
    fn integer(&mut self, max: u64, otherwise: &'static str) -> Step<u64> {
        if !self.at_kind(TokenKind::Integer) {
            return self.fault(otherwise);
        }
        let Some(value) = literal::integer(self.text()).filter(|&value| value <= max) else {
            return self.fault("Integer out of range.");
        };
        self.lexer.advance()?;
        Ok(value)
    }

    /// An integer of 32 bits that a minus may precede.
    fn signed_integer(&mut self, otherwise: &'static str) -> Step<i64> {
        const MAX: u64 = i32::MAX as u64;
        if self.try_consume("-")? {
            self.integer(MAX + 1, otherwise).map(|value| -(value as i64))
        } else {
            self.integer(MAX, otherwise).map(|value| value as i64)
        }
    }

    fn is_editions(&self) -> bool {
        self.file.syntax == Syntax::Editions
    }
}
