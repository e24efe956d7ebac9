//! `DependencyGraph`: the core's graph, shared by threads.
//!
//! Who asks takes the graph as it is at that moment, and holds no lock meanwhile; who adds to it while somebody still asks, or while a
//! copy has it too, adds to a copy. Python code runs before the lock is taken, or after.

mod answers;
mod changes;
mod input;

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyList, PyType};
use tierstore_core::error::{Error, Kind, Place};
use tierstore_core::graph::{Builder, Direction, Graph, Selection};

use crate::errors::{cycle_error, to_py};
use answers::{named_pairs, names};
use changes::GraphChanges;
use input::{deprecate, depth_of, direction_of, each_name, format_of, from_ids, from_pairs, most_of, name_of, text_of};

/// A smaller graph is walked in less time than it takes to let other threads run meanwhile.
const DETACH_MIN_SIZE: usize = 4_096;

/// What depends on what: nodes with names, and edges from each to what it depends on, each at most once.
///
/// `DependencyGraph()` is empty; `from_edges` and `from_ids` make one, `add` lets it grow. Nodes have the order in which they
/// joined, and answers have theirs, unless they say otherwise. Two graphs are equal if nodes, edges and deprecated marks are, whatever
/// the order. Threads may share one: each call sees the graph as it is when the call begins. A call that names a node which the graph has
/// not is a NotFoundError.
#[pyclass(frozen, weakref, name = "DependencyGraph", module = "tierstore")]
pub struct DependencyGraph {
    graph: Mutex<Arc<Graph>>,
}

impl From<Graph> for DependencyGraph {
    fn from(graph: Graph) -> Self {
        Self { graph: Mutex::new(Arc::new(graph)) }
    }
}

#[pymethods]
impl DependencyGraph {
    #[new]
    fn new() -> Self {
        Graph::default().into()
    }

    /// A graph of pairs (node, dependency) of str. `nodes` join it first, in their order, then those of the pairs as they come.
    ///
    /// `deprecated` names nodes to be drawn with a dashed line. TypeError for what is not a pair of str, ValidationError for a name with a
    /// lone surrogate, NotFoundError for a deprecated node that is not there.
    #[classmethod]
    #[pyo3(signature = (pairs, nodes = None, *, deprecated = None))]
    fn from_edges(
        _class: &Bound<'_, PyType>,
        pairs: &Bound<'_, PyAny>,
        nodes: Option<&Bound<'_, PyAny>>,
        deprecated: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = Builder::default();
        each_name(nodes, "a node", |name| builder.node(name))?;
        from_pairs(&mut builder, pairs)?;
        built(pairs.py(), builder, deprecated)
    }

    /// A graph of distinct names and pairs of their places in `names`, counted from 0: the quickest way to a large graph.
    ///
    /// `edges` is an iterable of pairs of int, or a buffer of unsigned little-endian words of 32 bits, two for each edge, such as
    /// `array("I")` or `numpy.uint32`. ValidationError for a name that comes twice and for a place that no name has.
    #[classmethod]
    #[pyo3(name = "from_ids", signature = (names, edges, *, deprecated = None))]
    fn of_ids(
        _class: &Bound<'_, PyType>,
        names: &Bound<'_, PyAny>,
        edges: &Bound<'_, PyAny>,
        deprecated: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        built(names.py(), from_ids(names, edges)?, deprecated)
    }

    /// Add a node with its dependencies, or more dependencies to a node that is there. It costs the edges that come, not the graph.
    ///
    /// Names that are new join the graph. `deprecated` sets or clears the node's mark; None leaves it. While another thread reads, and
    /// once after `copy`, the graph is copied first.
    #[pyo3(signature = (node, dependencies = None, *, deprecated = None))]
    fn add(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        dependencies: Option<&Bound<'_, PyAny>>,
        deprecated: Option<bool>,
    ) -> PyResult<()> {
        let node = text_of(node, "a node")?;
        let mut targets = Vec::new();
        each_name(dependencies, "a dependency", |name| targets.push(name.to_owned()))?;
        let added = py.detach(|| {
            let mut held = self.graph.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut held).add(node, targets.iter().map(String::as_str), deprecated)
        });
        added.map_err(|error| to_py(&error))
    }

    /// What a node depends on: directly, or with `transitive` in any number of steps, the nearest first. The node itself is never among it.
    ///
    /// `depth` is the number of steps that are taken at most, 1 or more; with it `transitive` says nothing.
    #[pyo3(signature = (node, *, transitive = false, depth = None))]
    fn dependencies<'py>(
        &self,
        node: &Bound<'py, PyAny>,
        transitive: bool,
        depth: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.reached(node, Direction::Dependencies, transitive, depth)
    }

    /// What depends on a node: as `dependencies`, the other way round.
    #[pyo3(signature = (node, *, transitive = false, depth = None))]
    fn dependents<'py>(
        &self,
        node: &Bound<'py, PyAny>,
        transitive: bool,
        depth: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.reached(node, Direction::Dependents, transitive, depth)
    }

    /// How many steps away each node is that `node` reaches along `direction` ("dependencies" or "dependents"): the nearest first,
    /// in the order of `dependencies(node, transitive=True)`.
    #[pyo3(signature = (node, *, direction = "dependencies", depth = None))]
    fn distances<'py>(
        &self,
        node: &Bound<'py, PyAny>,
        direction: &str,
        depth: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (py, graph, direction, depth) =
            (node.py(), self.now(node.py()), direction_of(direction)?, depth_of(depth)?);
        let start = found(&graph, node)?;
        let levels = run(py, &graph, || graph.reached(&[start], direction, depth));
        let distances = PyDict::new(py);
        for (node, distance) in levels.distances() {
            distances.set_item(graph.name(node), distance)?;
        }
        Ok(distances)
    }

    /// All that a change of these nodes may concern: what depends on one of them, in any number of steps, the nearest first.
    ///
    /// `nodes` is a name or an iterable of names. They themselves are not among it.
    fn impact<'py>(&self, nodes: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, graph) = (nodes.py(), self.now(nodes.py()));
        let starts = all_found(&graph, nodes)?;
        let levels = run(py, &graph, || graph.reached(&starts, Direction::Dependents, None));
        names(py, &graph, levels.nodes)
    }

    /// A shortest way from `node` to `dependency` along dependencies, both ends included; None if there is none.
    ///
    /// Of several it is always the same one. From a node to itself it is that node alone.
    fn path<'py>(
        &self,
        node: &Bound<'py, PyAny>,
        dependency: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, graph) = (node.py(), self.now(node.py()));
        let (from, to) = (found(&graph, node)?, found(&graph, dependency)?);
        run(py, &graph, || graph.path(from, to)).map(|path| names(py, &graph, path)).transpose()
    }

    /// The cycles: each set of nodes that all depend on one another (a strongly connected component), and each node that depends on itself.
    ///
    /// Cycles have the order of their first nodes. Linear in nodes and edges.
    fn cycles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let graph = self.now(py);
        let cycles = PyList::empty(py);
        for cycle in run(py, &graph, || graph.cycles()) {
            cycles.append(names(py, &graph, cycle)?)?;
        }
        Ok(cycles)
    }

    /// All nodes, each behind all that it depends on; of those that may come next, always the one that joined the graph first.
    ///
    /// CycleError if there is a cycle: it names a short one.
    fn topological_order<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.now(py);
        match run(py, &graph, || graph.topological_order()) {
            Ok(order) => names(py, &graph, order),
            Err(cycle) => Err(cycle_error(py, names(py, &graph, cycle)?)),
        }
    }

    /// The same nodes without the edges that follow from others (the transitive reduction), for drawing.
    ///
    /// Edges within a cycle all stay, and those between the same two cycles stay or go together. Takes up to nodes × edges / 256 steps.
    fn reduced(&self, py: Python<'_>) -> Self {
        let graph = self.now(py);
        run(py, &graph, || graph.reduced()).into()
    }

    /// The graph of these nodes and of the edges among them. `nodes` is a name or an iterable of names.
    fn subgraph(&self, nodes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (py, graph) = (nodes.py(), self.now(nodes.py()));
        let kept = all_found(&graph, nodes)?;
        Ok(run(py, &graph, || graph.subgraph(&kept)).into())
    }

    /// What this graph has that `earlier` had not, and the other way round.
    fn changes_since(&self, py: Python<'_>, earlier: &Bound<'_, Self>) -> PyResult<GraphChanges> {
        let (new, old) = (self.now(py), earlier.get().now(py));
        let changes = run(py, &new, || new.changes_since(&old));
        GraphChanges::new(py, &new, &old, changes)
    }

    /// All edges as (node, dependency), in the order of the nodes and of their dependencies.
    fn edges<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.now(py);
        named_pairs(py, &graph, graph.edges())
    }

    /// How many edges there are.
    #[getter]
    fn edge_count(&self, py: Python<'_>) -> usize {
        self.now(py).edge_count()
    }

    /// The nodes that are marked as deprecated.
    #[getter]
    fn deprecated<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.now(py);
        names(py, &graph, graph.nodes().filter(|&node| graph.is_deprecated(node)).collect())
    }

    /// The graph as text: "json", "dot" (Graphviz), "mermaid", "cytoscape" (JSON) or "svg", a drawing.
    ///
    /// `root` is a node: only what it reaches along `direction` ("dependencies" or "dependents") is shown; `depth` is how many steps from
    /// it, or from the nodes that nothing leads to. `max_nodes` bounds how many nodes are shown, the nearest first: for "svg" 500 unless it
    /// is given, and 1,000 at most. What is left out is counted ("and 312 more"). `title` stands above. Nodes are in the order of their names, so equal
    /// graphs give equal texts; names are escaped as the format needs it.
    #[pyo3(signature = (format, *, root = None, direction = "dependencies", depth = None, max_nodes = None, title = None))]
    #[expect(clippy::too_many_arguments, reason = "all but one have a name in Python")]
    fn to(
        &self,
        py: Python<'_>,
        format: &str,
        root: Option<&Bound<'_, PyAny>>,
        direction: &str,
        depth: Option<&Bound<'_, PyAny>>,
        max_nodes: Option<&Bound<'_, PyAny>>,
        title: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let (graph, format) = (self.now(py), format_of(format)?);
        let selection = Selection {
            root: root.map(|root| found(&graph, root)).transpose()?,
            direction: direction_of(direction)?,
            depth: depth_of(depth)?,
            most: most_of(max_nodes, format)?,
            title: title.map(|title| text_of(title, "a title").map(str::to_owned)).transpose()?,
        };
        Ok(py.detach(|| graph.to(format, &selection)))
    }

    /// A graph of its own with the same content. It takes no time: what is equal is shared until one of the two changes.
    fn copy(&self, py: Python<'_>) -> Self {
        Self { graph: Mutex::new(self.now(py)) }
    }

    fn __copy__(&self, py: Python<'_>) -> Self {
        self.copy(py)
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> Self {
        self.copy(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<answers::Reduced<'py>> {
        answers::reduced(py, &self.now(py))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.now(py).len()
    }

    fn __contains__(&self, node: &Bound<'_, PyAny>) -> bool {
        name_of(node).is_some_and(|name| self.now(node.py()).find(name).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.now(py);
        Ok(names(py, &graph, graph.nodes().collect())?.try_iter()?.into_any())
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else { return false };
        let (one, other) = (self.now(py), other.get().now(py));
        Arc::ptr_eq(&one, &other) || run(py, &one, || one == other)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let graph = self.now(py);
        format!("<DependencyGraph of {} nodes and {} edges>", graph.len(), graph.edge_count())
    }

    fn __sizeof__(&self, py: Python<'_>) -> usize {
        size_of::<Self>() + self.now(py).bytes()
    }
}

impl DependencyGraph {
    /// The graph as it is.
    fn now(&self, py: Python<'_>) -> Arc<Graph> {
        Arc::clone(&self.graph.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    fn reached<'py>(
        &self,
        node: &Bound<'py, PyAny>,
        direction: Direction,
        transitive: bool,
        depth: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, graph, depth) = (node.py(), self.now(node.py()), depth_of(depth)?);
        let start = found(&graph, node)?;
        if !transitive && depth.is_none() {
            let others = graph.next(start, direction).iter().copied().filter(|&next| next != start);
            return names(py, &graph, others.collect());
        }
        let levels = run(py, &graph, || graph.reached(&[start], direction, depth));
        names(py, &graph, levels.nodes)
    }
}

/// Do work on the graph, with other threads let in where it is large.
fn run<T: Send>(py: Python<'_>, graph: &Graph, work: impl FnOnce() -> T + Send) -> T {
    if graph.len() + graph.edge_count() < DETACH_MIN_SIZE { work() } else { py.detach(work) }
}

fn built(py: Python<'_>, mut builder: Builder, deprecated: Option<&Bound<'_, PyAny>>) -> PyResult<DependencyGraph> {
    deprecate(&mut builder, deprecated)?;
    py.detach(|| builder.build()).map(Into::into).map_err(|error| to_py(&error))
}

fn found(graph: &Graph, node: &Bound<'_, PyAny>) -> PyResult<u32> {
    let name = text_of(node, "a node")?;
    graph.find(name).ok_or_else(|| not_found(name))
}

fn all_found(graph: &Graph, nodes: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if name_of(nodes).is_some() {
        return Ok(vec![found(graph, nodes)?]);
    }
    nodes.try_iter()?.map(|node| found(graph, &node?)).collect()
}

fn not_found(name: &str) -> PyErr {
    let shown: String =
        if name.chars().nth(200).is_some() { name.chars().take(200).chain(['…']).collect() } else { name.to_owned() };
    to_py(&Error::new(Kind::NotFound, format!("the graph has no node {shown:?}")).at(Place::Name(name.to_owned())))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DependencyGraph>()?;
    module.add_class::<GraphChanges>()
}
