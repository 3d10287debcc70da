//! Time that passes, and how late the machine was meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::time::Instant;

/// How often the thread that measures the lateness wakes.
const STEP: Duration = Duration::from_millis(10);

/// Measures a time that must not be exceeded. On a machine that others use as well, what a thread
/// is woken late by meanwhile is no fault of ours.
pub(crate) struct Watch {
    began: Instant,
    stop: Arc<AtomicBool>,
    late: Option<JoinHandle<Duration>>,
}

impl Watch {
    /// By the clock alone, which is paused.
    pub(crate) fn exact() -> Self {
        Self {
            began: Instant::now(),
            stop: Arc::default(),
            late: None,
        }
    }

    pub(crate) fn lenient() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let late = thread::spawn(move || {
            let mut late = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let before = std::time::Instant::now();
                // tidy: sleep: how late it wakes is what is measured
                thread::sleep(STEP);
                late += before.elapsed().saturating_sub(STEP);
            }
            late
        });
        Self {
            began: Instant::now(),
            stop,
            late: Some(late),
        }
    }

    /// How long it took; fails where that is longer than `limit`.
    pub(crate) fn within(mut self, limit: Duration) -> Duration {
        let took = self.began.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let late = self
            .late
            .take()
            .map_or(Duration::ZERO, |late| late.join().unwrap());
        assert!(
            took <= limit + late,
            "took {took:?}, the machine was late by {late:?}"
        );
        took
    }

    pub(crate) fn within_a_second(self) {
        self.within(Duration::from_secs(1));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
