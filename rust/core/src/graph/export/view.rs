//! What of a graph is shown.

use std::collections::{HashSet, VecDeque};

use super::text::shown;
use crate::graph::{Direction, Graph};

/// What is to be shown: all, or what a node reaches.
pub struct Selection {
    pub root: Option<u32>,
    pub direction: Direction,
    /// How many steps from the root, or from where nothing leads to.
    pub depth: Option<u32>,
    pub most: Option<usize>,
    pub title: Option<String>,
}

/// The chosen nodes in the order of their names, numbered anew, and the edges among them in the order of their ends.
pub struct View<'g> {
    graph: &'g Graph,
    nodes: Vec<u32>,
    pub edges: Vec<Edge>,
    in_cycle: Vec<bool>,
    more: Vec<usize>,
    /// How many nodes are left out.
    pub hidden: usize,
    pub title: String,
}

pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// Whether both ends are in the same cycle.
    pub in_cycle: bool,
}

impl<'g> View<'g> {
    pub fn new(graph: &'g Graph, selection: &Selection) -> Self {
        let mut nodes = chosen(graph, selection);
        let all = match selection.root {
            Some(root) => 1 + graph.reached(&[root], selection.direction, None).nodes.len(),
            None => graph.len(),
        };
        nodes.sort_unstable_by_key(|&node| graph.name(node));
        let hidden = all - nodes.len();
        let mut places = vec![usize::MAX; graph.len()];
        nodes.iter().enumerate().for_each(|(place, &node)| places[node as usize] = place);
        let more = nodes.iter().map(|&node| {
            graph.next(node, selection.direction).iter().filter(|&&to| places[to as usize] == usize::MAX).count()
        });
        let more = if hidden == 0 { vec![0; nodes.len()] } else { more.collect() };
        let (edges, in_cycle) = edges(graph, &nodes, &places);
        Self { graph, edges, in_cycle, more, hidden, title: title(graph, selection), nodes }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn name(&self, node: usize) -> &'g str {
        self.graph.name(self.nodes[node])
    }

    pub fn is_deprecated(&self, node: usize) -> bool {
        self.graph.is_deprecated(self.nodes[node])
    }

    pub fn in_cycle(&self, node: usize) -> bool {
        self.in_cycle[node]
    }

    /// How many of a node's direct neighbours are left out.
    pub fn more(&self, node: usize) -> usize {
        self.more[node]
    }

    /// How many nodes a node depends on, and how many depend on it, shown or not.
    pub fn degrees(&self, node: usize) -> (usize, usize) {
        let count = |direction| self.graph.next(self.nodes[node], direction).len();
        (count(Direction::Dependencies), count(Direction::Dependents))
    }
}

fn title(graph: &Graph, selection: &Selection) -> String {
    match (&selection.title, selection.root, selection.direction) {
        (Some(title), ..) => title.clone(),
        (None, None, _) => "Dependencies".into(),
        (None, Some(root), Direction::Dependencies) => format!("Dependencies of {}", shown(graph.name(root))),
        (None, Some(root), Direction::Dependents) => format!("Dependents of {}", shown(graph.name(root))),
    }
}

fn edges(graph: &Graph, nodes: &[u32], places: &[usize]) -> (Vec<Edge>, Vec<bool>) {
    let components = graph.components();
    let cyclic = components.cyclic();
    let part = |node: u32| components.of[node as usize] as usize;
    let mut edges = Vec::new();
    for (from, &node) in nodes.iter().enumerate() {
        let start = edges.len();
        for &target in graph.next(node, Direction::Dependencies) {
            let to = places[target as usize];
            if to != usize::MAX {
                edges.push(Edge { from, to, in_cycle: part(node) == part(target) });
            }
        }
        edges[start..].sort_unstable_by_key(|edge| edge.to);
    }
    (edges, nodes.iter().map(|&node| cyclic[part(node)]).collect())
}

fn chosen(graph: &Graph, selection: &Selection) -> Vec<u32> {
    let most = selection.most.unwrap_or(usize::MAX);
    if selection.root.is_none() && selection.depth.is_none() && graph.len() <= most {
        return graph.nodes().collect();
    }
    let starts = selection.root.map_or_else(|| beginnings(graph, selection.direction), |root| vec![root]);
    let mut nodes = starts.clone();
    nodes.extend(graph.reached(&starts, selection.direction, selection.depth).nodes);
    if nodes.len() > most { nearest(graph, selection.direction, &starts, &nodes, most) } else { nodes }
}

/// A node of each component that no other leads to, by name: from them everything is reached.
fn beginnings(graph: &Graph, direction: Direction) -> Vec<u32> {
    let components = graph.components();
    let part = |node: u32| components.of[node as usize] as usize;
    let mut led_to = vec![false; components.count];
    for (node, target) in graph.edges().filter(|&(node, target)| part(node) != part(target)) {
        led_to[part(if direction == Direction::Dependencies { target } else { node })] = true;
    }
    let mut nodes: Vec<u32> = graph.nodes().filter(|&node| !led_to[part(node)]).collect();
    nodes.sort_unstable_by_key(|&node| graph.name(node));
    let mut taken = HashSet::new();
    nodes.retain(|&node| taken.insert(part(node)));
    nodes
}

/// At most `most` of the nodes: what is nearest to the first start, then what is nearest to the next, neighbours in the order of names.
fn nearest(graph: &Graph, direction: Direction, starts: &[u32], nodes: &[u32], most: usize) -> Vec<u32> {
    let mut left = vec![false; graph.len()];
    nodes.iter().for_each(|&node| left[node as usize] = true);
    let (mut taken, mut queue) = (Vec::with_capacity(most), VecDeque::new());
    for &start in starts {
        queue.extend(std::mem::take(&mut left[start as usize]).then_some(start));
        while let Some(node) = queue.pop_front() {
            if taken.len() == most {
                return taken;
            }
            taken.push(node);
            let mut next: Vec<u32> = graph.next(node, direction).to_vec();
            next.retain(|&to| std::mem::take(&mut left[to as usize]));
            next.sort_unstable_by_key(|&to| graph.name(to));
            queue.extend(next);
        }
    }
    taken
}
