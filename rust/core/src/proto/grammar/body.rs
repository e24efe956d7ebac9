//! Messages, enums, services and extensions.

use super::field::Holder;
use super::*;

impl Parser<'_> {
    pub(super) fn message_definition(&mut self) -> Step {
        self.counts_depth |= self.blocks.is_empty();
        if self.counts_depth && self.message_depth + 1 >= MESSAGE_DEPTH_MAX {
            return self.fault("Reached maximum recursion limit for nested messages.");
        }
        self.lexer.advance()?;
        self.identifier("Expected message name.")?;
        self.open(Block::Message { map_entry: None, is_group: false })
    }

    pub(super) fn message_statement(&mut self) -> Step {
        self.visibility()?;
        match self.text() {
            b";" => self.lexer.advance(),
            b"message" => self.message_definition(),
            b"enum" => self.enum_definition(),
            b"extensions" => self.extensions(),
            b"reserved" => self.reserved(false),
            b"extend" => self.extend_definition(),
            b"option" => self.message_option(),
            b"oneof" => self.oneof_definition(),
            _ => self.field(Holder::Message),
        }
    }

    fn message_option(&mut self) -> Step {
        let option = self.option_statement()?;
        if let Some(Block::Message { map_entry, .. }) = self.blocks.last_mut()
            && option.first_part == Some(b"map_entry")
        {
            map_entry.get_or_insert(option.name_at);
        }
        Ok(())
    }

    pub(super) fn extend_definition(&mut self) -> Step {
        self.lexer.advance()?;
        self.user_type()?;
        self.open(Block::Extend { first: true })
    }

    fn oneof_definition(&mut self) -> Step {
        self.lexer.advance()?;
        self.identifier("Expected oneof name.")?;
        self.open(Block::Oneof { first: true })
    }

    pub(super) fn oneof_statement(&mut self) -> Step {
        if self.at("option") {
            return self.option_statement().map(drop);
        }
        if self.at("required") || self.at("optional") || self.at("repeated") {
            return self.fault("Fields in oneofs must not have labels (required / optional / repeated).");
        }
        self.field(Holder::Oneof)
    }

    /// `extensions 100 to 199, 500 to max [declaration = …];`
    fn extensions(&mut self) -> Step {
        self.lexer.advance()?;
        loop {
            self.extension_number("Expected field number range.")?;
            if self.try_consume("to")? && !self.try_consume("max")? {
                self.extension_number("Expected integer.")?;
            }
            if !self.try_consume(",")? {
                break;
            }
        }
        if self.at("[") {
            self.option_list()?;
        }
        self.consume(";")
    }

    fn extension_number(&mut self, otherwise: &'static str) -> Step {
        const MAX: u64 = i32::MAX as u64;
        if self.integer(MAX, otherwise)? == MAX {
            return self.fault("Field number out of bounds.");
        }
        Ok(())
    }

    /// `reserved "a", "b";`, in editions `reserved a, b;`, or `reserved 1, 5 to 7, 9 to max;`
    fn reserved(&mut self, in_enum: bool) -> Step {
        self.lexer.advance()?;
        match (self.lexer.token.kind, self.is_editions()) {
            (TokenKind::String, true) => {
                return self.fault("Reserved names must be identifiers in editions, not string literals.");
            }
            (TokenKind::Identifier, false) => {
                return self.fault("Reserved names must be string literals. (Only editions supports identifiers.)");
            }
            (TokenKind::String, false) => {
                let otherwise = ["Expected field name string literal.", "Expected enum value string literal."];
                self.string(otherwise[usize::from(in_enum)])?;
                while self.try_consume(",")? {
                    self.string(otherwise[usize::from(in_enum)])?;
                }
            }
            (TokenKind::Identifier, true) => {
                let otherwise = ["Expected field name identifier.", "Expected enum value identifier."];
                self.identifier(otherwise[usize::from(in_enum)])?;
                while self.try_consume(",")? {
                    self.identifier(otherwise[usize::from(in_enum)])?;
                }
            }
            _ => self.reserved_ranges(in_enum)?,
        }
        self.consume(";")
    }

    fn reserved_ranges(&mut self, in_enum: bool) -> Step {
        let mut otherwise = match in_enum {
            false => "Expected field name or number range.",
            true => "Expected enum value or number range.",
        };
        loop {
            self.reserved_number(in_enum, otherwise)?;
            if self.try_consume("to")? && !self.try_consume("max")? {
                self.reserved_number(in_enum, "Expected integer.")?;
            }
            if !self.try_consume(",")? {
                return Ok(());
            }
            otherwise = if in_enum { "Expected enum number range." } else { "Expected field number range." };
        }
    }

    fn reserved_number(&mut self, in_enum: bool, otherwise: &'static str) -> Step {
        if in_enum {
            self.signed_integer(otherwise).map(drop)
        } else {
            self.integer(i32::MAX as u64, otherwise).map(drop)
        }
    }

    pub(super) fn enum_definition(&mut self) -> Step {
        self.lexer.advance()?;
        let name = self.identifier("Expected enum name.")?;
        let name = String::from_utf8_lossy(name).into_owned();
        self.open(Block::Enum(EnumBlock { name, ..EnumBlock::default() }))
    }

    pub(super) fn enum_statement(&mut self) -> Step {
        match self.text() {
            b";" => self.lexer.advance(),
            b"option" => self.enum_option(),
            b"reserved" => self.reserved(true),
            _ => self.enum_value(),
        }
    }

    fn enum_option(&mut self) -> Step {
        let option = self.option_statement()?;
        if let Some(Block::Enum(block)) = self.blocks.last_mut()
            && option.parts == 1
            && option.first_part == Some(b"allow_alias")
        {
            block.allow_alias.get_or_insert(option.is_true);
        }
        Ok(())
    }

    fn enum_value(&mut self) -> Step {
        self.identifier("Expected enum constant name.")?;
        if !self.try_consume("=")? {
            return self.fault("Missing numeric value for enum constant.");
        }
        let number = self.signed_integer("Expected integer.")?;
        if let Some(Block::Enum(block)) = self.blocks.last_mut() {
            block.numbers.push(number);
        }
        if self.at("[") {
            self.option_list()?;
        }
        self.consume(";")
    }

    /// `allow_alias` must be true, and used.
    pub(super) fn check_enum(&self, block: &EnumBlock) -> Step {
        let name = &block.name;
        match block.allow_alias {
            None => Ok(()),
            Some(false) => {
                let plain = "'option allow_alias = false;' has no effect. Please remove the declaration.";
                let message = format!(
                    "\"{name}\" declares 'option allow_alias = false;' which has no effect. Please remove the declaration."
                );
                self.quoting(plain, message)
            }
            Some(true) => {
                let mut numbers = block.numbers.clone();
                numbers.sort_unstable();
                if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Ok(());
                }
                let plain = "No enum values share field numbers. \
                             Please remove the unnecessary 'option allow_alias = true;' declaration.";
                let message = format!(
                    "\"{name}\" declares support for enum aliases but no enum values share field numbers. \
                     Please remove the unnecessary 'option allow_alias = true;' declaration."
                );
                self.quoting(plain, message)
            }
        }
    }

    pub(super) fn service_definition(&mut self) -> Step {
        self.lexer.advance()?;
        self.identifier("Expected service name.")?;
        self.open(Block::Service)
    }

    pub(super) fn service_statement(&mut self) -> Step {
        match self.text() {
            b";" => self.lexer.advance(),
            b"option" => self.option_statement().map(drop),
            _ => self.method(),
        }
    }

    fn method(&mut self) -> Step {
        self.consume("rpc")?;
        self.identifier("Expected method name.")?;
        self.method_type()?;
        self.consume("returns")?;
        self.method_type()?;
        if self.at("{") { self.open(Block::Method) } else { self.consume(";") }
    }

    /// `(stream Type)`
    fn method_type(&mut self) -> Step {
        self.consume("(")?;
        self.try_consume("stream")?;
        self.user_type()?;
        self.consume(")")
    }

    pub(super) fn method_statement(&mut self) -> Step {
        if self.at(";") {
            return self.lexer.advance();
        }
        self.option_statement().map(drop)
    }
}
