//! Which column each node is in.

/// Nodes are numbered from 0. `arcs` lead from left to right: an edge that would close a cycle is turned round.
pub struct Layers {
    pub of: Vec<usize>,
    pub count: usize,
    pub arcs: Vec<Arc>,
}

#[derive(Clone, Copy)]
pub struct Arc {
    pub left: usize,
    pub right: usize,
    /// Its place among the given edges.
    pub edge: usize,
    pub is_turned: bool,
}

/// Edges from a node to itself have no arc.
pub fn layers(nodes: usize, edges: &[(usize, usize)]) -> Layers {
    let mut out = vec![Vec::new(); nodes];
    let mut indegree = vec![0; nodes];
    for (number, &(from, to)) in edges.iter().enumerate().filter(|(_, ends)| ends.0 != ends.1) {
        out[from].push((to, number));
        indegree[to] += 1;
    }
    let (closing, order) = searched(&out, &indegree);
    let arc = |(edge, &(from, to)): (usize, &(usize, usize))| match closing[edge] {
        true => Arc { left: to, right: from, edge, is_turned: true },
        false => Arc { left: from, right: to, edge, is_turned: false },
    };
    let arcs: Vec<Arc> = edges.iter().enumerate().filter(|(_, ends)| ends.0 != ends.1).map(arc).collect();
    let of = columns(nodes, &arcs, &order);
    Layers { count: of.iter().max().map_or(0, |last| last + 1), of, arcs }
}

/// Depth first: which edges lead back to a node under way, and the nodes in the order in which they were done, turned round: each is
/// before all that it leads to.
fn searched(out: &[Vec<(usize, usize)>], indegree: &[usize]) -> (Vec<bool>, Vec<usize>) {
    let count = out.iter().map(Vec::len).sum::<usize>();
    let numbers = out.iter().flatten().map(|&(_, number)| number + 1).max().unwrap_or(count);
    let (mut closing, mut order) = (vec![false; numbers], Vec::with_capacity(out.len()));
    let (mut seen, mut under_way) = (vec![false; out.len()], vec![false; out.len()]);
    let starts = (0..out.len()).filter(|&node| indegree[node] == 0).chain(0..out.len());
    for start in starts {
        let mut path = Vec::new();
        if !std::mem::replace(&mut seen[start], true) {
            under_way[start] = true;
            path.push((start, 0));
        }
        while let Some((node, next)) = path.last_mut() {
            let Some(&(to, number)) = out[*node].get(*next) else {
                under_way[*node] = false;
                order.push(*node);
                path.pop();
                continue;
            };
            *next += 1;
            closing[number] = under_way[to];
            if !std::mem::replace(&mut seen[to], true) {
                under_way[to] = true;
                path.push((to, 0));
            }
        }
    }
    order.reverse();
    (closing, order)
}

/// As far left as each may be; then those that have more on their right move to the right, as far as they may, which shortens more
/// edges than it lengthens.
fn columns(nodes: usize, arcs: &[Arc], order: &[usize]) -> Vec<usize> {
    let (mut lefts, mut rights) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
    for arc in arcs {
        rights[arc.left].push(arc.right);
        lefts[arc.right].push(arc.left);
    }
    let mut of = vec![0; nodes];
    for &node in order {
        of[node] = lefts[node].iter().map(|&left| of[left] + 1).max().unwrap_or(0);
    }
    for _ in 0..4 {
        for &node in order.iter().rev().filter(|&&node| rights[node].len() > lefts[node].len()) {
            of[node] = rights[node].iter().map(|&right| of[right] - 1).min().unwrap_or(of[node]);
        }
    }
    let first = of.iter().min().copied().unwrap_or(0);
    of.iter_mut().for_each(|column| *column -= first);
    of
}
