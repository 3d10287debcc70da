//! Keeps a peer that is down, or that talks nonsense, from flooding the log.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Different strangers and causes that are told apart; what they call themselves comes from the network, so this has to
/// end somewhere.
const MAX_STRANGERS: usize = 1_024;

/// So many entries, and those that say nothing any more are looked for.
const TIDY_FROM: usize = 1_024;

/// Lets the same warning about the same remote through once an interval.
#[derive(Debug)]
pub(crate) struct LogLimiter {
    interval: Duration,
    /// The most entries; warnings that find no room are not told.
    most: usize,
    seen: Mutex<HashMap<(Box<str>, &'static str), Seen>>,
}

#[derive(Debug)]
struct Seen {
    logged: Instant,
    suppressed: u64,
}

impl LogLimiter {
    /// For whoever comes: for so many of them at once.
    pub(crate) fn of_strangers(interval: Duration) -> Self {
        Self::new(interval, MAX_STRANGERS)
    }

    /// For the node itself and for names of its list: as many as there are, so that nobody can take another's place.
    pub(crate) fn of_known(interval: Duration) -> Self {
        Self::new(interval, usize::MAX)
    }

    fn new(interval: Duration, most: usize) -> Self {
        Self {
            interval,
            most,
            seen: Mutex::new(HashMap::new()),
        }
    }

    /// `Some(n)` when a warning of this kind may be logged now; `n` is how many were not, since
    /// the last one.
    pub(crate) fn allow(&self, remote: &str, cause: &'static str) -> Option<u64> {
        self.allow_if(remote, cause, || Some(0))
    }

    /// As [`allow`](Self::allow), where somebody else may say no too, and says how many it has left out itself: what is
    /// not logged then counts there, and changes nothing here.
    pub(crate) fn allow_if(
        &self,
        remote: &str,
        cause: &'static str,
        other: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        if let Some(entry) = seen.get_mut(&(Box::from(remote), cause)) {
            if now.duration_since(entry.logged) < self.interval {
                entry.suppressed += 1;
                return None;
            }
            let left_out = other()?;
            entry.logged = now;
            return Some(std::mem::take(&mut entry.suppressed) + left_out);
        }
        if seen.len() >= self.most.min(TIDY_FROM) {
            seen.retain(|_, entry| now.duration_since(entry.logged) < self.interval);
            if seen.len() >= self.most {
                return None;
            }
        }
        let left_out = other()?;
        seen.insert(
            (remote.into(), cause),
            Seen {
                logged: now,
                suppressed: 0,
            },
        );
        Some(left_out)
    }

    /// Forgets a remote, so that its next trouble is told at once.
    pub(crate) fn forget(&self, remote: &str) {
        self.seen.lock().retain(|(name, _), _| &**name != remote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_an_interval_for_each_remote_and_cause() {
        let limiter = LogLimiter::of_known(Duration::from_secs(60));
        assert_eq!(limiter.allow("a", "refused"), Some(0));
        assert_eq!(limiter.allow("a", "refused"), None);
        assert_eq!(limiter.allow("a", "rejected"), Some(0));
        assert_eq!(limiter.allow("b", "refused"), Some(0));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(limiter.allow("a", "refused"), Some(1));
        limiter.forget("a");
        assert_eq!(limiter.allow("a", "refused"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_names_cannot_fill_memory() {
        let limiter = LogLimiter::of_strangers(Duration::from_secs(60));
        for n in 0..2 * MAX_STRANGERS {
            limiter.allow(&format!("http://made-up-{n}"), "unknown host");
        }
        assert_eq!(limiter.seen.lock().len(), MAX_STRANGERS);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(limiter.allow("late", "unknown host"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn of_names_of_the_list_there_may_be_any_number() {
        let limiter = LogLimiter::of_known(Duration::from_secs(60));
        for n in 0..2 * TIDY_FROM {
            assert_eq!(limiter.allow(&n.to_string(), "refused"), Some(0));
            assert_eq!(limiter.allow(&n.to_string(), "refused"), None);
        }
        assert_eq!(limiter.seen.lock().len(), 2 * TIDY_FROM);
        // Those that were removed meanwhile are forgotten some time.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(limiter.allow("another", "refused"), Some(0));
        assert_eq!(limiter.seen.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_else_holds_back_is_not_forgotten() {
        let limiter = LogLimiter::of_known(Duration::from_secs(60));
        assert_eq!(limiter.allow_if("a", "refused", || None), None);
        // Nothing was logged, so the next may be.
        assert_eq!(limiter.allow_if("a", "refused", || Some(1)), Some(1));
        for _ in 0..3 {
            let asked = || panic!("it is not due");
            assert_eq!(limiter.allow_if("a", "refused", asked), None);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(limiter.allow_if("a", "refused", || None), None);
        assert_eq!(limiter.allow_if("a", "refused", || Some(2)), Some(5));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(limiter.allow("a", "refused"), Some(0));
    }
}
