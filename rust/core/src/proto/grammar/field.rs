//! Fields: label, type, name, number, options.

use super::*;

/// What a field is declared in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Holder {
    Message,
    Extension,
    Oneof,
}

/// What the default value of a field must look like.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Type {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Number,
    Bool,
    Text,
    Bytes,
    Group,
    /// A message or an enum: the parser cannot tell.
    Named,
}

/// The types that the language names.
fn builtin(name: &[u8]) -> Option<Type> {
    Some(match name {
        b"int32" | b"sint32" | b"sfixed32" => Type::Int32,
        b"int64" | b"sint64" | b"sfixed64" => Type::Int64,
        b"uint32" | b"fixed32" => Type::Uint32,
        b"uint64" | b"fixed64" => Type::Uint64,
        b"float" | b"double" => Type::Number,
        b"bool" => Type::Bool,
        b"string" => Type::Text,
        b"bytes" => Type::Bytes,
        b"group" => Type::Group,
        _ => return None,
    })
}

/// Edition UNSTABLE names integers after their meaning, and says what replaces the old names.
fn unstable(name: &[u8]) -> std::result::Result<Option<Type>, &'static str> {
    Ok(match name {
        b"fixed32" => return Err("uint32"),
        b"fixed64" => return Err("uint64"),
        b"sfixed32" => return Err("int32"),
        b"sfixed64" => return Err("int64"),
        b"sint32" => return Err("zigzag32"),
        b"sint64" => return Err("zigzag64"),
        b"varint32" | b"zigzag32" => Some(Type::Int32),
        b"varint64" | b"zigzag64" => Some(Type::Int64),
        b"uvarint32" => Some(Type::Uint32),
        b"uvarint64" => Some(Type::Uint64),
        other => builtin(other),
    })
}

impl<'a> Parser<'a> {
    pub(super) fn field(&mut self, holder: Holder) -> Step {
        let labelled = holder != Holder::Oneof && self.label()?;
        let mut kind = Type::Named;
        let is_map = self.try_consume("map")?;
        if is_map && self.at("<") {
            self.map_type(holder, labelled)?;
        } else {
            let needs_label = self.file.syntax == Syntax::Proto2 && holder != Holder::Oneof;
            if needs_label && !labelled {
                return self.fault("Expected \"required\", \"optional\", or \"repeated\".");
            }
            if !is_map {
                kind = self.field_type()?;
            }
        }
        let name_at = self.lexer.token.start;
        let name = self.identifier("Expected field name.")?;
        if !self.try_consume("=")? {
            return self.fault("Missing field number.");
        }
        self.integer(i32::MAX as u64, "Expected field number.")?;
        if self.at("[") {
            self.field_options(kind)?;
        }
        if kind == Type::Group { self.group(name_at, name) } else { self.consume(";") }
    }

    /// Whether a label was there.
    fn label(&mut self) -> Step<bool> {
        let text = self.text();
        if !matches!(text, b"optional" | b"repeated" | b"required") {
            return Ok(false);
        }
        if self.is_editions() && text == b"optional" {
            return self.fault(
                "Label \"optional\" is not supported in editions. By default, all singular fields have presence \
                 unless features.field_presence is set.",
            );
        }
        if self.is_editions() && text == b"required" {
            let message =
                "Label \"required\" is not supported in editions, use features.field_presence = LEGACY_REQUIRED.";
            return self.fault(message);
        }
        self.lexer.advance()?;
        Ok(true)
    }

    fn map_type(&mut self, holder: Holder, labelled: bool) -> Step {
        if holder == Holder::Oneof {
            return self.fault("Map fields are not allowed in oneofs.");
        }
        if labelled {
            return self.fault("Field labels (required/optional/repeated) are not allowed on map fields.");
        }
        if holder == Holder::Extension {
            return self.fault("Map fields are not allowed to be extensions.");
        }
        self.consume("<")?;
        self.field_type()?;
        self.consume(",")?;
        self.field_type()?;
        self.consume(">")
    }

    fn field_type(&mut self) -> Step<Type> {
        let name = self.text();
        let found = if self.edition == EDITION_UNSTABLE {
            match unstable(name) {
                Ok(found) => found,
                Err(instead) => {
                    let name = String::from_utf8_lossy(name);
                    let message = format!("Type '{name}' is obsolete in unstable editions, use '{instead}' instead.");
                    return self.quoting("This type is obsolete in unstable editions.", message);
                }
            }
        } else {
            builtin(name)
        };
        match found {
            Some(Type::Group) if self.is_editions() => self.fault(
                "Group syntax is no longer supported in editions. To get group behavior you can specify \
                 features.message_encoding = DELIMITED on a message field.",
            ),
            Some(kind) => self.lexer.advance().map(|()| kind),
            None => self.user_type().map(|()| Type::Named),
        }
    }

    /// A dotted name of a message or enum.
    pub(super) fn user_type(&mut self) -> Step {
        if builtin(self.text()).is_some() {
            return self.fault("Expected message type.");
        }
        self.try_consume(".")?;
        self.identifier("Expected type name.")?;
        while self.try_consume(".")? {
            self.identifier("Expected identifier.")?;
        }
        Ok(())
    }

    fn group(&mut self, name_at: usize, name: &[u8]) -> Step {
        if !name[0].is_ascii_uppercase() {
            return fault(name_at, "Group names must start with a capital letter.");
        }
        if !self.at("{") {
            return self.fault("Missing group body.");
        }
        self.open(Block::Message { map_entry: None, is_group: true })
    }

    fn field_options(&mut self, kind: Type) -> Step {
        let (mut has_default, mut has_json_name) = (false, false);
        self.lexer.advance()?;
        loop {
            match self.text() {
                b"default" if std::mem::replace(&mut has_default, true) => {
                    return self.fault("Already set option \"default\".");
                }
                b"json_name" if std::mem::replace(&mut has_json_name, true) => {
                    return self.fault("Already set option \"json_name\".");
                }
                b"default" => self.default_value(kind)?,
                b"json_name" => {
                    self.lexer.advance()?;
                    self.consume("=")?;
                    self.string("Expected string for JSON name.")?;
                }
                _ => {
                    self.option()?;
                }
            }
            if !self.try_consume(",")? {
                return self.consume("]");
            }
        }
    }

    fn default_value(&mut self, kind: Type) -> Step {
        const NO_INTEGER: &str = "Expected integer for field default value.";
        self.lexer.advance()?;
        self.consume("=")?;
        match kind {
            Type::Named => self.lexer.advance(),
            Type::Int32 | Type::Int64 => {
                let max = if kind == Type::Int32 { i32::MAX as u64 } else { i64::MAX as u64 };
                let is_negative = self.try_consume("-")?;
                self.integer(max + u64::from(is_negative), NO_INTEGER).map(drop)
            }
            Type::Uint32 | Type::Uint64 => {
                if self.try_consume("-")? {
                    return self.fault("Unsigned field can't have negative default value.");
                }
                self.integer(if kind == Type::Uint32 { u64::from(u32::MAX) } else { u64::MAX }, NO_INTEGER).map(drop)
            }
            Type::Number => {
                self.try_consume("-")?;
                self.number()
            }
            Type::Bool if self.at("true") || self.at("false") => self.lexer.advance(),
            Type::Bool => self.fault("Expected \"true\" or \"false\"."),
            Type::Text => self.string("Expected string for field default value.").map(drop),
            Type::Bytes => self.string("Expected string.").map(drop),
            Type::Group => self.fault("Messages can't have default values."),
        }
    }
}
