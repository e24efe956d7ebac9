//! The order of stops within each column, with few crossings.

use super::routes::Routes;

const MOST_SWEEPS: usize = 24;
/// What all sweeps together may look at, in links.
const MOST_WORK: usize = 4_000_000;

/// For each column its stops from top to bottom.
pub fn ordered(routes: &Routes) -> Vec<Vec<usize>> {
    let mut sweep = Sweep::new(routes);
    let mut best = (sweep.crossings(), sweep.columns.clone());
    let sweeps = (MOST_WORK / (routes.links.len() + 1)).clamp(2, MOST_SWEEPS);
    for number in 0..sweeps {
        sweep.run(number % 2 == 0);
        let crossings = sweep.crossings();
        if crossings < best.0 {
            best = (crossings, sweep.columns.clone());
        }
        if crossings == 0 {
            break;
        }
    }
    best.1
}

struct Sweep {
    columns: Vec<Vec<usize>>,
    places: Vec<usize>,
    lefts: Vec<Vec<usize>>,
    rights: Vec<Vec<usize>>,
}

impl Sweep {
    fn new(routes: &Routes) -> Self {
        let stops = routes.columns.len();
        let (mut lefts, mut rights) = (vec![Vec::new(); stops], vec![Vec::new(); stops]);
        for link in &routes.links {
            rights[link.left].push(link.right);
            lefts[link.right].push(link.left);
        }
        let mut sweep = Self { columns: vec![Vec::new(); routes.column_count], places: vec![0; stops], lefts, rights };
        sweep.begin(routes);
        sweep
    }

    /// Depth first along links in both directions, so that what belongs together begins together.
    fn begin(&mut self, routes: &Routes) {
        let mut seen = vec![false; self.places.len()];
        for start in 0..seen.len() {
            let mut path = vec![start];
            while let Some(stop) = path.pop() {
                if std::mem::replace(&mut seen[stop], true) {
                    continue;
                }
                let column = &mut self.columns[routes.columns[stop]];
                self.places[stop] = column.len();
                column.push(stop);
                path.extend(self.lefts[stop].iter().rev().chain(self.rights[stop].iter().rev()));
            }
        }
    }

    /// Sort each column by the mean place of its stops' neighbours on one side, column after column; then exchange stops that lie
    /// side by side where that undoes crossings.
    fn run(&mut self, to_right: bool) {
        let count = self.columns.len();
        for step in 1..count {
            let column = if to_right { step } else { count - 1 - step };
            let near = if to_right { &self.lefts } else { &self.rights };
            let mut keyed: Vec<(f64, usize)> = self.columns[column]
                .iter()
                .map(|&stop| (mean(&near[stop], &self.places).unwrap_or(self.places[stop] as f64), stop))
                .collect();
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            self.set(column, keyed.into_iter().map(|(_, stop)| stop).collect());
        }
        (0..count).for_each(|column| self.exchange(column));
    }

    fn set(&mut self, column: usize, stops: Vec<usize>) {
        stops.iter().enumerate().for_each(|(place, &stop)| self.places[stop] = place);
        self.columns[column] = stops;
    }

    fn exchange(&mut self, column: usize) {
        for place in 1..self.columns[column].len() {
            let (above, below) = (self.columns[column][place - 1], self.columns[column][place]);
            if self.between(below, above) < self.between(above, below) {
                self.columns[column].swap(place - 1, place);
                (self.places[above], self.places[below]) = (place, place - 1);
            }
        }
    }

    /// How many links of the two cross if `above` is above `below`. Stops with very many links are left as the sweep put them.
    fn between(&self, above: usize, below: usize) -> usize {
        [&self.lefts, &self.rights].map(|near| inversions(&near[above], &near[below], &self.places)).iter().sum()
    }

    fn crossings(&self) -> usize {
        let columns = self.columns.iter();
        columns.map(|column| crossings(column, &self.rights, &self.places)).sum()
    }
}

const MOST_COMPARED: usize = 64;

fn inversions(above: &[usize], below: &[usize], places: &[usize]) -> usize {
    if above.len() * below.len() > MOST_COMPARED * MOST_COMPARED {
        return 0;
    }
    let crossed = |&stop: &usize| below.iter().filter(|&&other| places[other] < places[stop]).count();
    above.iter().map(crossed).sum()
}

fn mean(stops: &[usize], places: &[usize]) -> Option<f64> {
    let sum: usize = stops.iter().map(|&stop| places[stop]).sum();
    (!stops.is_empty()).then(|| sum as f64 / stops.len() as f64)
}

/// Crossings between a column and the next one: pairs of links whose ends are in opposite orders, counted by a tree of sums.
fn crossings(column: &[usize], rights: &[Vec<usize>], places: &[usize]) -> usize {
    let highest = column.iter().flat_map(|&stop| &rights[stop]).map(|&right| places[right]).max().unwrap_or(0);
    let (mut sums, mut seen, mut crossed) = (vec![0_usize; highest + 2], 0, 0);
    for &stop in column {
        let mut ends: Vec<usize> = rights[stop].iter().map(|&right| places[right]).collect();
        ends.sort_unstable();
        for &end in &ends {
            let mut at = end + 1;
            let mut not_below = 0;
            while at > 0 {
                not_below += sums[at];
                at &= at - 1;
            }
            crossed += seen - not_below;
        }
        for end in ends {
            let mut at = end + 1;
            while at < sums.len() {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
            seen += 1;
        }
    }
    crossed
}
