//! What a node counts, and what it tells at once because it must never be.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use grid_transport::{CallError, Refusal};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    probe::Probe,
    words::{Broken, Word, Wrong},
};

/// How long after its deadline a call may end, on top of the lag.
pub const GRACE: Duration = Duration::from_millis(100);
/// Of a stream that was silent for two of its periods, while its link was not.
const NO_PONG: &str = "remote disconnected: no pong";
/// So many broken promises of a node are told in full; one is enough to fail.
const TOLD: u64 = 50;

/// What a node has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls made, by what they are.
    pub operations: BTreeMap<String, u64>,
    /// How calls ended that did not succeed, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Calls that ended as they should without a fault.
    pub succeeded: u64,
    /// Payloads that were checked, byte by byte, by callers and handlers.
    pub checked: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Calls that ended so late after their deadline that only the lag excuses it.
    pub excused: u64,
    /// Connections after the first, over all links.
    pub reconnects: u64,
    /// The longest lag of the probe thread, in milliseconds.
    pub lag_ms: u64,
}

impl Counts {
    /// Adds what another node, or another life of the same, has counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, add) in [
            (&mut self.operations, &other.operations),
            (&mut self.errors, &other.errors),
        ] {
            for (key, count) in add {
                *sum.entry(key.clone()).or_default() += count;
            }
        }
        self.succeeded += other.succeeded;
        self.checked += other.checked;
        self.bytes += other.bytes;
        self.excused += other.excused;
        self.reconnects += other.reconnects;
        self.lag_ms = self.lag_ms.max(other.lag_ms);
    }
}

/// The counts of this process, shared by its callers and handlers.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: Mutex<Counts>,
    told: Mutex<u64>,
    probe: Probe,
    words: mpsc::UnboundedSender<Word>,
}

impl Tally {
    /// Nothing yet. What must never be goes to `words`.
    #[must_use]
    pub fn new(probe: Probe, words: mpsc::UnboundedSender<Word>) -> Self {
        Self(Arc::new(Inner {
            counts: Mutex::default(),
            told: Mutex::default(),
            probe,
            words,
        }))
    }

    /// The counts at this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.0.counts.lock().clone();
        counts.lag_ms = self.0.probe.longest().as_millis() as u64;
        counts
    }

    /// A call begins.
    pub fn begin(&self, kind: &str) {
        count(&mut self.0.counts.lock().operations, kind);
    }

    /// A call ended as it should.
    pub fn success(&self) {
        self.0.counts.lock().succeeded += 1;
    }

    /// A call ended otherwise, for a reason that is all right.
    pub fn error(&self, reason: &str) {
        count(&mut self.0.counts.lock().errors, reason);
    }

    /// A payload was right.
    pub fn checked(&self, bytes: usize) {
        let mut counts = self.0.counts.lock();
        counts.checked += 1;
        counts.bytes += bytes as u64;
    }

    /// A promise was broken.
    pub fn wrong(&self, kind: Broken, what: impl Into<String>) {
        let mut told = self.0.told.lock();
        *told += 1;
        if *told <= TOLD {
            // Nobody listens only when the process ends.
            let what = what.into();
            let _ = self.0.words.send(Word::Wrong(Wrong { kind, what }));
        }
    }

    /// A wait of a call is over that began at `from`: it should not have gone on past the deadline.
    ///
    /// # Cancel safety
    ///
    /// A dropped future judges nothing.
    pub async fn on_time(&self, call: &str, from: Instant, deadline: Option<Instant>) {
        let now = Instant::now();
        let Some(due) = deadline.map(|deadline| deadline.max(from)) else {
            return;
        };
        let late = now.saturating_duration_since(due);
        if late <= GRACE {
            return;
        }
        let lag = self.0.probe.lag(due, now).await;
        if late > GRACE + lag {
            let what = format!("{call} ended {late:?} past its deadline, the lag was {lag:?}");
            self.wrong(Broken::Late, what);
        } else {
            self.0.counts.lock().excused += 1;
        }
    }

    /// What an error of a call is called in the table. Those that no network can cause are told.
    pub fn failed(&self, call: &str, error: &CallError, deadline: Option<Instant>) {
        let reason = match error {
            CallError::NotConnected { .. } => "not connected",
            CallError::Disconnected { .. } => "disconnected",
            CallError::Deadline if deadline.is_some() => "deadline",
            CallError::Refused(Refusal::Overloaded) => "overloaded",
            // What is queued on a slow link holds up a stream's pongs for longer than its periods.
            CallError::Protocol(text) if &**text == NO_PONG => "stream silent for two periods",
            other => {
                self.wrong(Broken::WrongAnswer, format!("{call} failed by {other:?}"));
                "unexpected"
            }
        };
        self.error(reason);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> (Tally, mpsc::UnboundedReceiver<Word>) {
        let (sender, words) = mpsc::unbounded_channel();
        (Tally::new(Probe::start().unwrap(), sender), words)
    }

    #[tokio::test]
    async fn who_is_late_is_told_and_who_is_not_is_not() {
        let (tally, mut words) = tally();
        let now = Instant::now();
        let ago = |millis| now.checked_sub(Duration::from_millis(millis)).unwrap();
        tally.on_time("none", ago(900), None).await;
        tally.on_time("slow to ask", now, Some(ago(900))).await;
        tally.on_time("a little", ago(900), Some(now)).await;
        assert!(words.try_recv().is_err());
        tally.on_time("much", ago(9_000), Some(ago(5_000))).await;
        match words.try_recv() {
            Ok(Word::Wrong(wrong)) => assert_eq!(wrong.kind, Broken::Late),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_no_network_can_cause_is_told() {
        let (tally, mut words) = tally();
        tally.failed("a", &CallError::Refused(Refusal::Overloaded), None);
        tally.failed("b", &CallError::Deadline, Some(Instant::now()));
        assert!(words.try_recv().is_err());
        for error in [
            CallError::Deadline,
            CallError::Overrun,
            CallError::ShuttingDown,
        ] {
            tally.failed("c", &error, None);
            assert!(matches!(words.try_recv(), Ok(Word::Wrong(_))), "{error:?}");
        }
        assert_eq!(tally.counts().errors["unexpected"], 3);
    }

    #[test]
    fn counts_add_up() {
        let mut sum = Counts::default();
        let mut one = Counts {
            checked: 2,
            lag_ms: 5,
            ..Counts::default()
        };
        count(&mut one.errors, "deadline");
        sum.add(&one);
        sum.add(&one);
        assert_eq!((sum.checked, sum.lag_ms, sum.errors["deadline"]), (4, 5, 2));
    }
}
