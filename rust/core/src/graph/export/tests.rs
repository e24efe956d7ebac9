//! Every format on hostile names, on drawings of many shapes, and on the largest that may be drawn.

use super::{Format, Selection};
use crate::graph::{Builder, Direction, Graph};

const FORMATS: [Format; 5] = [Format::Json, Format::Dot, Format::Mermaid, Format::Cytoscape, Format::Svg];

fn graph(edges: &[(usize, usize)], nodes: usize) -> Graph {
    let mut builder = Builder::default();
    (0..nodes).for_each(|node| _ = builder.node(&format!("n{node:05}")));
    edges.iter().for_each(|&(from, to)| builder.edge(from as u32, to as u32));
    builder.build().unwrap()
}

fn all() -> Selection {
    Selection { root: None, direction: Direction::Dependencies, depth: None, most: None, title: None }
}

#[test]
fn an_empty_graph_has_each_form() {
    for format in FORMATS {
        assert!(!graph(&[], 0).to(format, &all()).is_empty(), "{format:?}");
        assert!(!graph(&[(0, 0)], 1).to(format, &all()).is_empty(), "{format:?}");
    }
}

#[test]
fn what_is_left_out_is_counted() {
    let edges: Vec<_> = (1..=400).map(|node| (0, node)).chain([(400, 401), (401, 402)]).collect();
    let wide = graph(&edges, 500);
    let svg = wide.to(Format::Svg, &Selection { root: Some(0), most: Some(90), ..all() });
    assert_eq!(svg.matches("<g><title>").count(), 90);
    assert!(svg.contains("90 nodes, 89 dependencies, and 313 more"), "{svg}");
    assert!(svg.contains(">and 311 more</text>"));
    let near =
        wide.to(Format::Svg, &Selection { root: Some(402), direction: Direction::Dependents, depth: Some(2), ..all() });
    assert!(near.contains("3 nodes, 2 dependencies, and 1 more"));
    assert!(near.contains(">and 1 more</text>") && near.contains("<title>Dependents of n00402</title>"));
}

#[test]
fn equal_graphs_are_drawn_alike() {
    let edges: Vec<_> = (0..300).map(|at| (at * 7 % 97, at * 31 % 89)).collect();
    let one = graph(&edges, 97);
    let mut other = Graph::default();
    for &(from, to) in edges.iter().rev() {
        other.add(&format!("n{from:05}"), [format!("n{to:05}").as_str()].into_iter(), None).unwrap();
    }
    (0..97).for_each(|node| other.add(&format!("n{node:05}"), [].into_iter(), None).unwrap());
    for selection in [all(), Selection { most: Some(20), ..all() }, Selection { depth: Some(2), ..all() }] {
        FORMATS.iter().for_each(|&format| assert!(one.to(format, &selection) == other.to(format, &selection)));
    }
}

#[test]
fn the_largest_drawing_ends() {
    let count = Format::Svg.most_nodes().unwrap();
    let chain: Vec<_> = (1..count).map(|node| (node - 1, node)).collect();
    let jumps: Vec<_> = (0..count).flat_map(|node| [(0, node), (node, count - 1), (node, node * 7 % count)]).collect();
    let edges = [chain, jumps].concat();
    assert_eq!(graph(&edges, count).to(Format::Svg, &all()).matches("<g><title>").count(), count);
    let dense: Vec<_> = (0..120).flat_map(|from| (0..from).map(move |to| (from, to))).collect();
    assert_eq!(graph(&dense, 120).to(Format::Svg, &all()).matches("<g><title>").count(), 120);
}
