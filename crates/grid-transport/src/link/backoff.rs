//! When to dial again.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Settings;

/// The most doublings that make sense: the longest gap is reached long before.
const MAX_DOUBLINGS: u32 = 16;

/// Spaces the attempts of a dialer (protocol section 9), as a plain function of what happened and of a random number.
#[derive(Debug)]
pub(super) struct Backoff {
    at_once_after: Duration,
    jitter: Duration,
    interval: Duration,
    patience: Duration,
    max: Duration,
    failing_since: Option<Instant>,
    doublings: u32,
}

impl Backoff {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            at_once_after: settings.redial_at_once_after,
            jitter: settings.redial_jitter,
            interval: settings.redial_interval,
            patience: settings.redial_patience,
            max: settings.redial_max,
            failing_since: None,
            doublings: 0,
        }
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
        started + self.gap(roll)
    }

    /// From half of the longest to the longest, so that nodes which fail together don't stay together.
    fn gap(&self, roll: f64) -> Duration {
        let longest = self
            .interval
            .saturating_mul(2)
            .saturating_mul(1 << self.doublings);
        let longest = longest.min(self.max.max(self.interval.saturating_mul(2)));
        longest.mul_f64(0.5 + 0.5 * roll)
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
        let mut backoff = Backoff::new(&Settings::new());
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
        let mut backoff = Backoff::new(&Settings::new());
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
        let mut backoff = Backoff::new(&Settings::new());
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
}
