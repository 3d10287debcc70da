//! How late this process gets the processor, told by a thread that does nothing but wake up.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

/// How often it wakes up.
const STEP: Duration = Duration::from_millis(5);
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
                while !sender.is_closed() {
                    let due = Instant::now() + STEP;
                    thread::sleep(STEP);
                    let now = Instant::now();
                    shared.lock().note(due, now);
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

    fn within(&self, from: Instant, to: Instant) -> Duration {
        self.spans
            .iter()
            .rev()
            .take_while(|(_, ran)| *ran > from)
            .map(|&(due, ran)| ran.min(to).saturating_duration_since(due.max(from)))
            .sum()
    }
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

    #[tokio::test]
    async fn it_waits_until_the_lag_is_known() {
        let probe = Probe::start().unwrap();
        let soon = Instant::now() + STEP;
        probe.lag(Instant::now(), soon).await;
        assert!(Instant::now() >= soon);
    }
}
