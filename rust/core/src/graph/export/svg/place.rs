//! Where stops are: columns from left to right, and in each column the stops as near to their neighbours as their order allows.

use super::boxes::Label;
use super::routes::Routes;

const SWEEPS: usize = 12;
/// What all sweeps together may look at, in links.
const MOST_WORK: usize = 4_000_000;
/// Between two nodes, and around a track.
const GAP: f64 = 14.0;
const TRACK_GAP: f64 = 8.0;
/// A straight track is worth more than a node in the middle of its neighbours.
const TRACK_WEIGHT: f64 = 4.0;
/// A stop without neighbours on the side that is looked at gives way to those that have some.
const LONE_WEIGHT: f64 = 0.05;
const NARROWEST: f64 = 56.0;
const WIDEST: f64 = 180.0;

/// Where each column begins, and where its widest label ends. The more links there are between two columns the more room they have.
pub fn columns(routes: &Routes, nodes: &[usize], labels: &[Label]) -> Vec<(f64, f64)> {
    let mut widths = vec![0.0_f64; routes.column_count];
    for (place, &node) in nodes.iter().enumerate() {
        let width = &mut widths[routes.columns[place]];
        *width = width.max(labels[node].width);
    }
    let mut links = vec![0_u32; routes.column_count];
    routes.links.iter().for_each(|link| links[routes.columns[link.left]] += 1);
    let mut start = 0.0;
    let place = |(width, links): (f64, u32)| {
        let column = (start, start + width);
        start += width + (NARROWEST + 7.0 * f64::from(links).sqrt()).min(WIDEST);
        column
    };
    widths.into_iter().zip(links).map(place).collect()
}

/// The middles of all stops, and the height of all.
pub fn middles(routes: &Routes, columns: &[Vec<usize>], nodes: &[usize], labels: &[Label]) -> (Vec<f64>, f64) {
    let half = |stop: usize| if stop < routes.nodes { labels[nodes[stop]].height / 2.0 } else { 1.0 };
    let gap = |one: usize, other: usize| if one.max(other) < routes.nodes { GAP } else { TRACK_GAP };
    let apart = |one: usize, other: usize| half(one) + gap(one, other) + half(other);
    let (mut lefts, mut rights) = (vec![Vec::new(); routes.columns.len()], vec![Vec::new(); routes.columns.len()]);
    for link in &routes.links {
        lefts[link.right].push(link.left);
        rights[link.left].push(link.right);
    }
    let mut middles = vec![0.0; routes.columns.len()];
    let offsets: Vec<Vec<f64>> = columns.iter().map(|column| offsets(column, &apart)).collect();
    for (column, offsets) in columns.iter().zip(&offsets) {
        let last = offsets.last().copied().unwrap_or(0.0);
        column.iter().zip(offsets).for_each(|(&stop, offset)| middles[stop] = offset - last / 2.0);
    }
    let sweeps = (MOST_WORK / (routes.links.len() + 1)).clamp(4, SWEEPS);
    for sweep in 0..sweeps {
        let is_to_right = sweep % 2 == 0;
        for step in 0..columns.len() {
            let at = if is_to_right { step } else { columns.len() - 1 - step };
            let wanted = columns[at].iter().map(|&stop| {
                let near: [&[usize]; 2] = match (sweep + 2 > sweeps, is_to_right) {
                    (true, _) => [&lefts[stop], &rights[stop]],
                    (false, true) => [&lefts[stop], &[]],
                    (false, false) => [&[], &rights[stop]],
                };
                let count = near[0].len() + near[1].len();
                let sum: f64 = near.iter().flat_map(|stops| stops.iter()).map(|&stop| middles[stop]).sum();
                match (count, stop < routes.nodes) {
                    (0, _) => (middles[stop], LONE_WEIGHT),
                    (_, true) => (sum / count as f64, 1.0),
                    (_, false) => (sum / count as f64, TRACK_WEIGHT),
                }
            });
            let placed = settled(wanted.collect(), &offsets[at]);
            columns[at].iter().zip(placed).for_each(|(&stop, middle)| middles[stop] = middle);
        }
    }
    let stops = || columns.iter().flatten();
    let top = stops().map(|&stop| middles[stop] - half(stop)).fold(f64::INFINITY, f64::min);
    middles.iter_mut().for_each(|middle| *middle -= top);
    let bottom = stops().map(|&stop| middles[stop] + half(stop)).fold(0.0, f64::max);
    (middles, bottom)
}

/// How far below the first stop each one is at least.
fn offsets(column: &[usize], apart: &impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = vec![0.0; column.len().min(1)];
    for pair in column.windows(2) {
        offset += apart(pair[0], pair[1]);
        offsets.push(offset);
    }
    offsets
}

/// The places that are nearest to the wanted ones, by weighted squares, and far enough apart: regression to a rising sequence, in which
/// neighbours that would stand in the wrong order are pooled.
fn settled(wanted: Vec<(f64, f64)>, offsets: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((place, weight), offset) in wanted.into_iter().zip(offsets) {
        let mut pool = (place - offset, weight, 1);
        while let Some(&(above, weight, count)) = pools.last()
            && above > pool.0
        {
            let sum = weight + pool.1;
            pool = ((above * weight + pool.0 * pool.1) / sum, sum, count + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let settled = pools.into_iter().flat_map(|(place, _, count)| std::iter::repeat_n(place, count));
    settled.zip(offsets).map(|(place, offset)| place + offset).collect()
}
