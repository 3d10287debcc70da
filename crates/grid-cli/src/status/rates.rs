//! What went over each link in the last minutes, for the curves of the page.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    time::Duration,
};

use grid_transport::{LinkStats, Manager};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// From one point of a curve to the next.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// Points of a curve: two minutes.
pub(super) const POINTS: usize = 60;

/// Links that have a curve, so that what is kept is bounded: 6 MiB with all of them.
const MOST_LINKS: usize = 4_096;

/// Bytes a second at one moment; none where nobody could measure, as right after a link was added.
pub(super) type Point = Option<Rate>;

/// Bytes a second each way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) bytes_in: f64,
    pub(super) bytes_out: f64,
}

/// The curves of all links, by remote; the newest point is the last.
pub(super) type Curves = BTreeMap<String, VecDeque<Point>>;

/// Rates as they are measured.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    looked: Option<Instant>,
    links: BTreeMap<String, Link>,
}

#[derive(Debug, Default)]
struct Link {
    /// In and out, when they were last looked at.
    bytes: Option<(u64, u64)>,
    points: VecDeque<Point>,
}

impl Rates {
    /// Measures for as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn keep(&self, manager: &Manager) -> Infallible {
        let mut pace = interval(EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.look(&manager.stats(), Instant::now());
        }
    }

    /// The curves so far.
    pub(super) fn curves(&self) -> Curves {
        let kept = self.0.lock();
        let links = kept.links.iter();
        links
            .map(|(remote, link)| (remote.clone(), link.points.clone()))
            .collect()
    }

    fn look(&self, links: &[LinkStats], now: Instant) {
        let seen = links.iter().take(MOST_LINKS);
        self.add(
            seen.map(|link| (&*link.remote, (link.bytes_in, link.bytes_out))),
            now,
        );
    }

    /// Takes what each link has counted by now. Those that are not named any more are forgotten.
    fn add<'a>(&self, links: impl Iterator<Item = (&'a str, (u64, u64))>, now: Instant) {
        let mut kept = self.0.lock();
        let seconds = kept.looked.map(|before| (now - before).as_secs_f64());
        let mut before = std::mem::take(&mut kept.links);
        kept.looked = Some(now);
        for (remote, bytes) in links {
            let mut link = before.remove(remote).unwrap_or_default();
            let point = match (link.bytes, seconds) {
                (Some(old), Some(seconds)) => Rate::between(old, bytes, seconds),
                _ => None,
            };
            if link.points.len() >= POINTS {
                link.points.pop_front();
            }
            link.points.push_back(point);
            link.bytes = Some(bytes);
            kept.links.insert(remote.to_owned(), link);
        }
    }
}

impl Rate {
    /// None where a counter has gone back: the link was removed and added again.
    fn between(old: (u64, u64), new: (u64, u64), seconds: f64) -> Option<Self> {
        let rate = |old: u64, new: u64| Some(new.checked_sub(old)? as f64 / seconds);
        if seconds <= 0.0 {
            return None;
        }
        Some(Self {
            bytes_in: rate(old.0, new.0)?,
            bytes_out: rate(old.1, new.1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(bytes_in: f64, bytes_out: f64) -> Point {
        Some(Rate {
            bytes_in,
            bytes_out,
        })
    }

    #[test]
    fn rates_are_what_was_counted_between_two_looks() {
        let rates = Rates::default();
        let begin = Instant::now();
        rates.add([("a", (100, 7))].into_iter(), begin);
        rates.add(
            [("a", (300, 7)), ("b", (5, 5))].into_iter(),
            begin + 2 * SECOND,
        );
        let links = [("a", (310, 17)), ("b", (6, 7))];
        rates.add(links.into_iter(), begin + 3 * SECOND);
        let curves = rates.curves();
        assert_eq!(curves["a"], [None, rate(100.0, 0.0), rate(10.0, 10.0)]);
        assert_eq!(curves["b"], [None, rate(1.0, 2.0)]);
    }

    #[test]
    fn a_counter_that_begins_anew_and_a_clock_that_stands_have_no_rate() {
        let rates = Rates::default();
        let begin = Instant::now();
        rates.add([("a", (100, 100))].into_iter(), begin);
        rates.add([("a", (50, 200))].into_iter(), begin + SECOND);
        rates.add([("a", (60, 210))].into_iter(), begin + SECOND);
        assert_eq!(rates.curves()["a"], [None, None, None]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rates = Rates::default();
        let begin = Instant::now();
        for second in 0..100 {
            let bytes = u64::from(second) * 10;
            rates.add([("a", (bytes, 0))].into_iter(), begin + second * SECOND);
        }
        let curves = rates.curves();
        assert_eq!(curves["a"].len(), POINTS);
        assert!(curves["a"].iter().all(|point| *point == rate(10.0, 0.0)));
        rates.add([].into_iter(), begin + 100 * SECOND);
        assert_eq!(rates.curves(), Curves::new());
    }
}
