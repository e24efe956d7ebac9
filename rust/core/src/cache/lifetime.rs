//! How long a value that was loaded lives, and when it is loaded anew. Times are seconds of the owner's clock.
//!
//! - A lifetime is cut by a share that the key decides (JITTER): what was filled together does not expire together.
//! - Near its end (EAGER) a value that is asked for is loaded anew while it is still served.
//! - A value that is asked for soon after it ended (HOT) lives twice as long as before, up to LONGEST times. This costs nothing on a
//!   hit, unlike counting uses.

/// At this share of its lifetime a value that is asked for is loaded anew.
pub const EAGER: f64 = 0.8;
/// A lifetime is cut by up to this share.
pub const JITTER: f64 = 0.1;
/// A value asked for within this share of its lifetime after it ended is hot.
pub const HOT: f64 = 0.1;
/// Hot values live up to this many times as long as others.
pub const LONGEST: u32 = 4;

/// Fibonacci hashing (Knuth, 6.4): neighbouring hashes come to lie far apart.
const SPREAD: u32 = 0x9E37_79B1;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lifetime {
    pub loaded_at: f64,
    pub ends: f64,
    /// How many times as long as others it lives: 1 to LONGEST.
    pub stretch: u32,
}

impl Lifetime {
    /// The life of a value that was loaded `now` and would live for `ttl_s` seconds. `hash` is its key's; `before` is the last life
    /// of the key, None where that does not count.
    #[must_use]
    pub fn begin(now: f64, ttl_s: f64, hash: u32, before: Option<Self>) -> Self {
        let stretch = before.map_or(1, |before| before.next_stretch(now));
        Self { loaded_at: now, ends: now + ttl_s * f64::from(stretch) * (1.0 - cut(hash)), stretch }
    }

    /// From when on it is loaded anew.
    #[must_use]
    pub fn eager_at(&self) -> f64 {
        self.loaded_at + (self.ends - self.loaded_at) * EAGER
    }

    fn next_stretch(&self, now: f64) -> u32 {
        let hot = now <= self.ends + (self.ends - self.loaded_at) * HOT;
        if hot { self.stretch.saturating_mul(2).clamp(1, LONGEST) } else { 1 }
    }
}

/// By what share the lifetime of this key is cut: 0 to JITTER, evenly.
fn cut(hash: u32) -> f64 {
    JITTER * f64::from(hash.wrapping_mul(SPREAD)) / f64::from(u32::MAX)
}

/// Milliseconds of a positive number of seconds, rounded up. None: for ever, as infinity is.
#[must_use]
pub fn milliseconds(seconds: f64) -> Option<u64> {
    seconds.is_finite().then(|| (seconds * 1000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINS: usize = 20;

    fn life(hash: u32) -> f64 {
        let life = Lifetime::begin(1000.0, 100.0, hash, None);
        life.ends - life.loaded_at
    }

    /// How many of the hashes have their lifetime cut by each twentieth of JITTER.
    fn spread(hashes: impl Iterator<Item = u32>) -> [usize; BINS] {
        let mut bins = [0; BINS];
        for hash in hashes {
            bins[((cut(hash) / JITTER * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        bins
    }

    #[test]
    fn a_lifetime_is_cut_by_a_tenth_at_most() {
        assert_eq!(life(0), 100.0);
        assert_eq!(cut(u32::MAX.wrapping_mul(inverse(SPREAD))), JITTER);
        for hash in (0..u32::MAX).step_by(65_521) {
            assert!((90.0..=100.0).contains(&life(hash)), "{hash}: {}", life(hash));
        }
    }

    /// Newton's method: each step doubles the number of right bits.
    fn inverse(odd: u32) -> u32 {
        (0..5).fold(odd, |found, _| found.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(found))))
    }

    #[test]
    fn lifetimes_spread_evenly_whether_hashes_are_near_or_far() {
        const KEYS: usize = 20_000;
        let expected = KEYS / BINS;
        let near = spread(0..KEYS as u32);
        let far = spread((0..KEYS as u32).map(|key| super::super::mix(u64::from(key) << 20)));
        let aligned = spread((0..KEYS as u32).map(|key| key << 12));
        for (name, bins) in [("near", near), ("far", far), ("aligned", aligned)] {
            for count in bins {
                assert!(count.abs_diff(expected) < expected / 5, "{name}: {bins:?}");
            }
        }
    }

    #[test]
    fn the_same_key_is_always_cut_alike() {
        assert_eq!(life(12_345), life(12_345));
        assert_ne!(life(12_345), life(12_346));
    }

    #[test]
    fn it_is_loaded_anew_at_four_fifths() {
        let life = Lifetime { loaded_at: 1000.0, ends: 1090.0, stretch: 1 };
        assert!((life.eager_at() - 1072.0).abs() < 1e-9);
        for hash in [0, 1, u32::MAX] {
            let life = Lifetime::begin(5.0, 30.0, hash, None);
            assert!(life.loaded_at < life.eager_at() && life.eager_at() < life.ends);
        }
    }

    #[test]
    fn what_is_asked_for_all_the_time_lives_up_to_four_times_as_long() {
        let (mut now, mut before, mut stretches) = (0.0, None, Vec::new());
        for _ in 0..5 {
            let life = Lifetime::begin(now, 100.0, 7, before);
            stretches.push(life.stretch);
            (now, before) = (life.ends, Some(life));
        }
        assert_eq!(stretches, [1, 2, 4, 4, 4]);
    }

    #[test]
    fn only_soon_after_its_end_is_a_value_hot() {
        let before = Lifetime { loaded_at: 0.0, ends: 100.0, stretch: 2 };
        let stretch = |now| Lifetime::begin(now, 100.0, 7, Some(before)).stretch;
        assert_eq!(stretch(50.0), 4, "before its end too");
        assert_eq!(stretch(110.0), 4);
        assert_eq!(stretch(110.001), 1);
    }

    #[test]
    fn no_stretch_overflows_and_none_is_below_one() {
        for (given, next) in [(0, 1), (1, 2), (u32::MAX, LONGEST)] {
            let before = Lifetime { loaded_at: 0.0, ends: 100.0, stretch: given };
            assert_eq!(Lifetime::begin(100.0, 1.0, 7, Some(before)).stretch, next);
        }
    }

    #[test]
    fn an_endless_life_stays_endless() {
        let life = Lifetime::begin(0.0, f64::INFINITY, 7, None);
        assert_eq!((life.ends, life.eager_at()), (f64::INFINITY, f64::INFINITY));
        assert_eq!(Lifetime::begin(1e9, f64::INFINITY, 7, Some(life)).stretch, 2);
    }

    #[test]
    fn seconds_are_rounded_up_and_no_number_overflows() {
        assert_eq!(milliseconds(0.001), Some(1));
        assert_eq!(milliseconds(1e-9), Some(1));
        assert_eq!(milliseconds(1.5), Some(1500));
        assert_eq!(milliseconds(1e300), Some(u64::MAX));
        assert_eq!(milliseconds(f64::INFINITY), None);
    }
}
