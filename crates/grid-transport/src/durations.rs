//! How long something took, over and over, as a distribution in a fixed number of counters.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Each octave is told apart in 4 steps, so that a quantile is off by an eighth at the most.
const STEP_BITS: u32 = 2;
const STEPS: u64 = 1 << STEP_BITS;

/// The finest that is told apart: 128 ns, below which a clock says little.
const UNIT_BITS: u32 = 7;

/// Enough for 18 minutes; whatever took longer counts as that.
const BUCKETS: usize = 128;

/// A distribution of durations. Recording is one addition, and never allocates.
pub(crate) struct Durations(Box<[AtomicU64]>);

impl Default for Durations {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Durations {
    pub(crate) fn record(&self, nanoseconds: u64) {
        let bucket = bucket(nanoseconds >> UNIT_BITS).min(BUCKETS - 1);
        if let Some(count) = self.0.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The durations that these shares of all do not exceed, within an eighth or 64 ns; `None` where nothing was
    /// recorded. All are of the same moment.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[Duration; N]> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        Some(shares.map(|share| {
            let rank = ((share * total as f64).ceil() as u64).clamp(1, total);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            middle(found.unwrap_or(BUCKETS - 1) as u64)
        }))
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Durations")
            .field(&self.quantiles([0.5, 0.99]))
            .finish()
    }
}

/// Where a number of units is counted.
const fn bucket(units: u64) -> usize {
    if units < STEPS {
        return units as usize;
    }
    let octave = units.ilog2();
    let step = (units >> (octave - STEP_BITS)) & (STEPS - 1);
    ((octave as u64 - 1) * STEPS + step) as usize
}

/// The middle of what is counted there.
const fn middle(bucket: u64) -> Duration {
    let (least, width) = if bucket < STEPS {
        (bucket, 1)
    } else {
        let shift = bucket / STEPS - 1;
        ((STEPS + bucket % STEPS) << shift, 1 << shift)
    };
    Duration::from_nanos((least << UNIT_BITS) + ((width << UNIT_BITS) >> 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(nanoseconds: impl IntoIterator<Item = u64>) -> Durations {
        let durations = Durations::default();
        nanoseconds
            .into_iter()
            .for_each(|each| durations.record(each));
        durations
    }

    #[test]
    fn every_duration_is_told_to_an_eighth() {
        // Up to where all that is longer counts as the same.
        let mut nanoseconds = 1_u64;
        while nanoseconds < 1 << 40 {
            let [told] = recorded([nanoseconds]).quantiles([0.5]).unwrap();
            let off = told.as_nanos().abs_diff(u128::from(nanoseconds));
            let most = u128::from(nanoseconds / 8).max(64);
            assert!(off <= most, "{nanoseconds} ns are told as {told:?}");
            nanoseconds += nanoseconds / 7 + 1;
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for units in 0..100_000 {
            let now = bucket(units);
            assert!(now == last || now == last + 1, "{units}: {last}, {now}");
            last = now;
        }
    }

    #[test]
    fn quantiles_are_of_how_many_and_not_of_how_long() {
        let millisecond = 1_000_000;
        // 98 quick ones, and two that took a second.
        let durations = recorded((0..98).map(|_| millisecond).chain([1_000 * millisecond; 2]));
        let [p50, p98, p99] = durations.quantiles([0.5, 0.98, 0.99]).unwrap();
        assert_eq!(p50, p98);
        assert!((875_000..=1_125_000).contains(&p50.as_nanos()), "{p50:?}");
        assert!((0.875..=1.125).contains(&p99.as_secs_f64()), "{p99:?}");
    }

    #[test]
    fn nothing_has_no_quantiles_and_the_longest_has_some() {
        assert!(recorded([]).quantiles([0.5]).is_none());
        let [told] = recorded([u64::MAX]).quantiles([1.0]).unwrap();
        assert!(told > Duration::from_secs(15 * 60), "{told:?}");
    }
}
