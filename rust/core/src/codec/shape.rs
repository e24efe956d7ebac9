//! What a field is, and how to step over one without building it.
//!
//! A shape is a tree as deep as its declaration, never as deep as its data: a nested record is a frame with a length.
//! `C` is what the owner knows of a class; the core never looks into it.

use std::sync::Arc;

use super::read::Reader;
use crate::error::Result;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Int {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
}

impl Int {
    pub fn bits(self) -> u32 {
        match self {
            Int::U8 | Int::I8 => 8,
            Int::U16 | Int::I16 => 16,
            Int::U32 | Int::I32 => 32,
            Int::U64 | Int::I64 => 64,
            Int::U128 | Int::I128 => 128,
        }
    }
}

#[derive(Debug)]
pub enum Shape<C> {
    None,
    Bool,
    Int(Int),
    F32,
    F64,
    Char,
    Str,
    Bytes,
    View,
    Datetime,
    Date,
    Timedelta,
    Uuid,
    Decimal,
    Json,
    Option(Box<Shape<C>>),
    List(Box<Shape<C>>),
    Many(Box<Shape<C>>),
    Sequence(Arc<Shape<C>>),
    Tuple(Vec<Shape<C>>),
    Dict(Box<(Shape<C>, Shape<C>)>),
    Mapping(Arc<(Shape<C>, Shape<C>)>),
    Enum(C, Box<Shape<C>>),
    Record(C),
    Struct(C, Vec<Shape<C>>),
    Union(Vec<Shape<C>>),
}

impl<C> Shape<C> {
    /// The fewest bytes that a value takes: 0 only for what carries nothing.
    pub fn least(&self) -> usize {
        match self {
            Shape::None => 0,
            Shape::F32 => 4,
            Shape::F64 => 8,
            Shape::Uuid => 16,
            Shape::Tuple(items) | Shape::Struct(_, items) => items.iter().map(Shape::least).sum(),
            Shape::Enum(_, value) => value.least(),
            _ => 1,
        }
    }

    /// Whether records stand in values of this shape.
    pub fn has_records(&self) -> bool {
        match self {
            Shape::Record(_) => true,
            Shape::Option(item) | Shape::List(item) | Shape::Many(item) | Shape::Enum(_, item) => item.has_records(),
            Shape::Sequence(item) => item.has_records(),
            Shape::Dict(pair) => pair.0.has_records() || pair.1.has_records(),
            Shape::Mapping(pair) => pair.0.has_records() || pair.1.has_records(),
            Shape::Tuple(items) | Shape::Struct(_, items) | Shape::Union(items) => items.iter().any(Shape::has_records),
            _ => false,
        }
    }

    /// Step over one value. Cost: its items for a list or a map, constant for all else.
    #[inline(always)]
    pub fn skip(&self, reader: &mut Reader<'_>) -> Result<()> {
        match self {
            Shape::Str | Shape::Bytes | Shape::View => reader.bytes().map(|_| ()),
            shape => shape.skip_any(reader),
        }
    }

    fn skip_any(&self, reader: &mut Reader<'_>) -> Result<()> {
        match self {
            Shape::None => {}
            Shape::Bool => reader.byte().map(|_| ())?,
            Shape::Int(Int::U8 | Int::I8) => reader.byte().map(|_| ())?,
            Shape::Int(Int::U128 | Int::I128) | Shape::Timedelta => reader.uint128().map(|_| ())?,
            Shape::Int(_) | Shape::Datetime | Shape::Date => reader.uint().map(|_| ())?,
            Shape::F32 => reader.take(4).map(|_| ())?,
            Shape::F64 => reader.take(8).map(|_| ())?,
            Shape::Uuid => reader.take(16).map(|_| ())?,
            Shape::Char => reader.char().map(|_| ())?,
            Shape::Str | Shape::Bytes | Shape::View | Shape::Decimal | Shape::Json | Shape::Record(_) => {
                reader.bytes().map(|_| ())?
            }
            Shape::Option(inner) => {
                if reader.flag()? {
                    inner.skip(reader)?;
                }
            }
            Shape::List(item) | Shape::Many(item) => skip_items(reader, &[item])?,
            Shape::Sequence(item) => skip_items(reader, &[item])?,
            Shape::Dict(pair) => skip_items(reader, &[&pair.0, &pair.1])?,
            Shape::Mapping(pair) => skip_items(reader, &[&pair.0, &pair.1])?,
            Shape::Tuple(items) | Shape::Struct(_, items) => {
                for item in items {
                    item.skip(reader)?;
                }
            }
            Shape::Enum(_, value) => value.skip(reader)?,
            Shape::Union(variants) => variant(variants, reader)?.1.skip(reader)?,
        }
        Ok(())
    }
}

fn skip_items<C>(reader: &mut Reader<'_>, item: &[&Shape<C>]) -> Result<()> {
    let least = item.iter().map(|shape| shape.least()).sum();
    for _ in 0..reader.count(least)? {
        for shape in item {
            shape.skip(reader)?;
        }
    }
    Ok(())
}

/// The variant that the next bytes name.
pub fn variant<'s, C>(variants: &'s [Shape<C>], reader: &mut Reader<'_>) -> Result<(usize, &'s Shape<C>)> {
    let index = reader.uint_of(32)? as usize;
    match variants.get(index) {
        Some(shape) => Ok((index, shape)),
        None => Err(reader.fail(format!("the union has {} classes, so it has no number {index}", variants.len()))),
    }
}
