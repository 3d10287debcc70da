//! Randomness that a seed repeats.

use std::{ops::Range, time::Duration};

/// A small generator (splitmix64). Good enough to choose by, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Begins a sequence. The parts tell sequences of one seed apart.
    #[must_use]
    pub fn new(seed: u64, parts: &[u64]) -> Self {
        let mut rng = Self(seed);
        for part in parts {
            rng = Self(rng.draw() ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        rng
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of a range; its start where the range is empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.draw() % width
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    /// A time between two, in whole milliseconds.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.range(range))
    }

    /// One of several, each as likely as its weight says; `None` where there is none.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> Option<T> {
        let total: u64 = choices.iter().map(|(weight, _)| weight).sum();
        let mut at = self.range(0..total);
        for (weight, choice) in choices {
            if at < *weight {
                return Some(*choice);
            }
            at -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_parts_tell_apart() {
        let draw = |seed, parts: &[u64]| {
            let mut rng = Rng::new(seed, parts);
            (0..8).map(|_| rng.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = Rng::new(7, &[]);
        let mut hits = [0_u32; 2];
        for _ in 0..10_000 {
            match rng.weighted(&[(9, 0), (1, 1), (0, 2)]) {
                Some(choice @ (0 | 1)) => hits[choice] += 1,
                other => panic!("{other:?} has no weight"),
            }
        }
        assert!((8_700..9_300).contains(&hits[0]), "{hits:?}");
        assert_eq!(rng.weighted::<u8>(&[]), None);
    }
}
