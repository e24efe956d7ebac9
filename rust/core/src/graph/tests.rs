//! Small random graphs beside the plainest way to the same answer, and long chains.

use super::{Builder, Direction, Graph};

const LONG: u32 = 1_000_000;

/// Numbers by chance, the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(bound)) as u32
    }
}

fn graph(nodes: u32, edges: &[(u32, u32)]) -> Graph {
    let mut builder = Builder::default();
    for node in 0..nodes {
        builder.node(&format!("n{node}"));
    }
    edges.iter().for_each(|&(node, to)| builder.edge(node, to));
    builder.build().unwrap()
}

fn some_edges(dice: &mut Dice, nodes: u32) -> Vec<(u32, u32)> {
    (0..dice.below(3 * nodes)).map(|_| (dice.below(nodes), dice.below(nodes))).collect()
}

/// `closure[a][b]`: a path of at least one edge leads from a to b.
fn closure(graph: &Graph) -> Vec<Vec<bool>> {
    let count = graph.len();
    let mut reaches = vec![vec![false; count]; count];
    graph.edges().for_each(|(node, to)| reaches[node as usize][to as usize] = true);
    for middle in 0..count {
        for from in 0..count {
            if reaches[from][middle] {
                let through = reaches[middle].clone();
                reaches[from].iter_mut().zip(through).for_each(|(direct, more)| *direct |= more);
            }
        }
    }
    reaches
}

fn each_random_graph(check: impl Fn(&Graph, &[Vec<bool>], &mut Dice)) {
    let mut dice = Dice(42);
    for _ in 0..400 {
        let nodes = 1 + dice.below(14);
        let graph = graph(nodes, &some_edges(&mut dice, nodes));
        check(&graph, &closure(&graph), &mut dice);
    }
}

#[test]
fn what_is_reached_is_the_closure() {
    each_random_graph(|graph, closure, _| {
        for node in graph.nodes() {
            let mut there = graph.reached(&[node], Direction::Dependencies, None).nodes;
            let mut back = graph.reached(&[node], Direction::Dependents, None).nodes;
            there.sort_unstable();
            back.sort_unstable();
            let others = |&other: &u32| other != node;
            let reaches = |&to: &u32| closure[node as usize][to as usize];
            let reached = |&from: &u32| closure[from as usize][node as usize];
            assert_eq!(there, graph.nodes().filter(others).filter(reaches).collect::<Vec<_>>());
            assert_eq!(back, graph.nodes().filter(others).filter(reached).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_path_is_as_long_as_the_distance() {
    each_random_graph(|graph, closure, _| {
        for node in graph.nodes() {
            let levels = graph.reached(&[node], Direction::Dependencies, None);
            for (to, distance) in levels.distances() {
                let path = graph.path(node, to).unwrap();
                assert_eq!(path.len() as u32, distance + 1);
                assert_eq!((path[0], path[distance as usize]), (node, to));
                assert!(path.windows(2).all(|step| graph.next(step[0], Direction::Dependencies).contains(&step[1])));
            }
            let none = |&to: &u32| to != node && !closure[node as usize][to as usize];
            assert!(graph.nodes().filter(none).all(|to| graph.path(node, to).is_none()));
            assert_eq!(graph.path(node, node), Some(vec![node]));
        }
    });
}

#[test]
fn a_cycle_is_what_reaches_itself() {
    each_random_graph(|graph, closure, _| {
        let both = |a: u32, b: u32| closure[a as usize][b as usize] && closure[b as usize][a as usize];
        let mut cycles: Vec<Vec<u32>> = Vec::new();
        for node in graph.nodes().filter(|&node| both(node, node)) {
            if !cycles.iter().any(|cycle| cycle.contains(&node)) {
                cycles.push(graph.nodes().filter(|&other| both(node, other)).collect());
            }
        }
        assert_eq!(graph.cycles(), cycles);
    });
}

#[test]
fn an_order_or_a_cycle() {
    each_random_graph(|graph, closure, _| match graph.topological_order() {
        Ok(order) => {
            let mut places = vec![0; graph.len()];
            order.iter().enumerate().for_each(|(place, &node)| places[node as usize] = place);
            assert_eq!(order.len(), graph.len());
            assert!(graph.edges().all(|(node, to)| places[to as usize] < places[node as usize]));
        }
        Err(cycle) => {
            let steps = cycle.iter().zip(cycle.iter().cycle().skip(1));
            assert!(steps.clone().count() > 0);
            assert!({ steps }.all(|(&from, to)| graph.next(from, Direction::Dependencies).contains(to)));
            assert!(closure[cycle[0] as usize][cycle[0] as usize]);
        }
    });
}

#[test]
fn a_reduced_graph_reaches_the_same_by_edges_of_which_none_can_go() {
    each_random_graph(|graph, closure_before, _| {
        let reduced = graph.reduced();
        assert_eq!(closure(&reduced), closure_before);
        let edges: Vec<_> = reduced.edges().collect();
        for (at, &(from, to)) in edges.iter().enumerate() {
            let within = closure_before[to as usize][from as usize];
            let mut fewer = edges.clone();
            fewer.remove(at);
            let loses = closure(&graph_like(&reduced, &fewer)) != closure_before;
            let twin = fewer.iter().any(|&(a, b)| same(closure_before, a, from) && same(closure_before, b, to));
            assert!(within || loses || twin, "{from} → {to} follows from others");
        }
    });
}

fn same(closure: &[Vec<bool>], a: u32, b: u32) -> bool {
    a == b || closure[a as usize][b as usize] && closure[b as usize][a as usize]
}

fn graph_like(graph_: &Graph, edges: &[(u32, u32)]) -> Graph {
    graph(graph_.len() as u32, edges)
}

#[test]
fn a_graph_that_grew_is_the_one_that_was_built() {
    each_random_graph(|graph, _, dice| {
        let mut grown = Graph::default();
        let mut edges: Vec<_> = graph.edges().map(|(node, to)| (graph.name(node), graph.name(to))).collect();
        for _ in 0..edges.len() {
            let (one, other) = (dice.below(edges.len() as u32), dice.below(edges.len() as u32));
            edges.swap(one as usize, other as usize);
        }
        for (node, to) in edges {
            grown.add(node, [to, to].into_iter(), None).unwrap();
        }
        graph.nodes().for_each(|node| grown.add(graph.name(node), [].into_iter(), None).unwrap());
        assert!(grown == *graph);
        assert_eq!(grown.edge_count(), graph.edges().count());
        let turned = |graph: &Graph| {
            let names = |node: u32, from: &u32| (graph.name(node).to_owned(), graph.name(*from).to_owned());
            let backward =
                graph.nodes().flat_map(|node| graph.backward.of(node).iter().map(move |from| names(node, from)));
            let mut pairs: Vec<_> = backward.collect();
            pairs.sort();
            pairs
        };
        assert_eq!(turned(&grown), turned(graph));
        assert!(grown.nodes().all(|node| grown.backward.of(node).is_sorted()));
    });
}

#[test]
fn the_difference_leads_from_one_to_the_other() {
    let mut dice = Dice(7);
    for _ in 0..300 {
        let (nodes, more) = (1 + dice.below(9), dice.below(4));
        let old = graph(nodes, &some_edges(&mut dice, nodes));
        let new = graph(nodes + more, &some_edges(&mut dice, nodes + more));
        let changes = new.changes_since(&old);
        assert_eq!((changes.added_nodes.len(), changes.removed_nodes.len()), (more as usize, 0));
        assert_eq!(old.changes_since(&new).added_edges, changes.removed_edges);
        let mut edges: Vec<_> = old.edges().filter(|edge| !changes.removed_edges.contains(edge)).collect();
        assert!(changes.added_edges.iter().all(|edge| !edges.contains(edge)));
        edges.extend(&changes.added_edges);
        assert!(graph(nodes + more, &edges) == new);
        assert_eq!(old == new, changes.added_edges.is_empty() && changes.removed_edges.is_empty() && more == 0);
    }
}

#[test]
fn marks_are_part_of_a_graph() {
    let mut one = graph(3, &[(0, 1)]);
    let other = one.clone();
    one.add("n1", [].into_iter(), Some(true)).unwrap();
    assert!(one != other);
    let changes = one.changes_since(&other);
    assert_eq!((changes.deprecated, changes.undeprecated), (vec![1], vec![]));
    assert_eq!(other.changes_since(&one).undeprecated, vec![1]);
    assert!(one.subgraph(&[1, 2]).is_deprecated(0) && one.reduced().is_deprecated(1));
    one.add("n1", ["n2"].into_iter(), None).unwrap();
    assert!(one.is_deprecated(1));
}

#[test]
fn a_depth_is_kept() {
    let chain = graph(10, &(0..9).map(|node| (node, node + 1)).collect::<Vec<_>>());
    assert_eq!(chain.reached(&[2], Direction::Dependencies, Some(3)).nodes, [3, 4, 5]);
    assert_eq!(chain.reached(&[2, 3], Direction::Dependents, Some(1)).nodes, [1]);
    assert!(chain.reached(&[2], Direction::Dependencies, Some(0)).nodes.is_empty());
}

#[test]
fn a_long_chain_is_no_matter() {
    let edges: Vec<_> = (0..LONG - 1).map(|node| (node, node + 1)).collect();
    let chain = graph(LONG, &edges);
    assert_eq!(chain.reached(&[0], Direction::Dependencies, None).nodes.len(), LONG as usize - 1);
    assert_eq!(chain.path(0, LONG - 1).unwrap().len(), LONG as usize);
    assert_eq!(chain.topological_order().unwrap()[0], LONG - 1);
    assert!(chain.cycles().is_empty());
    assert!(chain.reduced() == chain);
    let mut ring = edges;
    ring.push((LONG - 1, 0));
    let ring = graph(LONG, &ring);
    assert_eq!(ring.cycles()[0].len(), LONG as usize);
    assert_eq!(ring.topological_order().unwrap_err().len(), LONG as usize);
    assert_eq!(ring.changes_since(&chain).added_edges, [(LONG - 1, 0)]);
}

#[test]
fn growth_leaves_no_more_gaps_than_rows() {
    let mut graph = Graph::default();
    for number in 0..20_000_u32 {
        let names = [format!("m{}", number % 7), format!("m{}", number % 501), "hub".to_owned()];
        graph.add(&format!("m{number}"), names.iter().map(String::as_str), None).unwrap();
    }
    assert_eq!(graph.next(graph.find("hub").unwrap(), Direction::Dependents).len(), 20_000);
    assert!(graph.bytes() < 200 * 20_000, "{} bytes a node", graph.bytes() / 20_000);
}
