//! Compressed sparse rows that may grow: for each node the sorted nodes at the other end of its edges, all in one array.
//!
//! A row that outgrows its room moves to the end of the array, into twice the room, and leaves a gap; when there is more gap than
//! row all are laid out anew. So an edge costs a constant on average, wherever it is added, and a search in its row.

use std::ops::Range;

/// Beyond that many edges the places in the array, gaps included, might not fit into 32 bits.
pub const MOST_EDGES: usize = 1 << 29;

#[derive(Clone, Default)]
pub struct Rows {
    spans: Vec<Span>,
    targets: Vec<u32>,
    edges: usize,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
    room: u32,
}

impl Rows {
    /// The rows of the edges and those of the edges turned round, without duplicates.
    ///
    /// What is spread over rows in the order of one end is sorted by that end within each row, so only the first are sorted one by one.
    pub fn both(nodes: usize, edges: &[(u32, u32)]) -> (Self, Self) {
        let mut forward = Fixed::spread(nodes, edges);
        forward.tidy();
        let backward = Fixed::spread(nodes, &forward);
        (forward.into(), backward.into())
    }

    pub fn edges(&self) -> usize {
        self.edges
    }

    pub fn of(&self, row: u32) -> &[u32] {
        &self.targets[self.range(row)]
    }

    /// Where among all targets those of a row are.
    pub fn range(&self, row: u32) -> Range<usize> {
        let Span { start, length, .. } = self.spans[row as usize];
        start as usize..(start + length) as usize
    }

    /// The targets of all rows, and gaps.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    pub fn bytes(&self) -> usize {
        size_of::<Span>() * self.spans.capacity() + size_of::<u32>() * self.targets.capacity()
    }

    /// Let there be rows for that many nodes.
    pub fn extend(&mut self, nodes: usize) {
        self.spans.resize(nodes, Span::default());
    }

    /// Put sorted targets into a row; those that were not in it yet.
    pub fn merge(&mut self, row: u32, sorted: &[u32]) -> Vec<u32> {
        let held = self.of(row);
        let new: Vec<u32> = sorted.iter().copied().filter(|target| held.binary_search(target).is_err()).collect();
        let mut merged: Vec<u32> = held.iter().chain(&new).copied().collect();
        merged.sort_unstable();
        self.make_room(row, new.len());
        let Span { start, .. } = self.spans[row as usize];
        self.targets[start as usize..][..merged.len()].copy_from_slice(&merged);
        self.spans[row as usize].length = merged.len() as u32;
        self.edges += new.len();
        new
    }

    /// Put one target into a row that does not have it.
    pub fn insert(&mut self, row: u32, target: u32) {
        let place = self.of(row).partition_point(|&held| held < target);
        self.make_room(row, 1);
        let Span { start, length, .. } = self.spans[row as usize];
        let (place, end) = (start as usize + place, (start + length) as usize);
        self.targets.copy_within(place..end, place + 1);
        self.targets[place] = target;
        self.spans[row as usize].length += 1;
        self.edges += 1;
    }

    /// Let the row have room for `more` targets.
    fn make_room(&mut self, row: u32, more: usize) {
        let span = self.spans[row as usize];
        let wanted = span.length as usize + more;
        if wanted <= span.room as usize {
            return;
        }
        let room = if span.room == 0 { wanted } else { wanted.max(2 * span.room as usize) };
        let start = self.targets.len();
        self.targets.extend_from_within(span.start as usize..(span.start + span.length) as usize);
        self.targets.resize(start + room, 0);
        self.spans[row as usize] = Span { start: start as u32, length: span.length, room: room as u32 };
        if self.targets.len() > 4 * (self.edges + more) + 64 {
            self.lay_out();
        }
    }

    /// Close the gaps; each row keeps its room.
    fn lay_out(&mut self) {
        let mut targets = Vec::with_capacity(self.spans.iter().map(|span| span.room as usize).sum());
        for span in &mut self.spans {
            let start = targets.len();
            targets.extend_from_slice(&self.targets[span.start as usize..(span.start + span.length) as usize]);
            targets.resize(start + span.room as usize, 0);
            span.start = start as u32;
        }
        self.targets = targets;
    }
}

/// Rows without any room: row `r` is what lies from `starts[r]` to `starts[r + 1]`.
struct Fixed {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Fixed {
    fn spread(rows: usize, edges: &(impl Edges + ?Sized)) -> Self {
        let mut starts = vec![0_u32; rows + 2];
        let mut count = 0;
        edges.each(|row, _| {
            starts[row as usize + 2] += 1;
            count += 1;
        });
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        // Until all are put, the place of a row's next target stands where the row's end will be.
        let mut targets = vec![0; count];
        edges.each(|row, target| {
            let place = &mut starts[row as usize + 1];
            targets[*place as usize] = target;
            *place += 1;
        });
        starts.pop();
        Self { starts, targets }
    }

    /// Sort each row and drop its duplicates.
    fn tidy(&mut self) {
        let (mut written, mut start) = (0, 0);
        for row in 0..self.starts.len() - 1 {
            let (first, end) = (written, self.starts[row + 1] as usize);
            self.targets[start..end].sort_unstable();
            for at in start..end {
                let target = self.targets[at];
                if written == first || self.targets[written - 1] != target {
                    self.targets[written] = target;
                    written += 1;
                }
            }
            start = end;
            self.starts[row + 1] = written as u32;
        }
        self.targets.truncate(written);
    }
}

/// What can be spread over rows.
trait Edges {
    /// Put each as (row, target), the same ones in the same order every time.
    fn each(&self, put: impl FnMut(u32, u32));
}

impl Edges for [(u32, u32)] {
    fn each(&self, mut put: impl FnMut(u32, u32)) {
        self.iter().for_each(|&(row, target)| put(row, target));
    }
}

/// Turned round: what was the target is the row.
impl Edges for Fixed {
    fn each(&self, mut put: impl FnMut(u32, u32)) {
        for (row, ends) in self.starts.windows(2).enumerate() {
            self.targets[ends[0] as usize..ends[1] as usize].iter().for_each(|&target| put(target, row as u32));
        }
    }
}

impl From<Fixed> for Rows {
    fn from(fixed: Fixed) -> Self {
        let ends = fixed.starts.windows(2).map(|ends| (ends[0], ends[1] - ends[0]));
        let spans = ends.map(|(start, length)| Span { start, length, room: length }).collect();
        Self { spans, edges: fixed.targets.len(), targets: fixed.targets }
    }
}
