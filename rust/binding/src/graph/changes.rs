use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tierstore_core::graph::{Changes, Graph};

use super::answers::{named_pairs, names};

/// What a later graph has that an earlier one had not, and the other way round. False if nothing differs.
///
/// `added_nodes` and `removed_nodes` are names, `added_edges` and `removed_edges` pairs (node, dependency); `deprecated` and `undeprecated`
/// are nodes of the later graph whose mark was set or cleared. Each has the order of the graph that has what it lists.
#[pyclass(frozen, get_all, module = "tierstore")]
pub struct GraphChanges {
    added_nodes: Py<PyTuple>,
    removed_nodes: Py<PyTuple>,
    added_edges: Py<PyTuple>,
    removed_edges: Py<PyTuple>,
    deprecated: Py<PyTuple>,
    undeprecated: Py<PyTuple>,
}

#[pymethods]
impl GraphChanges {
    fn __bool__(&self, py: Python<'_>) -> bool {
        self.parts().iter().any(|(_, part)| !part.bind(py).is_empty())
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        for ((_, one), (_, other)) in self.parts().iter().zip(other.get().parts()) {
            if !one.bind(py).eq(other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyTuple::new(py, self.parts().map(|(_, part)| part))?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut shown = Vec::new();
        for (name, part) in self.parts() {
            if !part.bind(py).is_empty() {
                shown.push(format!("{name}={}", part.bind(py).repr()?));
            }
        }
        Ok(format!("GraphChanges({})", shown.join(", ")))
    }
}

impl GraphChanges {
    pub fn new(py: Python<'_>, new: &Graph, old: &Graph, changes: Changes) -> PyResult<Self> {
        let nodes = |graph: &Graph, nodes: Vec<u32>| tuple(names(py, graph, nodes)?);
        let pairs = |graph: &Graph, pairs: Vec<(u32, u32)>| tuple(named_pairs(py, graph, pairs.into_iter())?);
        Ok(Self {
            added_nodes: nodes(new, changes.added_nodes)?,
            removed_nodes: nodes(old, changes.removed_nodes)?,
            added_edges: pairs(new, changes.added_edges)?,
            removed_edges: pairs(old, changes.removed_edges)?,
            deprecated: nodes(new, changes.deprecated)?,
            undeprecated: nodes(new, changes.undeprecated)?,
        })
    }

    fn parts(&self) -> [(&'static str, &Py<PyTuple>); 6] {
        [
            ("added_nodes", &self.added_nodes),
            ("removed_nodes", &self.removed_nodes),
            ("added_edges", &self.added_edges),
            ("removed_edges", &self.removed_edges),
            ("deprecated", &self.deprecated),
            ("undeprecated", &self.undeprecated),
        ]
    }
}

fn tuple(list: Bound<'_, PyAny>) -> PyResult<Py<PyTuple>> {
    Ok(list.cast::<pyo3::types::PyList>()?.to_tuple().unbind())
}
