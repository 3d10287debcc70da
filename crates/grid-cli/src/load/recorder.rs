//! What operations took and how they ended, counted while they run.
//!
//! A few shards, each behind a lock, one for each thread: a histogram for each worker would be most of the memory that a
//! report tells of and of what a processor keeps at hand, and a single one would make the threads queue.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::engine::Done;
use crate::{
    failure::Failure,
    fault::{Fault, FaultKind},
};

/// Latencies are kept to so many digits.
const DIGITS: u8 = 3;
/// One that starts later than this after its time is counted as late.
pub(super) const LATE: Duration = Duration::from_millis(1);

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of this thread among those that record.
    static THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

/// Where workers record.
#[derive(Debug)]
pub(super) struct Recorder {
    start: Instant,
    shards: Vec<Mutex<Tally>>,
}

/// When an operation was due, if there is a schedule, was begun and came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) due: Option<Instant>,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

/// Sums.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// From when each operation was due, in nanoseconds; of those that succeeded.
    pub(super) latency: Histogram<u64>,
    /// From when each was begun, where that may be another time.
    pub(super) service: Histogram<u64>,
    pub(super) items: u64,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
    pub(super) late: u64,
    pub(super) errors: BTreeMap<FaultKind, u64>,
    /// The first of the errors.
    pub(super) fault: Option<(Instant, Fault)>,
    /// How many succeeded in each second.
    pub(super) seconds: Vec<u64>,
    /// The last end of an operation, well or not.
    pub(super) last: Option<Instant>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let histogram =
            || Histogram::new(DIGITS).map_err(|error| Failure::failed(error.to_string()));
        Ok(Self {
            latency: histogram()?,
            service: histogram()?,
            items: 0,
            bytes_out: 0,
            bytes_in: 0,
            late: 0,
            errors: BTreeMap::new(),
            fault: None,
            seconds: Vec::new(),
            last: None,
        })
    }

    /// Operations that succeeded.
    pub(super) fn operations(&self) -> u64 {
        self.latency.len()
    }

    /// Operations that failed.
    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn record(&mut self, start: Instant, times: Times, outcome: Result<Done, Fault>) {
        let Times { due, begun, ended } = times;
        self.last = self.last.max(Some(ended));
        if due.is_some_and(|due| begun.duration_since(due) > LATE) {
            self.late += 1;
        }
        match outcome {
            Ok(done) => {
                // Both grow with what they are given, and nothing takes longer than they can hold.
                let latency = ended.duration_since(due.unwrap_or(begun));
                let _ = self.latency.record(nanos(latency));
                if due.is_some() {
                    let _ = self.service.record(nanos(ended.duration_since(begun)));
                }
                self.items += done.items;
                self.bytes_out += done.bytes_out;
                self.bytes_in += done.bytes_in;
                let second = ended.duration_since(start).as_secs();
                let second = usize::try_from(second).unwrap_or(usize::MAX - 1);
                if self.seconds.len() <= second {
                    self.seconds.resize(second + 1, 0);
                }
                if let Some(count) = self.seconds.get_mut(second) {
                    *count += 1;
                }
            }
            Err(fault) => {
                *self.errors.entry(fault.kind).or_default() += 1;
                if self.fault.is_none() {
                    self.fault = Some((ended, fault));
                }
            }
        }
    }

    fn add(&mut self, other: &Self) {
        // Histograms that resize themselves take what others hold.
        let _ = self.latency.add(&other.latency);
        let _ = self.service.add(&other.service);
        self.items += other.items;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.late += other.late;
        for (kind, count) in &other.errors {
            *self.errors.entry(*kind).or_default() += count;
        }
        let earlier = match (&self.fault, &other.fault) {
            (Some((mine, _)), Some((others, _))) => others < mine,
            (mine, others) => mine.is_none() && others.is_some(),
        };
        if earlier {
            self.fault.clone_from(&other.fault);
        }
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize(other.seconds.len(), 0);
        }
        for (mine, others) in self.seconds.iter_mut().zip(&other.seconds) {
            *mine += others;
        }
        self.last = self.last.max(other.last);
    }
}

impl Recorder {
    /// For a run that starts at `start`.
    pub(super) fn new(start: Instant, shards: usize) -> Result<Self, Failure> {
        let shards: Result<_, Failure> = (0..shards.max(1))
            .map(|_| Tally::new().map(Mutex::new))
            .collect();
        Ok(Self {
            start,
            shards: shards?,
        })
    }

    pub(super) const fn start(&self) -> Instant {
        self.start
    }

    /// Records an operation.
    pub(super) fn record(&self, times: Times, outcome: Result<Done, Fault>) {
        self.record_in(THREAD.with(|number| *number), times, outcome);
    }

    fn record_in(&self, number: usize, times: Times, outcome: Result<Done, Fault>) {
        if let Some(shard) = self.shards.get(number % self.shards.len().max(1)) {
            shard.lock().record(self.start, times, outcome);
        }
    }

    /// How many have succeeded and failed so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.shards
            .iter()
            .fold((0, 0), |(operations, failed), shard| {
                let shard = shard.lock();
                (operations + shard.operations(), failed + shard.failed())
            })
    }

    /// All that was recorded.
    pub(super) fn total(&self) -> Result<Tally, Failure> {
        let mut total = Tally::new()?;
        for shard in &self.shards {
            total.add(&shard.lock());
        }
        Ok(total)
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Done = Done {
        items: 2,
        bytes_out: 3,
        bytes_in: 5,
    };

    fn times(start: Instant, due: Option<u64>, begun: u64, ended: u64) -> Times {
        let at = |millis| start + Duration::from_millis(millis);
        Times {
            due: due.map(at),
            begun: at(begun),
            ended: at(ended),
        }
    }

    #[test]
    fn quantiles_are_those_of_all_shards_together() {
        let start = Instant::now();
        let recorder = Recorder::new(start, 4).unwrap();
        for millis in 1..=1000 {
            let number = usize::try_from(millis).unwrap();
            recorder.record_in(number, times(start, None, 0, millis), Ok(DONE));
        }
        let total = recorder.total().unwrap();
        assert_eq!(recorder.counts(), (1000, 0));
        assert_eq!(
            (total.items, total.bytes_out, total.bytes_in),
            (2000, 3000, 5000)
        );
        for (quantile, millis) in [(0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)] {
            let (wanted, got) = (
                millis * 1_000_000,
                total.latency.value_at_quantile(quantile),
            );
            assert!(
                got >= wanted && got - wanted <= wanted / 500,
                "{quantile}: {got}"
            );
        }
        assert!(total.service.is_empty());
        assert_eq!(total.seconds, [999, 1]);
        assert_eq!(total.last, Some(start + Duration::from_secs(1)));
    }

    #[test]
    fn threads_have_shards_of_their_own() {
        let start = Instant::now();
        let recorder = Recorder::new(start, 64).unwrap();
        let record = || {
            recorder.record(times(start, None, 0, 1), Ok(DONE));
            THREAD.with(|number| *number)
        };
        let other = std::thread::scope(|scope| scope.spawn(record).join().unwrap());
        let own = record();
        assert_ne!(own, other);
        assert_eq!(record(), own);
        for (number, shard) in recorder.shards.iter().enumerate() {
            let of = |thread, count| u64::from(thread % 64 == number) * count;
            assert_eq!(shard.lock().operations(), of(own, 2) + of(other, 1));
        }
    }

    #[test]
    fn latency_counts_from_when_it_was_due() {
        let start = Instant::now();
        let recorder = Recorder::new(start, 1).unwrap();
        recorder.record(times(start, Some(0), 900, 1000), Ok(DONE));
        let total = recorder.total().unwrap();
        let second = Duration::from_millis(total.latency.min() / 1_000_000 + 1);
        assert!(second >= Duration::from_millis(999), "{second:?}");
        assert!(total.service.max() < 101_000_000);
        assert_eq!(total.late, 1);
    }

    #[test]
    fn errors_are_counted_by_kind_and_the_first_is_kept() {
        let start = Instant::now();
        let recorder = Recorder::new(start, 3).unwrap();
        let fault = |kind, text: &str| Err(Fault::new(kind, text));
        recorder.record_in(
            0,
            times(start, None, 0, 30),
            fault(FaultKind::Remote, "later"),
        );
        recorder.record_in(
            1,
            times(start, None, 0, 20),
            fault(FaultKind::Deadline, "first"),
        );
        recorder.record_in(
            2,
            times(start, None, 0, 40),
            fault(FaultKind::Remote, "last"),
        );
        let total = recorder.total().unwrap();
        assert_eq!(recorder.counts(), (0, 3));
        assert_eq!(total.errors[&FaultKind::Remote], 2);
        assert_eq!(total.errors[&FaultKind::Deadline], 1);
        assert_eq!(total.fault.unwrap().1.text, "first");
        assert!(total.latency.is_empty() && total.seconds.is_empty());
    }
}
