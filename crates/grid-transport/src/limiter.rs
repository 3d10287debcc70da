//! Keeps a peer that is down, or that talks nonsense, from flooding the log.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Different remotes and causes that are told apart; names come from the network, so this has to
/// end somewhere.
const MAX_ENTRIES: usize = 1_024;

/// Lets the same warning about the same remote through once an interval.
#[derive(Debug)]
pub(crate) struct LogLimiter {
    interval: Duration,
    seen: Mutex<HashMap<(Box<str>, &'static str), Seen>>,
}

#[derive(Debug)]
struct Seen {
    logged: Instant,
    suppressed: u64,
}

impl LogLimiter {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            seen: Mutex::new(HashMap::new()),
        }
    }

    /// `Some(n)` when a warning of this kind may be logged now; `n` is how many were not, since
    /// the last one.
    pub(crate) fn allow(&self, remote: &str, cause: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        if let Some(entry) = seen.get_mut(&(Box::from(remote), cause)) {
            if now.duration_since(entry.logged) < self.interval {
                entry.suppressed += 1;
                return None;
            }
            entry.logged = now;
            return Some(std::mem::take(&mut entry.suppressed));
        }
        if seen.len() >= MAX_ENTRIES {
            seen.retain(|_, entry| now.duration_since(entry.logged) < self.interval);
            if seen.len() >= MAX_ENTRIES {
                return None;
            }
        }
        seen.insert(
            (remote.into(), cause),
            Seen {
                logged: now,
                suppressed: 0,
            },
        );
        Some(0)
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
        let limiter = LogLimiter::new(Duration::from_secs(60));
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
        let limiter = LogLimiter::new(Duration::from_secs(60));
        for n in 0..2 * MAX_ENTRIES {
            limiter.allow(&format!("http://made-up-{n}"), "unknown host");
        }
        assert_eq!(limiter.seen.lock().len(), MAX_ENTRIES);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(limiter.allow("late", "unknown host"), Some(0));
    }
}
