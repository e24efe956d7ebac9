//! Cycles, and an order where there is none.
//!
//! Components are found by Pearce's form of Tarjan's algorithm (D. J. Pearce, "A space-efficient algorithm for finding strongly
//! connected components", 2016), which needs one number a node. Its recursion is a list of frames here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::Graph;
use super::rows::Rows;

/// A node that no walk has come to.
const UNSEEN: u32 = 0;

struct Frame {
    node: u32,
    rank: u32,
    /// The lowest rank that it reaches.
    lowest: u32,
    /// Which of its edges are left, as places among all targets.
    edges: Range<usize>,
}

/// While a node is under way, `ranks` has the rank at which it was found, counted from 1; when its edges are done, the lowest rank
/// that it reaches; and when its component is complete, that component's number, counted down from `u32::MAX`, which no rank comes up to.
struct Search<'g> {
    forward: &'g Rows,
    ranks: Vec<u32>,
    /// Nodes whose edges are done and whose component is not.
    open: Vec<u32>,
    rank: u32,
    components: u32,
    loops: Vec<u32>,
}

impl Search<'_> {
    fn run(&mut self, start: u32) {
        let (targets, mut path) = (self.forward.targets(), Vec::new());
        let mut frame = self.enter(start);
        loop {
            if let Some(&target) = targets[frame.edges.clone()].first() {
                let rank = self.ranks[target as usize];
                if rank == UNSEEN {
                    // The edge stays the next one until its end is done: then its rank is looked at.
                    path.push(std::mem::replace(&mut frame, self.enter(target)));
                    continue;
                }
                frame.edges.start += 1;
                if target == frame.node {
                    self.loops.push(target);
                }
                frame.lowest = frame.lowest.min(rank);
            } else {
                self.leave(&frame);
                match path.pop() {
                    Some(before) => frame = before,
                    None => return,
                }
            }
        }
    }

    fn enter(&mut self, node: u32) -> Frame {
        let rank = self.rank;
        self.ranks[node as usize] = rank;
        self.rank += 1;
        Frame { node, rank, lowest: rank, edges: self.forward.range(node) }
    }

    fn leave(&mut self, frame: &Frame) {
        if frame.lowest < frame.rank {
            self.ranks[frame.node as usize] = frame.lowest;
            self.open.push(frame.node);
            return;
        }
        let number = u32::MAX - self.components;
        while let Some(&last) = self.open.last()
            && self.ranks[last as usize] >= frame.rank
        {
            self.ranks[last as usize] = number;
            self.open.pop();
            self.rank -= 1;
        }
        self.ranks[frame.node as usize] = number;
        self.rank -= 1;
        self.components += 1;
    }
}

/// The strongly connected components: their number, and which one each node is in. A component has a higher number than all that
/// it depends on.
pub struct Components {
    pub count: usize,
    pub of: Vec<u32>,
    /// The nodes that depend on themselves.
    loops: Vec<u32>,
}

impl Components {
    /// Which components are cycles: of more than one node, or of one that depends on itself.
    pub fn cyclic(&self) -> Vec<bool> {
        let mut sizes = vec![0_u32; self.count];
        self.of.iter().for_each(|&component| sizes[component as usize] += 1);
        let mut cyclic: Vec<bool> = sizes.iter().map(|&size| size > 1).collect();
        self.loops.iter().for_each(|&node| cyclic[self.of[node as usize] as usize] = true);
        cyclic
    }
}

impl Graph {
    pub fn components(&self) -> Components {
        let ranks = vec![UNSEEN; self.len()];
        let mut search =
            Search { forward: &self.forward, ranks, open: Vec::new(), rank: 1, components: 0, loops: Vec::new() };
        for node in self.nodes() {
            if search.ranks[node as usize] == UNSEEN {
                search.run(node);
            }
        }
        let mut of = search.ranks;
        of.iter_mut().for_each(|rank| *rank = u32::MAX - *rank);
        Components { count: search.components as usize, of, loops: search.loops }
    }

    /// The components that are cycles, in the order of their first nodes.
    pub fn cycles(&self) -> Vec<Vec<u32>> {
        let components = self.components();
        if components.count == self.len() && components.loops.is_empty() {
            return Vec::new();
        }
        let cyclic = components.cyclic();
        let mut places = vec![usize::MAX; components.count];
        let mut cycles: Vec<Vec<u32>> = Vec::new();
        for node in self.nodes() {
            let component = components.of[node as usize] as usize;
            if !cyclic[component] {
                continue;
            }
            if places[component] == usize::MAX {
                places[component] = cycles.len();
                cycles.push(Vec::new());
            }
            cycles[places[component]].push(node);
        }
        cycles
    }

    /// The nodes, each behind all that it depends on; of those that may come next always the one that joined first. Else a cycle:
    /// the shortest through the first node that is in one, without its repetition at the end.
    pub fn topological_order(&self) -> Result<Vec<u32>, Vec<u32>> {
        let mut missing: Vec<u32> = self.nodes().map(|node| self.forward.of(node).len() as u32).collect();
        let mut ready: BinaryHeap<_> = self.nodes().filter(|&node| missing[node as usize] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for &dependent in self.backward.of(node) {
                missing[dependent as usize] -= 1;
                if missing[dependent as usize] == 0 {
                    ready.push(Reverse(dependent));
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.a_cycle()) }
    }

    fn a_cycle(&self) -> Vec<u32> {
        let components = self.components();
        let cyclic = components.cyclic();
        let first = self.nodes().find(|&node| cyclic[components.of[node as usize] as usize]);
        let mut cycle = first.and_then(|node| self.way(node, node)).unwrap_or_default();
        cycle.pop();
        cycle
    }
}
