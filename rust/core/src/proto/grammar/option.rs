//! Options: their names are read, their values left uninterpreted, as protoc's parser leaves them to its linker.

use super::*;

/// What the block that holds an option may have to know of it.
pub struct Named<'a> {
    pub name_at: usize,
    /// The first part of the name, unless it is an extension's.
    pub first_part: Option<&'a [u8]>,
    pub parts: usize,
    /// Whether the value is the word `true`.
    pub is_true: bool,
}

impl<'a> Parser<'a> {
    /// `option name = value;`
    pub(super) fn option_statement(&mut self) -> Step<Named<'a>> {
        self.consume("option")?;
        let option = self.option()?;
        self.consume(";")?;
        Ok(option)
    }

    /// `[name = value, …]`
    pub(super) fn option_list(&mut self) -> Step {
        self.lexer.advance()?;
        self.option()?;
        while self.try_consume(",")? {
            self.option()?;
        }
        self.consume("]")
    }

    /// `name = value`
    pub(super) fn option(&mut self) -> Step<Named<'a>> {
        let name_at = self.lexer.token.start;
        let first_part = self.option_name_part()?;
        let mut parts = 1;
        while self.try_consume(".")? {
            self.option_name_part()?;
            parts += 1;
        }
        self.consume("=")?;
        let is_true = self.at("true");
        self.option_value()?;
        Ok(Named { name_at, first_part, parts, is_true })
    }

    /// An identifier, or an extension's dotted name in parentheses (None).
    fn option_name_part(&mut self) -> Step<Option<&'a [u8]>> {
        if !self.try_consume("(")? {
            return self.identifier("Expected identifier.").map(Some);
        }
        if self.at_kind(TokenKind::Identifier) {
            self.lexer.advance()?;
        }
        while self.try_consume(".")? {
            self.identifier("Expected identifier.")?;
        }
        self.consume(")").map(|()| None)
    }

    fn option_value(&mut self) -> Step {
        let is_negative = self.try_consume("-")?;
        match self.lexer.token.kind {
            TokenKind::End => self.fault("Unexpected end of stream while parsing option value."),
            TokenKind::Identifier => {
                let value = self.identifier("Expected identifier.")?;
                if is_negative && !matches!(value, b"inf" | b"nan") {
                    return self.fault("Identifier after '-' symbol must be inf or nan.");
                }
                Ok(())
            }
            TokenKind::Integer | TokenKind::Float => self.number(),
            TokenKind::String if is_negative => self.fault("Invalid '-' symbol before string."),
            TokenKind::String => self.string("Expected string.").map(drop),
            TokenKind::Symbol if self.at("{") => self.aggregate(),
            TokenKind::Symbol => self.fault("Expected option value."),
        }
    }

    /// A number of either kind; a decimal one of any size, since it may stand for a float.
    pub(super) fn number(&mut self) -> Step {
        match self.lexer.token.kind {
            TokenKind::Integer if self.text()[0] == b'0' && literal::integer(self.text()).is_none() => {
                self.fault("Integer out of range.")
            }
            TokenKind::Integer | TokenKind::Float => self.lexer.advance(),
            _ if self.at("inf") || self.at("nan") => self.lexer.advance(),
            _ => self.fault("Expected number."),
        }
    }

    /// A message in text format: any tokens between braces that match.
    fn aggregate(&mut self) -> Step {
        let mut depth = 0usize;
        while !self.at_end() {
            match self.text() {
                b"{" => depth += 1,
                b"}" => depth -= 1,
                _ => {}
            }
            self.lexer.advance()?;
            if depth == 0 {
                return Ok(());
            }
        }
        self.fault("Unexpected end of stream while parsing aggregate value.")
    }
}
