//! Whether two graphs are the same, and what differs. The order of nodes is no part of a graph.

use super::{Direction, Graph};

/// What one graph has and an earlier one had not, and the other way round.
#[derive(Default)]
pub struct Changes {
    /// Nodes of the later graph.
    pub added_nodes: Vec<u32>,
    /// Nodes of the earlier one.
    pub removed_nodes: Vec<u32>,
    pub added_edges: Vec<(u32, u32)>,
    pub removed_edges: Vec<(u32, u32)>,
    /// Nodes of the later graph that are deprecated there, and were not or did not exist.
    pub deprecated: Vec<u32>,
    /// Nodes of the later graph that are no longer deprecated.
    pub undeprecated: Vec<u32>,
}

impl Graph {
    /// What has changed since `earlier`, each list in the order of the graph that has what it lists.
    pub fn changes_since(&self, earlier: &Graph) -> Changes {
        let there = self.places_in(earlier);
        let here = earlier.places_in(self);
        let was_deprecated = |node: u32| there[node as usize].is_some_and(|old| earlier.is_deprecated(old));
        let changed = |now: bool| move |&node: &u32| self.is_deprecated(node) == now && was_deprecated(node) != now;
        let lone = |places: &[Option<u32>]| -> Vec<u32> {
            (0..places.len() as u32).filter(|&node| places[node as usize].is_none()).collect()
        };
        Changes {
            added_nodes: lone(&there),
            removed_nodes: lone(&here),
            added_edges: self.edges_not_in(earlier, &there, &here),
            removed_edges: earlier.edges_not_in(self, &here, &there),
            deprecated: self.nodes().filter(changed(true)).collect(),
            undeprecated: self.nodes().filter(changed(false)).collect(),
        }
    }

    /// For each node the one of this name in `other`.
    fn places_in(&self, other: &Graph) -> Vec<Option<u32>> {
        self.nodes().map(|node| other.find(self.name(node))).collect()
    }

    fn edges_not_in(&self, other: &Graph, there: &[Option<u32>], here: &[Option<u32>]) -> Vec<(u32, u32)> {
        let mut lone = Vec::new();
        let mut held = Vec::new();
        for node in self.nodes() {
            held.clear();
            if let Some(twin) = there[node as usize] {
                let known = other.next(twin, Direction::Dependencies).iter().filter_map(|&to| here[to as usize]);
                held.extend(known);
            }
            held.sort_unstable();
            let targets = self.next(node, Direction::Dependencies).iter();
            lone.extend(targets.filter(|to| held.binary_search(to).is_err()).map(|&to| (node, to)));
        }
        lone
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        if (self.len(), self.edge_count()) != (other.len(), other.edge_count()) {
            return false;
        }
        let there = self.places_in(other);
        let same_mark =
            |node: u32| there[node as usize].is_some_and(|twin| self.is_deprecated(node) == other.is_deprecated(twin));
        if !self.nodes().all(same_mark) {
            return false;
        }
        // Of as many edges as the other has none is missing there, so none is missing here.
        let has = |(node, to): (u32, u32)| match (there[node as usize], there[to as usize]) {
            (Some(node), Some(to)) => other.next(node, Direction::Dependencies).binary_search(&to).is_ok(),
            _ => false,
        };
        self.edges().all(has)
    }
}

impl Eq for Graph {}
