//! A set of ranks.

#[derive(Clone, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    pub fn set(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }

    pub fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, others)| *mine &= others);
        self
    }

    pub fn or(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, others)| *mine |= others);
        self
    }

    /// The members from `start` on, ascending.
    pub fn from(&self, start: usize) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().skip(start / 64).flat_map(move |(at, &bits)| {
            let kept = if at == start / 64 { bits & u64::MAX << (start % 64) } else { bits };
            Members(kept).map(move |bit| at * 64 + bit)
        })
    }
}

struct Members(u64);

impl Iterator for Members {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}
