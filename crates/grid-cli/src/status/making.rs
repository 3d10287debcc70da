//! Answers are made beside the threads on which they are asked for, as links share these.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::task::TaskTracker;

/// Answers that are made at one time. Who goes while one is made for him leaves it behind, and so it has its room until it
/// is made: however many come and go, no more than these take threads, and memory.
const MOST: usize = 4;

#[derive(Debug)]
pub(super) struct Making {
    room: Arc<Semaphore>,
    all: TaskTracker,
}

impl Making {
    pub(super) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            all: TaskTracker::new(),
        }
    }

    /// Makes an answer, once there is room for it.
    ///
    /// # Errors
    ///
    /// Where it panics, or the runtime ends.
    ///
    /// # Cancel safety
    ///
    /// One that was begun is made, and dropped.
    pub(super) async fn made<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // Never closed.
        let room = self.room.clone().acquire_owned().await.ok();
        let make = move || {
            let made = make();
            drop(room);
            made
        };
        self.all.spawn_blocking(make).await
    }

    /// Returns once all that was begun is made; nothing may be asked for any more.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn ended(&self) {
        self.all.close();
        self.all.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use futures_util::FutureExt;
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn who_comes_and_goes_leaves_no_more_behind_than_there_is_room_for() {
        let making = Making::new();
        let begun = Arc::new(AtomicUsize::new(0));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..3 * MOST {
            let (begun, gate) = (begun.clone(), gate.clone());
            let made = making.made(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                gate.lock().recv_timeout(Duration::from_secs(20))
            });
            assert!(made.now_or_never().is_none());
        }
        assert_eq!(making.all.len(), MOST);
        assert!(making.ended().now_or_never().is_none());
        (0..3 * MOST).for_each(|_| go.send(()).unwrap());
        making.ended().await;
        assert_eq!(begun.load(Ordering::Relaxed), MOST);
        assert_eq!(making.made(|| 7).await.unwrap(), 7);
        assert!(making.made(|| panic!("no answer")).await.is_err());
    }
}
