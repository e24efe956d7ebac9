//! Connected parts: found, and packed like books on shelves.

use super::Part;
use crate::graph::export::view::View;

const GAP: f64 = 36.0;
/// A drawing of many parts is about that much wider than high.
const SHAPE: f64 = 1.4;

/// The nodes of each connected part, sorted.
pub fn parts(view: &View) -> Vec<Vec<usize>> {
    let mut near = vec![Vec::new(); view.len()];
    for edge in &view.edges {
        near[edge.from].push(edge.to);
        near[edge.to].push(edge.from);
    }
    let mut seen = vec![false; view.len()];
    let mut parts = Vec::new();
    for start in 0..view.len() {
        let (mut part, mut left) = (Vec::new(), vec![start]);
        while let Some(node) = left.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                part.push(node);
                left.extend(&near[node]);
            }
        }
        if !part.is_empty() {
            part.sort_unstable();
            parts.push(part);
        }
    }
    parts
}

/// The parts with their corners, and the size of all: the largest first.
pub struct Packed {
    pub parts: Vec<(f64, f64, Part)>,
    pub width: f64,
    pub height: f64,
}

pub fn packed(mut parts: Vec<Part>) -> Packed {
    parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
    let area: f64 = parts.iter().map(|part| (part.width + GAP) * (part.height + GAP)).sum();
    let widest = parts.iter().map(|part| part.width).fold((area * SHAPE).sqrt(), f64::max);
    let mut packed = Packed { parts: Vec::new(), width: 0.0, height: 0.0 };
    // A shelf is as high as its first part; smaller ones stand on each other in its further columns.
    let (mut shelf, mut shelf_height) = (0.0, 0.0);
    let (mut x, mut y, mut column_width) = (0.0, 0.0, 0.0_f64);
    for part in parts {
        if y + part.height > shelf_height {
            (x, y, column_width) = (x + column_width, 0.0, 0.0);
        }
        if x + part.width > widest && y == 0.0 {
            (shelf, x) = (packed.height + GAP, 0.0);
        }
        if x == 0.0 && y == 0.0 {
            shelf_height = part.height;
        }
        packed.width = packed.width.max(x + part.width);
        packed.height = packed.height.max(shelf + y + part.height);
        column_width = column_width.max(part.width + GAP);
        let corner = shelf + y;
        y += part.height + GAP;
        packed.parts.push((x, corner, part));
    }
    packed
}
