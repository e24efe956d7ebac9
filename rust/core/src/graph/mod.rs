//! A graph of what depends on what. Nodes have names; inside they are numbers, in the order in which they joined.
//!
//! Both directions are kept as rows (`rows`). Every walk has its own stack or queue in memory, so a chain of any length is sound,
//! and every answer has one order: by the nodes' numbers unless its function says otherwise.
//!
//! | module | what it does |
//! |---|---|
//! | `names`, `rows` | what a graph is made of |
//! | `build` | a graph from edges, and its growth |
//! | `walk` | what is reached in how many steps; shortest paths |
//! | `components` | cycles, and an order where there is none |
//! | `reduce` | the fewest edges that reach the same |
//! | `compare` | equality and difference |
//! | `export` | JSON, DOT, Mermaid, Cytoscape, SVG |

mod build;
mod compare;
mod components;
mod export;
mod names;
mod reduce;
mod rows;
#[cfg(test)]
mod tests;
mod walk;

pub use build::Builder;
pub use compare::Changes;
pub use export::{Format, Selection};
pub use walk::Levels;

use names::Names;
use rows::Rows;

#[derive(Clone, Default)]
pub struct Graph {
    names: Names,
    /// What each node depends on.
    forward: Rows,
    /// What depends on each node.
    backward: Rows,
    deprecated: Vec<bool>,
}

/// Which way the edges are followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To what a node depends on.
    Dependencies,
    /// To what depends on a node.
    Dependents,
}

impl Graph {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many edges there are, each counted once.
    pub fn edge_count(&self) -> usize {
        self.forward.edges()
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.find(name)
    }

    pub fn name(&self, node: u32) -> &str {
        self.names.get(node)
    }

    pub fn nodes(&self) -> std::ops::Range<u32> {
        0..self.len() as u32
    }

    /// The nodes one step away.
    pub fn next(&self, node: u32, direction: Direction) -> &[u32] {
        self.rows(direction).of(node)
    }

    /// (node, dependency), in the order of the nodes.
    pub fn edges(&self) -> impl Iterator<Item = (u32, u32)> {
        self.nodes().flat_map(|node| self.forward.of(node).iter().map(move |&target| (node, target)))
    }

    pub fn is_deprecated(&self, node: u32) -> bool {
        self.deprecated[node as usize]
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.names.bytes() + self.forward.bytes() + self.backward.bytes() + self.deprecated.capacity()
    }

    fn rows(&self, direction: Direction) -> &Rows {
        match direction {
            Direction::Dependencies => &self.forward,
            Direction::Dependents => &self.backward,
        }
    }
}
