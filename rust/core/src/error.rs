//! The one error type of the core. Each kind becomes one Python class, in `rust/binding/src/errors.rs` and nowhere else.

use std::fmt;

/// Where in an input the fault lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// Line and column, both from 1.
    Text { line: u32, column: u32 },
    /// Byte offset from the start of the input.
    Byte(usize),
    /// A name: a field, a path, an argument.
    Name(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Text { line, column } => write!(f, "line {line}, column {column}"),
            Place::Byte(offset) => write!(f, "byte {offset}"),
            Place::Name(name) => f.write_str(name),
        }
    }
}

/// What kind of fault it is: the kinds are closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Bytes that are not what they claim to be.
    Corrupt,
    /// A value that the caller gave and that is not allowed.
    Invalid,
    /// A key, an identifier or a path part that is not allowed.
    InvalidKey,
    /// A name of something that is not there.
    NotFound,
    /// Protobuf source that protoc refuses.
    ProtoSyntax,
    /// An argument of the wrong Python type.
    WrongType,
    /// No memory is left for what a value needs.
    Memory,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    pub place: Option<Place>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None }
    }

    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    #[cold]
    pub fn memory() -> Self {
        Self::new(Kind::Memory, "no memory is left")
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
