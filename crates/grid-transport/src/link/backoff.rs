//! When to dial again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::config::Settings;

/// The most doublings that make sense: the longest gap is reached long before.
const MAX_DOUBLINGS: u32 = 16;

/// How many links of a node fail to connect. They share a rate of attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failing(Arc<AtomicUsize>);

impl Failing {
    fn join(&self) -> Fails {
        self.0.fetch_add(1, Ordering::Relaxed);
        Fails(self.clone())
    }
}

/// One of them.
#[derive(Debug)]
struct Fails(Failing);

impl Fails {
    fn all(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }
}

impl Drop for Fails {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Spaces the attempts of a dialer (protocol section 9), as a plain function of what happened and of a random number.
#[derive(Debug)]
pub(super) struct Backoff {
    at_once_after: Duration,
    jitter: Duration,
    interval: Duration,
    patience: Duration,
    max: Duration,
    rate: u32,
    failing: Failing,
    fails: Option<Fails>,
    failing_since: Option<Instant>,
    doublings: u32,
}

impl Backoff {
    pub(super) fn new(settings: &Settings, failing: &Failing) -> Self {
        Self {
            at_once_after: settings.redial_at_once_after,
            jitter: settings.redial_jitter,
            interval: settings.redial_interval,
            patience: settings.redial_patience,
            max: settings.redial_max,
            rate: settings.redial_rate,
            failing: failing.clone(),
            fails: None,
            failing_since: None,
            doublings: 0,
        }
    }

    /// An attempt has made a connection.
    pub(super) fn connected(&mut self) {
        self.fails = None;
    }

    /// The next attempt after a connection that began with the attempt at `started` and lived until `lost`. `roll` is a
    /// random number from 0 to 1.
    pub(super) fn after_loss(
        &mut self,
        started: Instant,
        lived: Duration,
        lost: Instant,
        roll: f64,
    ) -> Instant {
        self.failing_since = None;
        self.doublings = 0;
        if lived > self.at_once_after {
            lost + self.jitter.mul_f64(roll)
        } else {
            started + self.gap(roll)
        }
    }

    /// The next attempt after the one at `started` has failed.
    pub(super) fn after_failure(&mut self, started: Instant, roll: f64) -> Instant {
        let since = *self.failing_since.get_or_insert(started);
        if started.duration_since(since) >= self.patience {
            self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
        }
        self.fails.get_or_insert_with(|| self.failing.join());
        started + self.gap(roll)
    }

    /// From half of the longest to the longest, so that nodes which fail together don't stay together.
    fn gap(&self, roll: f64) -> Duration {
        let longest = self
            .interval
            .saturating_mul(2)
            .saturating_mul(1 << self.doublings);
        let longest = longest.max(self.turn());
        let longest = longest.min(self.max.max(self.interval.saturating_mul(2)));
        longest.mul_f64(0.5 + 0.5 * roll)
    }

    /// The longest gap with which all that fail keep to their rate: the gaps are three quarters of it on average.
    fn turn(&self) -> Duration {
        let all = self.fails.as_ref().map_or(0, Fails::all);
        if self.rate == 0 || all <= self.rate as usize {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(all as f64 / f64::from(self.rate) / 0.75)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    #[test]
    fn a_link_that_lived_is_redialed_at_once() {
        let mut backoff = Backoff::new(&Settings::new(), &Failing::default());
        let started = Instant::now();
        let lost = started + secs(60.0);
        assert_eq!(backoff.after_loss(started, secs(60.0), lost, 0.0), lost);
        assert_eq!(
            backoff.after_loss(started, secs(60.0), lost, 1.0),
            lost + secs(0.1)
        );
    }

    #[test]
    fn a_link_that_was_lost_soon_is_redialed_after_the_gap() {
        let mut backoff = Backoff::new(&Settings::new(), &Failing::default());
        let started = Instant::now();
        let lost = started + secs(0.2);
        assert_eq!(
            backoff.after_loss(started, secs(0.1), lost, 0.0),
            started + secs(1.0)
        );
        assert_eq!(
            backoff.after_loss(started, secs(5.0), lost, 1.0),
            started + secs(2.0)
        );
    }

    #[test]
    fn gaps_stay_short_for_ten_minutes_and_then_double_up_to_half_a_minute() {
        let mut backoff = Backoff::new(&Settings::new(), &Failing::default());
        let first = Instant::now();
        let mut started = first;
        let mut gaps = Vec::new();
        for attempt in 0..500 {
            let roll = f64::from(attempt % 11) / 10.0;
            let next = backoff.after_failure(started, roll);
            let gap = next - started;
            assert!(gap >= secs(1.0) && gap <= secs(30.0), "{gap:?}");
            if started - first < secs(600.0) {
                assert!(gap <= secs(2.0), "{gap:?} after {:?}", started - first);
                assert_eq!(gap, secs(1.0 + roll));
            } else {
                gaps.push(gap);
            }
            started = next;
        }
        // Four times as long at most within the first two, and 15–30 s in the end.
        assert!(gaps[0] <= secs(4.0) && gaps[1] <= secs(8.0), "{gaps:?}");
        assert!(gaps[10..].iter().all(|gap| *gap >= secs(15.0)), "{gaps:?}");

        // A connection makes all of it forgotten.
        backoff.after_loss(started, secs(0.0), started, 0.5);
        assert_eq!(backoff.after_failure(started, 1.0), started + secs(2.0));
    }

    #[test]
    fn those_that_fail_together_share_a_rate() {
        let failing = Failing::default();
        let started = Instant::now();
        let with = |settings: Settings| Backoff::new(&settings, &failing);
        let a_hundred = || with(Settings::new().redial_rate(100));
        let many = || -> Vec<Backoff> {
            let of_one = |_| {
                let mut backoff = a_hundred();
                backoff.after_failure(started, 0.0);
                backoff
            };
            (0..150).map(of_one).collect()
        };
        let gap = |backoff: &mut Backoff, roll| backoff.after_failure(started, roll) - started;

        // As many as a hundred a second make with the usual gaps, which take a second and a half on average.
        let mut failed = many();
        let mut own = a_hundred();
        assert_eq!(gap(&mut own, 1.0), secs(151.0 / 75.0));
        drop(own);
        failed.extend(many());
        failed.extend(many());
        let mut own = a_hundred();
        assert_eq!(gap(&mut own, 0.0), secs(451.0 / 150.0));
        assert_eq!(gap(&mut own, 1.0), secs(451.0 / 75.0));
        assert_eq!(
            gap(&mut with(Settings::new().redial_rate(0)), 1.0),
            secs(2.0)
        );
        assert_eq!(
            gap(&mut with(Settings::new().redial_rate(1)), 1.0),
            secs(30.0)
        );
        // However short the usual gaps are, as many as the rate says have them.
        let few = |rate| Settings::new().redial_interval(secs(0.1)).redial_rate(rate);
        assert_eq!(gap(&mut with(few(452)), 1.0), secs(0.2));
        assert_eq!(gap(&mut with(few(451)), 1.0), secs(452.0 / 451.0 / 0.75));

        // Who has a connection, or is gone, is none of them any more.
        failed.iter_mut().for_each(Backoff::connected);
        assert_eq!(gap(&mut own, 1.0), secs(2.0));
        failed.extend(many());
        failed.clear();
        assert_eq!(gap(&mut own, 1.0), secs(2.0));
        drop(own);
        assert_eq!(failing.0.load(Ordering::Relaxed), 0);
    }
}
