//! What the lock protects here: something that notices when it does not.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::task::yield_now;

/// How often somebody else gets a chance to come between while one is inside.
const CHANCES: usize = 20;

#[derive(Default)]
pub(crate) struct Vault {
    readers: AtomicU64,
    writers: AtomicU64,
    /// The most readers that were inside together.
    most_readers: AtomicU64,
    /// How often a writer was not alone.
    meetings: AtomicU64,
    counter: AtomicU64,
}

impl Vault {
    /// Adds one, in two steps; whoever comes between makes it wrong.
    pub(crate) async fn write(&self) {
        let others = self.writers.fetch_add(1, SeqCst) + self.readers.load(SeqCst);
        self.meet(others);
        let before = self.counter.load(SeqCst);
        linger().await;
        self.counter.store(before + 1, SeqCst);
        self.writers.fetch_sub(1, SeqCst);
    }

    pub(crate) async fn read(&self) {
        let readers = self.readers.fetch_add(1, SeqCst) + 1;
        self.most_readers.fetch_max(readers, SeqCst);
        self.meet(self.writers.load(SeqCst));
        linger().await;
        self.readers.fetch_sub(1, SeqCst);
    }

    pub(crate) fn meetings(&self) -> u64 {
        self.meetings.load(SeqCst)
    }

    pub(crate) fn written(&self) -> u64 {
        self.counter.load(SeqCst)
    }

    fn meet(&self, others: u64) {
        if others > 0 {
            self.meetings.fetch_add(1, SeqCst);
        }
    }
}

async fn linger() {
    for _ in 0..CHANCES {
        yield_now().await;
    }
}

impl fmt::Display for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} counted, {} reading at once at the most, {} times with a writer",
            self.written(),
            self.most_readers.load(SeqCst),
            self.meetings()
        )
    }
}
