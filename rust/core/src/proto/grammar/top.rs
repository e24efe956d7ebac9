//! What stands outside all braces.

use super::*;
use crate::proto::ImportKind;

impl<'a> Parser<'a> {
    /// `syntax = "…";` or `edition = "…";`, if the file begins with one.
    pub(super) fn syntax(&mut self) -> Step {
        let has_edition = self.at("edition");
        if !has_edition && !self.at("syntax") {
            return Ok(());
        }
        self.lexer.advance()?;
        self.consume("=")?;
        let at = self.lexer.token.start;
        let text = self.string("Expected syntax identifier.")?;
        self.consume(";")?;
        let shown = String::from_utf8_lossy(&text).into_owned();
        if has_edition {
            let Some(edition) = edition(&text) else {
                return quoting(at, "Unknown edition.", format!("Unknown edition \"{shown}\"."));
            };
            (self.edition, self.file.syntax, self.file.edition) = (edition, Syntax::Editions, Some(shown));
            return Ok(());
        }
        self.file.syntax = match &*text {
            b"proto2" => Syntax::Proto2,
            b"proto3" => Syntax::Proto3,
            _ => {
                let message = "This parser only recognizes \"proto2\" and \"proto3\".";
                return quoting(at, message, format!("Unrecognized syntax identifier \"{shown}\".  {message}"));
            }
        };
        Ok(())
    }

    pub(super) fn top_level_statement(&mut self) -> Step {
        self.visibility()?;
        match self.text() {
            b";" => self.lexer.advance(),
            b"message" => self.message_definition(),
            b"enum" => self.enum_definition(),
            b"service" => self.service_definition(),
            b"extend" => self.extend_definition(),
            b"import" => self.import(),
            b"package" => self.package(),
            b"option" => self.file_option(),
            _ => self.fault("Expected top-level statement (e.g. \"message\")."),
        }
    }

    /// `export` or `local`, which stand before messages and enums since edition 2024; before it they are plain names.
    pub(super) fn visibility(&mut self) -> Step {
        let is_modifier = self.edition > EDITION_2023 && (self.at("export") || self.at("local"));
        if !is_modifier {
            return Ok(());
        }
        self.lexer.advance()?;
        if self.at("message") || self.at("enum") {
            return Ok(());
        }
        self.fault("'local' and 'export' visibility modifiers are valid only on 'message' and 'enum'")
    }

    /// An option of the file. Most are plain, and are passed as they are.
    fn file_option(&mut self) -> Step {
        match skip::plain_option_end(self.lexer.source(), self.lexer.token.end) {
            Some(end) => self.lexer.jump(end),
            None => self.option_statement().map(drop),
        }
    }

    fn package(&mut self) -> Step {
        if self.has_package {
            return self.fault("Multiple package definitions.");
        }
        self.has_package = true;
        self.lexer.advance()?;
        let first = self.lexer.token.start;
        let mut name = Vec::new();
        loop {
            name.extend_from_slice(self.identifier("Expected identifier.")?);
            if !self.try_consume(".")? {
                break;
            }
            name.push(b'.');
        }
        let whole = self.lexer.source().get(first..first + name.len()).filter(|whole| **whole == name);
        self.file.package = match whole.map(std::str::from_utf8) {
            Some(Ok(whole)) => Cow::Borrowed(whole),
            _ => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
        };
        self.consume(";")
    }

    fn import(&mut self) -> Step {
        const NO_PATH: &str = "Expected a string naming the file to import.";
        let start = self.lexer.token.start;
        self.lexer.advance()?;
        let kind = self.import_kind()?;
        if kind != ImportKind::Plain {
            self.lexer.advance()?;
        }
        let path = self.string(NO_PATH)?;
        self.has_option_import |= kind == ImportKind::Option;
        let at = self.lines.position(self.lexer.source(), start);
        self.file.imports.push(Import { path, kind, at });
        self.consume(";")
    }

    /// The kind that the word behind `import` says, and whether this edition has it.
    fn import_kind(&self) -> Step<ImportKind> {
        if self.at("option") {
            if self.edition < EDITION_2024 {
                return self.fault("option import is not supported before edition 2024.");
            }
            return Ok(ImportKind::Option);
        }
        if self.has_option_import {
            let message = "imports should precede any option imports to ensure proto files can roundtrip.";
            return self.fault(message);
        }
        if self.at("public") {
            return Ok(ImportKind::Public);
        }
        if !self.at("weak") {
            return Ok(ImportKind::Plain);
        }
        if self.edition >= EDITION_2024 {
            let message =
                "weak import is not supported in edition 2024 and above. Consider using option import instead.";
            return self.fault(message);
        }
        Ok(ImportKind::Weak)
    }
}

/// The editions that protoc 35 knows (descriptor.proto); those that are no editions of a file are left out.
fn edition(text: &[u8]) -> Option<Edition> {
    let number = match text {
        b"1_TEST_ONLY" => 1,
        b"2_TEST_ONLY" => 2,
        b"LEGACY" => 900,
        b"2023" => EDITION_2023.0,
        b"2024" => EDITION_2024.0,
        b"2026" => 1002,
        b"UNSTABLE" => EDITION_UNSTABLE.0,
        b"99997_TEST_ONLY" => 99_997,
        b"99998_TEST_ONLY" => 99_998,
        b"99999_TEST_ONLY" => 99_999,
        b"MAX" => i32::MAX as u32,
        _ => return None,
    };
    Some(Edition(number))
}
