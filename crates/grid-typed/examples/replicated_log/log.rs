//! A node's log: entries one after the other, without a gap.
//!
//! It stands for a file, and so it outlives its node here. Like a disk it can be slow.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::protocol::Entry;

/// The log goes on at another place than this entry's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} does not come next, the log has {entries}")]
pub(crate) struct OutOfPlace {
    index: u64,
    entries: u64,
}

#[derive(Default)]
pub(crate) struct Log {
    entries: Mutex<Vec<Entry>>,
    /// How many there are, for whoever waits for more.
    len: watch::Sender<u64>,
    /// Whether the disk stands still.
    stalled: watch::Sender<bool>,
}

impl Log {
    pub(crate) fn len(&self) -> u64 {
        *self.len.borrow()
    }

    /// How many entries there are, now and later.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.len.subscribe()
    }

    pub(crate) fn get(&self, index: u64) -> Option<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(usize::try_from(index).ok()?).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clone()
    }

    /// Adds what comes next, whatever its place is, and returns that.
    pub(crate) fn push(&self, data: Vec<u8>) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = entries.len() as u64;
        entries.push(Entry { index, data });
        self.len.send_replace(index + 1);
        index
    }

    /// Stores the entry of a leader, and returns how many there are then.
    ///
    /// # Errors
    ///
    /// When it does not come next. Nothing is stored then: a log with a gap is none.
    ///
    /// # Cancel safety
    ///
    /// It is stored, or it is not.
    pub(crate) async fn store(&self, entry: Entry) -> Result<u64, OutOfPlace> {
        let mut stalled = self.stalled.subscribe();
        // Its sender lives as long as the log.
        let _ = stalled.wait_for(|stalled| !stalled).await;

        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let len = entries.len() as u64;
        if entry.index != len {
            return Err(OutOfPlace {
                index: entry.index,
                entries: len,
            });
        }
        entries.push(entry);
        self.len.send_replace(len + 1);
        Ok(len + 1)
    }

    /// Lets the disk stand still, or go on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn entry(index: u64) -> Entry {
        let data = index.to_string().into_bytes();
        Entry { index, data }
    }

    #[tokio::test]
    async fn a_log_has_no_gap_and_nothing_twice() {
        let log = Log::default();
        assert_eq!(log.store(entry(0)).await, Ok(1));
        assert_eq!(log.push(b"1".to_vec()), 1);
        for index in [0, 1, 3] {
            let refused = OutOfPlace { index, entries: 2 };
            assert_eq!(log.store(entry(index)).await, Err(refused));
        }
        assert_eq!(log.all(), [entry(0), entry(1)]);
        assert_eq!((log.get(1), log.get(2)), (Some(entry(1)), None));
    }

    #[tokio::test]
    async fn a_store_that_is_dropped_has_stored_nothing() {
        let log = Log::default();
        log.stall(true);
        assert_eq!(log.store(entry(0)).now_or_never(), None);
        log.stall(false);
        assert_eq!(log.len(), 0);
        assert_eq!(log.store(entry(0)).await, Ok(1));
    }
}
