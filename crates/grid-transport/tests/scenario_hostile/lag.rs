//! How late this runtime is, for bounds that hold on a busy machine and mean something on a quiet one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Lateness below this is a timer's own.
const NOISE: Duration = Duration::from_millis(4);

/// Adds up how late a timer was that does nothing else.
pub(crate) struct Lag {
    micros: Arc<AtomicU64>,
    ticking: JoinHandle<()>,
}

impl Lag {
    pub(crate) fn begin() -> Self {
        let micros = Arc::new(AtomicU64::new(0));
        let sum = micros.clone();
        let ticking = tokio::spawn(async move {
            loop {
                let due = Instant::now() + Duration::from_millis(10);
                // tidy: sleep: how late it is when it is over is what is measured
                sleep_until(due).await;
                let late = due.elapsed();
                if late > NOISE {
                    sum.fetch_add(late.as_micros() as u64, Relaxed);
                }
            }
        });
        Self { micros, ticking }
    }

    /// All of it since the beginning.
    pub(crate) fn so_far(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}
