//! What is reached in how many steps, and by which nodes.

use super::{Direction, Graph};

/// No node; also how far a walk without a limit may go.
const NONE: u32 = u32::MAX;

/// Nodes by their distance from where a walk began, those of a distance in the order in which they joined the graph.
pub struct Levels {
    pub nodes: Vec<u32>,
    /// Where in `nodes` those of each distance end, from distance 1 on.
    ends: Vec<usize>,
}

impl Levels {
    /// Each node with its distance.
    pub fn distances(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut distance = 0;
        self.nodes.iter().enumerate().map(move |(at, &node)| {
            while at >= self.ends[distance] {
                distance += 1;
            }
            (node, distance as u32 + 1)
        })
    }
}

impl Graph {
    /// All that is reached from `starts` in at most `depth` steps. The starts are not among it, not even in a cycle.
    pub fn reached(&self, starts: &[u32], direction: Direction, depth: Option<u32>) -> Levels {
        let rows = self.rows(direction);
        let mut seen = vec![false; self.len()];
        starts.iter().for_each(|&start| seen[start as usize] = true);
        let mut levels = Levels { nodes: Vec::new(), ends: Vec::new() };
        let mut from = starts.to_vec();
        for _ in 0..depth.unwrap_or(NONE) {
            let start = levels.nodes.len();
            for &node in &from {
                let new = rows.of(node).iter().filter(|&&next| !std::mem::replace(&mut seen[next as usize], true));
                levels.nodes.extend(new);
            }
            if levels.nodes.len() == start {
                break;
            }
            levels.nodes[start..].sort_unstable();
            levels.ends.push(levels.nodes.len());
            from.clear();
            from.extend_from_slice(&levels.nodes[start..]);
        }
        levels
    }

    /// A shortest path along dependencies with both its ends, always the same one.
    pub fn path(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        if from == to { Some(vec![from]) } else { self.way(from, to) }
    }

    /// A shortest path of at least one edge: where both ends are the same, it begins and ends there.
    pub(super) fn way(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        let mut before = vec![NONE; self.len()];
        let mut queue = vec![from];
        let mut at = 0;
        while at < queue.len() {
            let node = queue[at];
            at += 1;
            for &next in self.forward.of(node) {
                if before[next as usize] != NONE {
                    continue;
                }
                before[next as usize] = node;
                if next == to {
                    return Some(traced(&before, from, to));
                }
                queue.push(next);
            }
        }
        None
    }
}

fn traced(before: &[u32], from: u32, to: u32) -> Vec<u32> {
    let mut path = vec![to];
    let mut node = before[to as usize];
    while node != from {
        path.push(node);
        node = before[node as usize];
    }
    path.push(from);
    path.reverse();
    path
}
