//! How much the process holds, now and at the most that was seen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::ALLOCATOR;

/// Bytes that are allocated and not freed.
pub(crate) fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// Watches how far above its beginning the process goes. It is sampled, twice in a millisecond: a peak that is over in
/// less may be missed.
pub(crate) struct Watch {
    peak: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    base: usize,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let (peak, done) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let base = held();
        let (high, over) = (peak.clone(), done.clone());
        let thread = thread::spawn(move || {
            while !over.load(Relaxed) {
                high.fetch_max(held(), Relaxed);
                thread::park_timeout(Duration::from_micros(500));
            }
        });
        Self {
            peak,
            done,
            base,
            thread: Some(thread),
        }
    }

    /// What is held beyond what was at the beginning.
    pub(crate) fn now(&self) -> usize {
        held().saturating_sub(self.base)
    }

    /// The most of any sample beyond what was at the beginning.
    pub(crate) fn peak(&self) -> usize {
        self.peak
            .load(Relaxed)
            .max(held())
            .saturating_sub(self.base)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
