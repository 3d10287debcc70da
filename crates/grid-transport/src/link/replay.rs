//! Which connect requests a remote has been let in with, so that nobody gets in with a copy of one.

use std::{collections::VecDeque, time::Duration};

use grid_proto::{InstanceId, wire::Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The requests of one remote that passed every check, the newest last.
///
/// An honest node makes a new request for each attempt, and the time in it is another one each time. A copy is the same
/// request twice. It is remembered for as long as the check of the clocks would let it pass, and of so many only the
/// newest are kept: a node that dials honestly is never refused, whatever the memory holds. Only who has a valid token
/// can have something remembered, and only fresh requests are, so a stranger can't have anything forgotten.
#[derive(Debug)]
pub(crate) struct Admissions {
    window: Duration,
    capacity: usize,
    seen: Mutex<VecDeque<Seen>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    id: InstanceId,
    time: Timestamp,
}

impl Admissions {
    pub(crate) fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity,
            seen: Mutex::new(VecDeque::new()),
        }
    }

    /// Remembers a request; false where it was there already.
    pub(crate) fn admit(&self, id: InstanceId, time: Timestamp) -> bool {
        let at = Instant::now();
        let mut seen = self.seen.lock();
        while seen
            .front()
            .is_some_and(|oldest| at.duration_since(oldest.at) > self.window)
        {
            seen.pop_front();
        }
        if seen
            .iter()
            .any(|known| known.id == id && known.time == time)
        {
            return false;
        }
        if seen.len() >= self.capacity {
            seen.pop_front();
        }
        if self.capacity > 0 {
            seen.push_back(Seen { at, id, time });
        }
        true
    }
}

/// What a dialer is told whose request is the copy of an earlier one.
pub(super) const REPLAYED: &str = "this connect request was used before";

/// The times that a dialer puts into its requests: never the same twice, however coarse its clock is.
#[derive(Debug, Default)]
pub(crate) struct RequestTimes {
    last: Mutex<Option<Timestamp>>,
}

impl RequestTimes {
    /// How much later than now a time may be in order to differ from the last one.
    const AHEAD: Duration = Duration::from_secs(1);

    /// The time for a request that is made now.
    pub(crate) fn next(&self, now: Timestamp) -> Timestamp {
        let mut last = self.last.lock();
        let time = match *last {
            Some(last) if last >= now && last.abs_diff(now) < Self::AHEAD => {
                Timestamp::from_unix_nanos(last.unix_nanos() + 1)
            }
            _ => now,
        };
        *last = Some(time);
        time
    }

    /// The request was turned away, and so is not remembered.
    pub(crate) fn rejected(&self) {
        *self.last.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn id(number: u8) -> InstanceId {
        InstanceId::new([number; 16])
    }

    fn at(nanos: i128) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_known_for_ten_minutes() {
        let admissions = Admissions::new(WINDOW, 10);
        assert!(admissions.admit(id(1), at(5)));
        assert!(!admissions.admit(id(1), at(5)));
        // The same node dials again; its clock may have been set back. Another one at the same time is another one.
        assert!(admissions.admit(id(1), at(6)));
        assert!(admissions.admit(id(1), at(4)));
        assert!(admissions.admit(id(2), at(5)));
        tokio::time::advance(WINDOW).await;
        assert!(!admissions.admit(id(1), at(5)));
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert!(admissions.admit(id(1), at(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_the_oldest_is_forgotten_and_none_is_refused() {
        let admissions = Admissions::new(WINDOW, 3);
        for nanos in 0..100 {
            assert!(admissions.admit(id(1), at(nanos)), "{nanos}");
            assert!(admissions.seen.lock().len() <= 3);
        }
        for nanos in 97..100 {
            assert!(!admissions.admit(id(1), at(nanos)), "{nanos}");
        }
        assert!(admissions.admit(id(1), at(96)));
        let off = Admissions::new(WINDOW, 0);
        assert!(off.admit(id(1), at(1)) && off.admit(id(1), at(1)));
    }

    #[test]
    fn a_coarse_clock_makes_no_time_twice() {
        let times = RequestTimes::default();
        let made = [
            times.next(at(1_000)),
            times.next(at(1_000)),
            times.next(at(1_001)),
        ];
        assert_eq!(made, [at(1_000), at(1_001), at(1_002)]);
        assert_eq!(times.next(at(2_000)), at(2_000));
        // Set back by an hour, it is that hour.
        let hour = 3_600 * 1_000_000_000;
        assert_eq!(times.next(at(5 * hour)), at(5 * hour));
        assert_eq!(times.next(at(4 * hour)), at(4 * hour));
        times.rejected();
        assert_eq!(times.next(at(4 * hour)), at(4 * hour));
    }
}
