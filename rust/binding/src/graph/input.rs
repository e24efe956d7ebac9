//! Names, edges and options that come in from Python.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString, PyTuple};
use tierstore_core::error::{Error, Kind, Place};
use tierstore_core::graph::{Builder, Direction, Format};

use super::not_found;
use crate::errors::to_py;
use crate::room;

const WORD: usize = size_of::<u32>();

pub fn wrong_type(message: String) -> PyErr {
    to_py(&Error::new(Kind::WrongType, message))
}

pub fn invalid(message: impl Into<String>, place: impl Into<String>) -> PyErr {
    to_py(&Error::invalid(message).at(Place::Name(place.into())))
}

fn class_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string())
}

/// The text of a name; None for what no node can be called.
pub fn name_of<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    value.cast::<PyString>().ok()?.to_str().ok()
}

/// The text of a name; `what` it is to be, for the error.
pub fn text_of<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a str> {
    let Ok(text) = value.cast::<PyString>() else {
        return Err(wrong_type(format!("{what} must be str, not {}", class_of(value))));
    };
    let refused = |_| invalid(format!("{what} contains a lone surrogate, which UTF-8 cannot encode"), "name");
    text.to_str().map_err(refused)
}

/// Take each name of an iterable, which must not be a str itself.
pub fn each_name<T>(given: Option<&Bound<'_, PyAny>>, what: &str, mut take: impl FnMut(&str) -> T) -> PyResult<()> {
    let Some(given) = given else { return Ok(()) };
    if given.is_instance_of::<PyString>() {
        return Err(wrong_type(format!("expected an iterable of names ({what} each), got one str")));
    }
    for name in given.try_iter()? {
        take(text_of(&name?, what)?);
    }
    Ok(())
}

pub fn deprecate(builder: &mut Builder, given: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let mut unknown = None;
    each_name(given, "a deprecated node", |name| match builder.find(name) {
        Some(node) => builder.deprecate(node),
        None => unknown = unknown.take().or_else(|| Some(name.to_owned())),
    })?;
    unknown.map_or(Ok(()), |name| Err(not_found(&name)))
}

pub fn from_pairs(builder: &mut Builder, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
    builder.reserve(0, listed(pairs));
    for (number, pair) in pairs.try_iter()?.enumerate() {
        let pair = two(&pair?, number, "str")?;
        let node = builder.node(text_of(&pair.get_item(0)?, "a node")?);
        let dependency = builder.node(text_of(&pair.get_item(1)?, "a dependency")?);
        builder.edge(node, dependency);
    }
    Ok(())
}

/// How many items there are, if that is certain.
fn listed(items: &Bound<'_, PyAny>) -> usize {
    items.cast::<PyList>().map_or(0, |list| list.len())
}

/// A pair as a tuple of two. `number` is its place among the edges.
fn two<'py>(pair: &Bound<'py, PyAny>, number: usize, of: &str) -> PyResult<Bound<'py, PyTuple>> {
    let tuple = match pair.cast::<PyTuple>() {
        Ok(tuple) => tuple.clone(),
        Err(_) if pair.is_instance_of::<PyList>() => pair.cast::<PyList>()?.to_tuple(),
        Err(_) => {
            let message = format!("edge {number} must be a pair of {of} (node, dependency), not {}", class_of(pair));
            return Err(wrong_type(message));
        }
    };
    match tuple.len() {
        2 => Ok(tuple),
        count => Err(invalid(
            format!("an edge must be a pair (node, dependency), got {count} items"),
            format!("edge {number}"),
        )),
    }
}

pub fn from_ids(names: &Bound<'_, PyAny>, edges: &Bound<'_, PyAny>) -> PyResult<Builder> {
    let mut builder = Builder::default();
    builder.reserve(listed(names), 0);
    let mut count = 0;
    let mut repeated = None;
    each_name(Some(names), "a node", |name| {
        if builder.node(name) as usize != count && repeated.is_none() {
            repeated = Some(count);
        }
        count += 1;
    })?;
    if let Some(place) = repeated {
        return Err(invalid("a name comes twice", format!("name {place}")));
    }
    match edges.cast::<PyBytes>() {
        Ok(bytes) => take_words(&mut builder, bytes.as_bytes())?,
        Err(_) if PyUntypedBuffer::get(edges).is_ok() => take_words(&mut builder, room::copied(edges)?.as_bytes())?,
        Err(_) => take_pairs(&mut builder, edges)?,
    }
    Ok(builder)
}

fn take_words(builder: &mut Builder, bytes: &[u8]) -> PyResult<()> {
    let (pairs, rest) = bytes.as_chunks::<{ 2 * WORD }>();
    if !rest.is_empty() {
        return Err(invalid("the edges must be pairs of 32-bit words, so a multiple of 8 bytes", "edges"));
    }
    let nodes = builder.len();
    builder.reserve(0, pairs.len());
    for (number, pair) in pairs.iter().enumerate() {
        let word = u64::from_le_bytes(*pair);
        take_edge(builder, nodes, number, [u64::from(word as u32), word >> 32])?;
    }
    Ok(())
}

fn take_pairs(builder: &mut Builder, edges: &Bound<'_, PyAny>) -> PyResult<()> {
    builder.reserve(0, listed(edges));
    let nodes = builder.len();
    for (number, pair) in edges.try_iter()?.enumerate() {
        let pair = two(&pair?, number, "int")?;
        let place = |at| -> PyResult<u64> {
            let value = pair.get_item(at)?;
            let wrong = || wrong_type(format!("edge {number} must be a pair of int, got {}", class_of(&value)));
            if !value.is_instance_of::<PyInt>() {
                return Err(wrong());
            }
            Ok(value.extract().unwrap_or(u64::MAX))
        };
        take_edge(builder, nodes, number, [place(0)?, place(1)?])?;
    }
    Ok(())
}

#[inline]
fn take_edge(builder: &mut Builder, nodes: usize, number: usize, ends: [u64; 2]) -> PyResult<()> {
    if ends.iter().any(|&end| end >= nodes as u64) {
        let message = format!("an edge must name places of the {nodes} names, from 0");
        return Err(invalid(message, format!("edge {number}")));
    }
    builder.edge(ends[0] as u32, ends[1] as u32);
    Ok(())
}

pub fn depth_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u32>> {
    count_of(given, "depth").map(|depth| depth.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX)))
}

/// A number from 1, if one is given.
pub fn count_of(given: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<usize>> {
    let Some(given) = given else { return Ok(None) };
    if !given.is_instance_of::<PyInt>() {
        return Err(wrong_type(format!("{what} must be int or None, not {}", class_of(given))));
    }
    if given.lt(1)? {
        return Err(invalid(format!("{what} must be 1 or more, got {given}"), what));
    }
    Ok(Some(given.extract().unwrap_or(usize::MAX)))
}

pub fn direction_of(given: &str) -> PyResult<Direction> {
    match given {
        "dependencies" => Ok(Direction::Dependencies),
        "dependents" => Ok(Direction::Dependents),
        _ => Err(invalid(format!("direction must be \"dependencies\" or \"dependents\", got {given:?}"), "direction")),
    }
}

pub fn format_of(given: &str) -> PyResult<Format> {
    let refused = || {
        let known = "\"json\", \"dot\", \"mermaid\", \"cytoscape\", \"svg\"";
        invalid(format!("unknown format {given:?}; expected one of {known}"), "format")
    };
    Format::named(given).ok_or_else(refused)
}

pub fn most_of(given: Option<&Bound<'_, PyAny>>, format: Format) -> PyResult<Option<usize>> {
    match (count_of(given, "max_nodes")?, format.most_nodes()) {
        (None, _) => Ok(format.usual_nodes()),
        (Some(count), Some(most)) if count > most => {
            Err(invalid(format!("max_nodes must be at most {most} for \"svg\", got {count}"), "max_nodes"))
        }
        (count, _) => Ok(count),
    }
}
