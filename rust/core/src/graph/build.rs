//! Graphs out of names and edges, and their growth.

use super::names::Names;
use super::rows::{MOST_EDGES, Rows};
use super::{Direction, Graph};
use crate::error::{Error, Place, Result};

/// More nodes have no numbers.
const MOST_NODES: usize = u32::MAX as usize - 1;

/// Takes nodes and edges in any order and with any duplicates.
#[derive(Default)]
pub struct Builder {
    names: Names,
    edges: Vec<(u32, u32)>,
    deprecated: Vec<u32>,
}

impl Builder {
    pub fn node(&mut self, name: &str) -> u32 {
        self.names.intern(name)
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.find(name)
    }

    /// How many nodes there are by now.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Both MUST be nodes already.
    pub fn edge(&mut self, node: u32, dependency: u32) {
        self.edges.push((node, dependency));
    }

    pub fn reserve(&mut self, nodes: usize, edges: usize) {
        self.names.reserve(nodes);
        self.edges.reserve(edges);
    }

    pub fn deprecate(&mut self, node: u32) {
        self.deprecated.push(node);
    }

    /// Invalid if there are more nodes or edges than a graph holds.
    pub fn build(self) -> Result<Graph> {
        check(self.names.len(), self.edges.len())?;
        let (forward, backward) = Rows::both(self.names.len(), &self.edges);
        let mut deprecated = vec![false; self.names.len()];
        self.deprecated.into_iter().for_each(|node| deprecated[node as usize] = true);
        Ok(Graph { names: self.names, forward, backward, deprecated })
    }
}

fn check(nodes: usize, edges: usize) -> Result<()> {
    for (what, count, most) in [("nodes", nodes, MOST_NODES), ("edges", edges, MOST_EDGES)] {
        if count > most {
            let message = format!("a graph must have at most {most} {what}, got {count}");
            return Err(Error::invalid(message).at(Place::Name(what.into())));
        }
    }
    Ok(())
}

impl Graph {
    /// Add a node, or edges to one that is there. It costs these edges and the rows they stand in, whatever else there is.
    pub fn add<'n>(
        &mut self,
        name: &str,
        dependencies: impl ExactSizeIterator<Item = &'n str>,
        deprecated: Option<bool>,
    ) -> Result<()> {
        check(self.len() + dependencies.len() + 1, self.edge_count() + dependencies.len())?;
        let node = self.names.intern(name);
        let mut targets: Vec<u32> = dependencies.map(|name| self.names.intern(name)).collect();
        targets.sort_unstable();
        targets.dedup();
        self.forward.extend(self.names.len());
        self.backward.extend(self.names.len());
        self.deprecated.resize(self.names.len(), false);
        for target in self.forward.merge(node, &targets) {
            self.backward.insert(target, node);
        }
        if let Some(deprecated) = deprecated {
            self.deprecated[node as usize] = deprecated;
        }
        Ok(())
    }

    /// These nodes and the edges among them; the nodes keep their order.
    pub fn subgraph(&self, nodes: &[u32]) -> Graph {
        let mut kept = vec![false; self.len()];
        nodes.iter().for_each(|&node| kept[node as usize] = true);
        let is_kept = |node: &u32| kept[*node as usize];
        self.with_edges(self.nodes().filter(is_kept), |node| {
            self.next(node, Direction::Dependencies).iter().copied().filter(is_kept)
        })
    }

    /// A graph of some of the nodes, and of some edges of each.
    pub(super) fn with_edges<E: Iterator<Item = u32>>(
        &self,
        nodes: impl Iterator<Item = u32> + Clone,
        edges: impl Fn(u32) -> E,
    ) -> Graph {
        let (mut names, mut numbers) = (Names::default(), vec![0; self.len()]);
        names.reserve(nodes.clone().count());
        nodes.clone().for_each(|node| numbers[node as usize] = names.intern(self.name(node)));
        let deprecated = nodes.clone().map(|node| self.is_deprecated(node)).collect();
        let numbers = &numbers;
        let kept = nodes.flat_map(|node| edges(node).map(move |to| (numbers[node as usize], numbers[to as usize])));
        let kept: Vec<(u32, u32)> = kept.collect();
        let (forward, backward) = Rows::both(names.len(), &kept);
        Graph { names, forward, backward, deprecated }
    }
}
