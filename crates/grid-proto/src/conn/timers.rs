//! When something is due: one ordered set a connection, never more entries than open muxes.

use std::{collections::BTreeSet, time::Instant};

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A call of ours, by its mux.
    Call(u64),
    /// A single request that we serve, by its serial.
    Served(u64),
    /// A stream that we serve, by its mux.
    Incoming(u64),
}

/// The times, earliest first. Whoever has a time keeps it in a field of its own too, so that it can be taken out.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, TimerKey)>);

impl Timers {
    /// Moves the time of `key`, kept in `field`, to `at`.
    pub(super) fn set(&mut self, key: TimerKey, field: &mut Option<Instant>, at: Option<Instant>) {
        if *field == at {
            return;
        }
        if let Some(old) = field.take() {
            self.0.remove(&(old, key));
        }
        if let Some(at) = at {
            self.0.insert((at, key));
            *field = Some(at);
        }
    }

    /// Forgets the time of `key`, kept in `field`.
    pub(super) fn clear(&mut self, key: TimerKey, field: Option<Instant>) {
        if let Some(at) = field {
            self.0.remove(&(at, key));
        }
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes one that is due. Its owner's field still holds the time, which means nothing any more.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn drop_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moved_or_cleared_time_leaves_nothing() {
        let start = Instant::now();
        let later = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let (mut one, mut two) = (None, None);
        timers.set(TimerKey::Call(1), &mut one, Some(later(5)));
        timers.set(TimerKey::Incoming(1), &mut two, Some(later(3)));
        timers.set(TimerKey::Call(1), &mut one, Some(later(1)));
        assert_eq!((timers.len(), timers.next()), (2, Some(later(1))));
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(later(2)), Some(TimerKey::Call(1)));
        timers.clear(TimerKey::Incoming(1), two);
        assert_eq!((timers.len(), timers.next()), (0, None));
    }
}
