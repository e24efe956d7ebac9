//! Names as Python's own objects.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use tierstore_core::graph::Graph;

use super::DependencyGraph;
use crate::items::{empty_list, full, list_of, set_item};
use crate::room;

/// What pickle calls, and with what: `from_ids`, to be called with names, edges and the deprecated.
pub type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// A list of the nodes' names.
pub fn names<'py>(py: Python<'py>, graph: &Graph, nodes: Vec<u32>) -> PyResult<Bound<'py, PyAny>> {
    list_of(py, nodes.into_iter().map(|node| graph.name(node)).collect())
}

/// A list of pairs of names. Each name is one object, however often it comes.
pub fn named_pairs<'py>(
    py: Python<'py>,
    graph: &Graph,
    pairs: impl Iterator<Item = (u32, u32)>,
) -> PyResult<Bound<'py, PyAny>> {
    let pairs: Vec<(u32, u32)> = pairs.collect();
    let mut made: Vec<Option<Bound<'py, PyString>>> = vec![None; graph.len()];
    let mut name = |node: u32| made[node as usize].get_or_insert_with(|| PyString::new(py, graph.name(node))).clone();
    let list = empty_list(py, pairs.len())?;
    for (at, (node, to)) in pairs.into_iter().enumerate() {
        set_item(&list, at, (name(node), name(to)).into_pyobject(py)?.into_any());
    }
    Ok(full(list))
}

pub fn reduced<'py>(py: Python<'py>, graph: &Graph) -> PyResult<Reduced<'py>> {
    let words: Vec<u8> = graph.edges().flat_map(|(node, to)| [node.to_le_bytes(), to.to_le_bytes()].concat()).collect();
    let edges: Bound<'py, PyBytes> = room::bytes(py, &words)?;
    let deprecated = names(py, graph, graph.nodes().filter(|&node| graph.is_deprecated(node)).collect())?;
    let keywords = PyDict::new(py);
    keywords.set_item("deprecated", deprecated)?;
    let make = py.import("functools")?.getattr("partial")?;
    let make = make.call((py.get_type::<DependencyGraph>().getattr("from_ids")?,), Some(&keywords))?;
    Ok((make, (names(py, graph, graph.nodes().collect())?, edges).into_pyobject(py)?))
}
