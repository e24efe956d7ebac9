//! The fewest edges that reach the same.
//!
//! An edge u → v between two components follows from others if another dependency of u reaches v. Which nodes reach v is found for
//! BLOCK targets at once, a bit for each, by one pass over all edges; only targets with two edges or more are looked at. So the
//! bound is nodes × edges / BLOCK steps of four words, and a tree or a chain costs nothing. The classical ways take a walk for each
//! node, or a table of nodes × nodes.

use super::Graph;
use super::components::Components;

const WORDS: usize = 4;
const BLOCK: usize = 64 * WORDS;
type Bits = [u64; WORDS];
const NO_BITS: Bits = [0; WORDS];

impl Graph {
    /// Without the edges that follow from others. Those within a cycle all stay, and those between the same two cycles stay or go
    /// together, so the result is the only one there is.
    pub fn reduced(&self) -> Graph {
        let components = self.components();
        let between = Between::new(self, &components);
        let (redundant, of) = (between.redundant(), &components.of);
        self.with_edges(self.nodes(), |node| {
            let redundant = &redundant[of[node as usize] as usize];
            let stays = |to: &u32| redundant.binary_search(&of[*to as usize]).is_err();
            self.forward.of(node).iter().copied().filter(stays)
        })
    }
}

/// The edges between components, which have no cycle: each leads from a higher number to a lower one.
struct Between {
    edges: Vec<Vec<u32>>,
}

impl Between {
    fn new(graph: &Graph, components: &Components) -> Self {
        let mut edges = vec![Vec::new(); components.count];
        for (node, target) in graph.edges() {
            let (from, to) = (components.of[node as usize], components.of[target as usize]);
            if from != to {
                edges[from as usize].push(to);
            }
        }
        for targets in &mut edges {
            targets.sort_unstable();
            targets.dedup();
        }
        Self { edges }
    }

    /// For each component the sorted ends of its edges that follow from others.
    fn redundant(&self) -> Vec<Vec<u32>> {
        let mut indegree = vec![0_u32; self.edges.len()];
        self.edges.iter().flatten().for_each(|&to| indegree[to as usize] += 1);
        let targets: Vec<u32> = (0..self.edges.len() as u32).filter(|&to| indegree[to as usize] > 1).collect();
        let mut redundant = vec![Vec::new(); self.edges.len()];
        for block in targets.chunks(BLOCK) {
            self.look_at(block, &mut redundant);
        }
        redundant
    }

    /// `block` is sorted, and nothing below its first is behind any of it.
    fn look_at(&self, block: &[u32], redundant: &mut [Vec<u32>]) {
        let (lowest, highest) = (block[0], block[block.len() - 1]);
        let mut reached = vec![NO_BITS; self.edges.len() - lowest as usize];
        for from in lowest..self.edges.len() as u32 {
            let (mut near, mut far) = (NO_BITS, NO_BITS);
            for &to in self.edges[from as usize].iter().filter(|&&to| to >= lowest) {
                far.iter_mut().zip(&reached[(to - lowest) as usize]).for_each(|(far, reached)| *far |= reached);
                if to <= highest
                    && let Ok(bit) = block.binary_search(&to)
                {
                    near[bit / 64] |= 1 << (bit % 64);
                }
            }
            let both = (0..block.len()).filter(|bit| near[bit / 64] & far[bit / 64] & 1 << (bit % 64) != 0);
            if near.iter().zip(&far).any(|(near, far)| near & far != 0) {
                redundant[from as usize].extend(both.map(|bit| block[bit]));
            }
            near.iter_mut().zip(&far).for_each(|(near, far)| *near |= far);
            reached[(from - lowest) as usize] = near;
        }
    }
}
