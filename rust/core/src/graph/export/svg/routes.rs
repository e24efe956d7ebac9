//! Long edges on tracks.
//!
//! A stop is a node or a piece of a track in one column; a link joins stops of neighbouring columns. Arcs to the same node share their
//! track, if they are of the same sort: so what joins a track leads where the track leads.

use std::collections::HashMap;

use super::layers::{Layers, layers};
use crate::graph::export::view::View;

pub struct Routes {
    /// How many stops are nodes: they come first.
    pub nodes: usize,
    /// The column of each stop.
    pub columns: Vec<usize>,
    pub column_count: usize,
    pub links: Vec<Link>,
    /// Nodes that depend on themselves.
    pub loops: Vec<usize>,
    /// The sort of each piece of a track, by its stop less `nodes`.
    pub pieces: Vec<Sort>,
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Sort {
    pub in_cycle: bool,
    pub is_turned: bool,
}

pub struct Link {
    pub left: usize,
    pub right: usize,
    pub sort: Sort,
    /// The edge of the view, where the link is its own and no other's.
    pub edge: Option<usize>,
}

impl Routes {
    /// Of a part, whose nodes are sorted numbers of the view.
    pub fn new(view: &View, nodes: &[usize]) -> Self {
        let place = |node: usize| nodes.binary_search(&node).ok();
        let own = view.edges.iter().enumerate().filter_map(|(number, edge)| {
            let ends = (place(edge.from)?, place(edge.to)?);
            Some((number, ends))
        });
        let (numbers, ends): (Vec<usize>, Vec<(usize, usize)>) = own.unzip();
        let Layers { of, count, arcs } = layers(nodes.len(), &ends);
        let loops = ends.iter().filter(|ends| ends.0 == ends.1).map(|ends| ends.0).collect();
        let mut routes =
            Self { nodes: nodes.len(), columns: of, column_count: count, links: Vec::new(), loops, pieces: Vec::new() };
        let mut tracks = HashMap::new();
        for arc in arcs {
            let edge = numbers[arc.edge];
            let sort = Sort { in_cycle: view.edges[edge].in_cycle, is_turned: arc.is_turned };
            let track: &mut Vec<usize> = tracks.entry((arc.right, sort)).or_default();
            let right = routes.stop(track, arc.right, routes.columns[arc.left] + 1, sort);
            routes.links.push(Link { left: arc.left, right, sort, edge: Some(edge) });
        }
        routes
    }

    /// The stop in `column` on the way to a node, on a track whose pieces are listed from the node to the left.
    fn stop(&mut self, track: &mut Vec<usize>, node: usize, column: usize, sort: Sort) -> usize {
        let way = self.columns[node] - column;
        while track.len() < way {
            let right = track.last().copied().unwrap_or(node);
            let piece = self.columns.len();
            self.columns.push(self.columns[right] - 1);
            self.pieces.push(sort);
            self.links.push(Link { left: piece, right, sort, edge: None });
            track.push(piece);
        }
        if way == 0 { node } else { track[way - 1] }
    }
}
