//! For how long a live connection is kept from being replaced (decision 10).

use std::{sync::Arc, time::Duration};

use grid_proto::InstanceId;
use tokio::time::Instant;

/// Whom a connection is of, as far as that can be told: the process, and the address that it comes from. A peer says
/// the former as it likes, and the latter is what the listener saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) id: InstanceId,
    pub(super) from: Arc<str>,
}

/// How often the live connections of one remote were replaced, and what follows for the next one.
#[derive(Debug)]
pub(super) struct Protection {
    after: Duration,
    max: Duration,
    /// How many in a row were replaced before their time was up, by whomever; one that ends by itself begins anew.
    in_a_row: u32,
    /// How many were replaced by another than the one that they were of. Only time takes them away again.
    by_others: u32,
    /// More of those say no more.
    most: u32,
    /// From when on the time counts that takes away the next of them.
    counted: Instant,
}

impl Protection {
    pub(super) fn new(after: Duration, max: Duration) -> Self {
        let most = (0..31).find(|doublings| after.saturating_mul(1 << doublings) >= max);
        Self {
            after,
            max,
            in_a_row: 0,
            by_others: 0,
            most: most.unwrap_or(31),
            counted: Instant::now(),
        }
    }

    /// The live connection has ended by itself.
    pub(super) fn ended(&mut self) {
        self.in_a_row = 0;
    }

    /// The live connection was replaced.
    pub(super) fn replaced(&mut self, lived: Duration, by_another: bool) {
        if lived < self.max {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.in_a_row = 0;
        }
        if by_another {
            self.forget();
            self.by_others = self.most.min(self.by_others + 1);
        }
    }

    /// How old the next one has to be before it is replaced.
    pub(super) fn time(&mut self) -> Duration {
        self.forget();
        let doublings = self.in_a_row.max(self.by_others);
        let doubled = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let longest = self.max.max(self.after);
        self.after.saturating_mul(doubled).min(longest)
    }

    /// One of those by others for each whole `max` that went by.
    fn forget(&mut self) {
        let now = Instant::now();
        while self.by_others > 0 && now.duration_since(self.counted) >= self.max {
            self.counted += self.max;
            self.by_others -= 1;
        }
        if self.by_others == 0 {
            self.counted = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn protection() -> Protection {
        Protection::new(SECOND, 30 * SECOND)
    }

    /// How long the live connection is kept from the next one, after those before it lived so long each.
    fn after(protection: &mut Protection, lives: &[u32]) -> Duration {
        for seconds in lives {
            protection.replaced(SECOND * *seconds, false);
        }
        protection.time()
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_flaps_waits_longer_each_time() {
        let mut protection = protection();
        let mut lives = Vec::new();
        for wanted in [1, 2, 4, 8, 16, 30, 30, 30] {
            let time = after(&mut protection, &lives);
            assert_eq!(time, wanted * SECOND, "after {lives:?}");
            lives = vec![wanted.min(29)];
        }
        // One that lived long was no such thing, nor was one that ended by itself.
        assert_eq!(after(&mut protection, &[30]), SECOND);
        assert_eq!(after(&mut protection, &[1, 1]), 4 * SECOND);
        protection.ended();
        assert_eq!(protection.time(), SECOND);
        // However often it happens.
        assert_eq!(after(&mut protection, &[1; 100]), 30 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn another_who_hangs_up_in_between_waits_longer_each_time() {
        let mut protection = protection();
        for wanted in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(protection.time(), wanted * SECOND);
            // The one is replaced by another, which hangs up.
            protection.replaced(Duration::ZERO, true);
            protection.ended();
        }
        // A longest time takes away one of them, and no more than that.
        for wanted in [30, 16, 8, 4, 2, 1, 1] {
            assert_eq!(protection.time(), wanted * SECOND);
            advance(30 * SECOND).await;
        }
        protection.replaced(Duration::ZERO, true);
        advance(30 * SECOND - Duration::from_millis(1)).await;
        protection.ended();
        assert_eq!(protection.time(), 2 * SECOND);
        advance(Duration::from_millis(1)).await;
        assert_eq!(protection.time(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_switched_off_and_be_larger_than_its_limit() {
        for (first, max, wanted) in [(0, 30, 0), (60, 30, 60), (30, 30, 30)] {
            let mut protection = Protection::new(first * SECOND, max * SECOND);
            for _ in 0..100 {
                protection.replaced(Duration::ZERO, true);
            }
            assert_eq!(protection.time(), wanted * SECOND);
        }
    }
}
