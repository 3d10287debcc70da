//! A place for one thing, where a newer one takes the place of an older.

// All that a model checker puts something else in place of.
use crate::sync::{Mutex, Notify};

/// Where the newest of several things waits to be taken, by one taker.
#[derive(Debug)]
pub(crate) struct Place<T> {
    newest: Mutex<Newest<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct Newest<T> {
    thing: Option<T>,
    closed: bool,
}

impl<T> Place<T> {
    pub(crate) fn new() -> Self {
        let newest = Newest {
            thing: None,
            closed: false,
        };
        Self {
            newest: Mutex::new(newest),
            arrived: Notify::new(),
        }
    }

    /// Puts one in, and returns the one that nobody will take: the one before, or this one where the place is closed.
    pub(crate) fn put(&self, thing: T) -> Option<T> {
        let left = {
            let mut newest = self.newest.lock();
            if newest.closed {
                return Some(thing);
            }
            newest.thing.replace(thing)
        };
        self.arrived.notify_one();
        left
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        self.newest.lock().thing.take()
    }

    /// Waits for one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn take(&self) -> T {
        loop {
            if let Some(thing) = self.try_take() {
                return thing;
            }
            self.arrived.notified().await;
        }
    }

    /// Takes none from now on; returns what nobody will take.
    pub(crate) fn close(&self) -> Option<T> {
        let mut newest = self.newest.lock();
        newest.closed = true;
        newest.thing.take()
    }
}
