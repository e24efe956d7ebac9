//! The default policy: S3-FIFO's queues, LIRS's question at the door of the main one, and a probation queue whose share
//! follows what a little more of it would have caught.
//!
//! - A new entry goes on probation. One that was used twice when it reaches the end goes to the main queue; another leaves,
//!   and its ghost stays.
//! - The main queue is a clock: an entry at its end that was used goes round again, one use poorer.
//! - A key that comes back while its ghost is known goes straight to the main queue, but only if its last use is more recent
//!   than that of the entry which would have to leave there (the rule of LIRS: Jiang and Zhang, SIGMETRICS 2002). In a loop
//!   longer than the cache it never is, so the main queue stays as it is and is hit; S3-FIFO would replace it for ever. One
//!   that does not pass goes on probation with one use to its credit.
//! - A ghost that comes back soon after it left probation says that a longer probation queue would have kept it; one that
//!   left the main queue says the opposite. Each moves the share by a step, so it settles where both gain the same.
//! - While the main queue is idle, what leaves it having hardly been used there, every ghost counts that one queue of the whole
//!   cache would have kept: keys that are asked for twice, some time apart, and never again would otherwise fill it for ever.
//!
//! A hit writes one word of the entry, its time and its uses (`Mark::used`), and moves nothing. Uses at nearly the same time are
//! one use and write nothing: what is asked for twice in a row is not asked for often.

use super::super::slab::{List, Mark, Slab, Slot, TIME_BITS};
use super::ghosts::{Ghost, Ghosts};

// Each constant is the best of those tried on the traces, none is critical: docs/design/cache-policy.md has the table.
// Shares are of WHOLE entries.
const WHOLE: u64 = 1 << 16;
/// The share of the probation queue, at first and at least: 1 %; and at most: 90 %.
const LEAST_SHARE: u64 = WHOLE / 100;
const MOST_SHARE: u64 = WHOLE * 9 / 10;
/// How far the share moves with one ghost: 0.3 %.
const STEP: u64 = WHOLE * 3 / 1000;
/// A ghost came back soon if its queue has evicted no more than this share of the cache since: 5 %.
const SOON: u64 = WHOLE / 20;
/// The least depth that counts as soon: 5 % of a small cache is too short a window to learn from.
const LEAST_SOON: u64 = 32;
/// The main queue is idle while less than one in so many of its entries at the end was used.
const IDLE: u64 = 8;
/// The mean of that is over about 2 to this power entries.
const IDLE_SPAN: u32 = 6;
/// Uses on probation that lead to the main queue.
const ENOUGH_USES: u32 = 2;
/// Entries of the main queue that one call may send round again: a bound on its time. Then the next one leaves as it is.
const MOST_ROUNDS: usize = 256;

pub struct Adaptive {
    probation: List,
    main: List,
    ghosts: Ghosts,
    share: u64,
    /// How many of the entries at the end of the main queue were used: a moving mean, of WHOLE.
    used: u64,
    /// Evictions from each queue so far.
    probation_round: u64,
    main_round: u64,
    most: usize,
    /// How many entries filled the cache when it last was full (a bound on weight can do that too); `most` before.
    full: usize,
}

impl Adaptive {
    pub fn new(most: usize) -> Self {
        Self {
            probation: List::new(),
            main: List::new(),
            ghosts: Ghosts::default(),
            share: LEAST_SHARE,
            used: WHOLE,
            probation_round: 0,
            main_round: 0,
            most,
            full: most,
        }
    }

    pub fn insert<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot, tick: u32) {
        let hash = slab.at(slot).hash;
        let ghost = self.ghosts.take(hash);
        let main = match ghost {
            Some(ghost) => {
                self.learn(ghost);
                self.passes(slab, ghost)
            }
            None => self.has_room(),
        };
        let mark = &mut slab.at_mut(slot).mark;
        *mark = Mark::new(tick);
        mark.set_main(main);
        if ghost.is_some() && !main {
            mark.set_uses(1);
        }
        if main { &mut self.main } else { &mut self.probation }.push_head(slab, slot);
    }

    /// Until the cache was full for the first time, and after much was removed, the main queue takes what there is room for.
    fn has_room(&self) -> bool {
        let entries = self.probation.len + self.main.len;
        entries.saturating_add(self.quota(self.full)) < self.full
    }

    /// How many of `entries` may be on probation.
    fn quota(&self, entries: usize) -> usize {
        (entries as u64).saturating_mul(self.share).div_euclid(WHOLE).max(1) as usize
    }

    fn learn(&mut self, ghost: Ghost) {
        let entries = (self.probation.len + self.main.len) as u64;
        let round = if ghost.main { self.main_round } else { self.probation_round };
        let idle = !ghost.main && self.used < WHOLE / IDLE;
        let soon = entries * if idle { WHOLE - self.share } else { SOON } / WHOLE;
        if ghost.depth(round) >= soon.max(LEAST_SOON.min(entries)) {
            return;
        }
        let moved = if ghost.main { self.share.saturating_sub(STEP) } else { self.share + STEP };
        self.share = moved.clamp(LEAST_SHARE, MOST_SHARE);
    }

    /// Whether the ghost was used more recently than the entry that is to leave the main queue next.
    fn passes<K, V>(&mut self, slab: &mut Slab<K, V>, ghost: Ghost) -> bool {
        self.turn(slab);
        if self.main.len == 0 {
            return true;
        }
        let victim = slab.at(self.main.tail).mark.last() >> 2 << 2;
        let ahead = ghost.last.wrapping_sub(victim) & ((1 << TIME_BITS) - 1);
        ahead != 0 && ahead < 1 << (TIME_BITS - 1)
    }

    /// Send used entries at the end of the main queue round again, until one is unused.
    fn turn<K, V>(&mut self, slab: &mut Slab<K, V>) {
        for _ in 0..MOST_ROUNDS.min(self.main.len * 4) {
            let slot = self.main.tail;
            let mark = &mut slab.at_mut(slot).mark;
            if mark.uses() == 0 {
                return;
            }
            mark.set_uses(mark.uses() - 1);
            self.used += (WHOLE - self.used) >> IDLE_SPAN;
            self.main.unlink(slab, slot);
            self.main.push_head(slab, slot);
        }
    }

    pub fn remove<K, V>(&mut self, slab: &mut Slab<K, V>, slot: Slot) {
        if slab.at(slot).mark.is_main() { &mut self.main } else { &mut self.probation }.unlink(slab, slot);
    }

    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>) -> Option<Slot> {
        let entries = self.probation.len + self.main.len;
        self.full = entries;
        self.ghosts.fit(entries, self.most);
        while self.probation.len >= self.quota(entries) || self.main.len == 0 {
            let slot = self.probation.pop_tail(slab)?;
            let mark = &mut slab.at_mut(slot).mark;
            if mark.uses() < ENOUGH_USES {
                self.probation_round += 1;
                self.leave(slab, slot, false, self.probation_round);
                return Some(slot);
            }
            mark.set_uses(0);
            mark.set_main(true);
            self.main.push_head(slab, slot);
        }
        self.turn(slab);
        let slot = self.main.pop_tail(slab)?;
        self.main_round += 1;
        self.used -= self.used >> IDLE_SPAN;
        self.leave(slab, slot, true, self.main_round);
        Some(slot)
    }

    fn leave<K, V>(&mut self, slab: &Slab<K, V>, slot: Slot, main: bool, round: u64) {
        let entry = slab.at(slot);
        self.ghosts.insert(entry.hash, Ghost::new(main, entry.mark.last(), round));
    }
}
