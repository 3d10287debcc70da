//! Who waits for room in the queue budget of the node, which no single lock guards.

// All that a model checker puts something else in place of.
use crate::sync::{Arc, AtomicBool, Notify, Ordering};

/// Wakes those who wait for room in a budget that several links share.
#[derive(Debug)]
pub(crate) struct NodeRoom {
    /// To be made before the try that may fail.
    pub(crate) wake: Arc<Notify>,
    starved: AtomicBool,
}

impl NodeRoom {
    pub(crate) fn new() -> Self {
        Self {
            wake: Arc::new(Notify::new()),
            starved: AtomicBool::new(false),
        }
    }

    /// To be said by whoever found no room, before it looks once more and waits.
    pub(crate) fn starve(&self) {
        // Reads as well: whoever offered room last has given it back before, and the look that follows must see it.
        self.starved.swap(true, Ordering::SeqCst);
    }

    /// To be called by whoever has given room back, with whether there is some.
    pub(crate) fn offer(&self, has_room: bool) {
        if has_room && self.starved.swap(false, Ordering::SeqCst) {
            self.wake.notify_waiters();
        }
    }
}
