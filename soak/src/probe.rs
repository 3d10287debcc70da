//! How late this process gets the processor, told by a thread that does nothing but wake up.
//!
//! A thread that mostly sleeps is preferred by the scheduler over those that work, so on a machine
//! that is short of processors its own lateness says little about theirs. Where the kernel counts
//! how long each thread has waited for a processor (Linux), the probe reads that too. Neither grows
//! when a thread is blocked, is busy for too long or was not woken: that is no excuse.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

/// How often it wakes up.
const STEP: Duration = Duration::from_millis(10);
/// Lags that are shorter are noise of the timer.
const NOISE: Duration = Duration::from_millis(1);
/// How many lags are remembered: minutes of them, even where every single wake-up is late.
const KEPT: usize = 20_000;

/// The probe; it runs as long as the process.
#[derive(Clone, Debug)]
pub struct Probe {
    lags: Arc<Mutex<Lags>>,
    last: watch::Receiver<Instant>,
}

#[derive(Debug, Default)]
struct Lags {
    /// From when it should have run until it did.
    spans: VecDeque<(Instant, Instant)>,
    longest: Duration,
}

impl Probe {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When there can't be one.
    pub fn start() -> std::io::Result<Self> {
        let lags = Arc::new(Mutex::new(Lags::default()));
        let (sender, last) = watch::channel(Instant::now());
        let shared = lags.clone();
        thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || {
                let (mut waits, mut before) = (Waits::default(), Instant::now());
                while !sender.is_closed() {
                    thread::sleep(STEP);
                    let now = Instant::now();
                    let waited = waits.longest_since();
                    shared.lock().passed(before, now, waited);
                    before = now;
                    sender.send_replace(now);
                }
            })?;
        Ok(Self { lags, last })
    }

    /// For how long between two moments this process should have run and did not. Waits until the
    /// thread has run after the later one, as a lag is only known when it is over.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lag(&self, from: Instant, to: Instant) -> Duration {
        // The thread runs as long as anybody holds the receiver.
        let _ = self.last.clone().wait_for(|last| *last >= to).await;
        self.lags.lock().within(from, to)
    }

    /// The longest so far.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.lags.lock().longest
    }
}

impl Lags {
    /// The thread has woken up again, after other threads have waited for so long. What came between counts wherever the
    /// thread was: a process that is stopped need not be asleep then.
    fn passed(&mut self, before: Instant, now: Instant, waited: Duration) {
        let from = now.checked_sub(waited).unwrap_or(now);
        self.note((before + STEP).min(from), now);
    }

    fn note(&mut self, due: Instant, ran: Instant) {
        let lag = ran.saturating_duration_since(due);
        if lag < NOISE {
            return;
        }
        self.longest = self.longest.max(lag);
        if self.spans.len() == KEPT {
            self.spans.pop_front();
        }
        self.spans.push_back((due, ran));
    }

    /// Spans may overlap, and are in the order of their ends.
    fn within(&self, from: Instant, to: Instant) -> Duration {
        let mut lag = Duration::ZERO;
        let mut counted_from = to;
        for &(due, ran) in self.spans.iter().rev().take_while(|(_, ran)| *ran > from) {
            let begin = due.max(from);
            lag += ran.min(counted_from).saturating_duration_since(begin);
            counted_from = counted_from.min(begin);
        }
        lag
    }
}

/// How long each thread of this process has waited for a processor, as the kernel counts it.
#[derive(Debug, Default)]
struct Waits(HashMap<String, u64>);

impl Waits {
    /// The longest that one of them has waited since it was asked the last time.
    fn longest_since(&mut self) -> Duration {
        let before = std::mem::take(&mut self.0);
        let mut longest = 0;
        for thread in fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten()
        {
            let stat = fs::read_to_string(thread.path().join("schedstat"));
            if let Some(waited) = stat.ok().as_deref().and_then(waited) {
                let thread = thread.file_name().to_string_lossy().into_owned();
                let known = before.get(&thread).copied().unwrap_or(waited);
                longest = longest.max(waited.saturating_sub(known));
                self.0.insert(thread, waited);
            }
        }
        Duration::from_nanos(longest)
    }
}

/// Of the time on a processor, the time waiting for one and the number of turns, the second.
fn waited(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_counts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut lags = Lags::default();
        lags.note(at(10), at(30));
        lags.note(at(40), at(40));
        lags.note(at(50), at(90));
        assert_eq!(lags.longest, Duration::from_millis(40));
        for (from, to, lag) in [
            (0, 100, 60),
            (20, 100, 50),
            (30, 100, 40),
            (0, 60, 30),
            (60, 70, 10),
            (91, 99, 0),
        ] {
            assert_eq!(
                lags.within(at(from), at(to)),
                Duration::from_millis(lag),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn what_overlaps_counts_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut lags = Lags::default();
        lags.note(at(10), at(30));
        lags.note(at(20), at(40));
        lags.note(at(5), at(50));
        lags.note(at(60), at(70));
        for (from, to, lag) in [(0, 100, 55), (0, 45, 40), (15, 65, 40)] {
            let found = lags.within(at(from), at(to));
            assert_eq!(found, Duration::from_millis(lag), "{from} to {to}");
        }
    }

    #[test]
    fn the_wait_is_the_second_number() {
        assert_eq!(waited("2087 31465 5\n"), Some(31_465));
        assert_eq!(waited(""), None);
    }

    #[test]
    fn a_stop_counts_wherever_the_thread_was() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lags = Lags::default();
        lags.passed(at(0), at(10), Duration::ZERO);
        // Stopped after it had looked at the clock and before it slept again: its sleep was as long as ever.
        lags.passed(at(10), at(3_020), Duration::ZERO);
        lags.passed(at(3_020), at(3_030), Duration::from_millis(5));
        for (from, to, lag) in [(0, 4_000, 3_005), (1_000, 2_000, 1_000), (3_020, 3_030, 5)] {
            let found = lags.within(at(from), at(to));
            assert_eq!(found, Duration::from_millis(lag), "{from} to {to}");
        }
    }

    #[tokio::test]
    async fn it_waits_until_the_lag_is_known() {
        let probe = Probe::start().unwrap();
        let soon = Instant::now() + STEP;
        probe.lag(Instant::now(), soon).await;
        assert!(Instant::now() >= soon);
    }
}
