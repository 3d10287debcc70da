//! The two steps in which a node ends.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

/// First nothing new begins, then everything ends.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    /// The same as the first token, for those who ask with every call.
    begun: Arc<AtomicBool>,
    draining: CancellationToken,
    closing: CancellationToken,
    abort: CancellationToken,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self {
            begun: Arc::new(AtomicBool::new(false)),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Fires when no call, handler or connection begins any more.
    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Fires when links, sockets and listeners have to end.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Fires when detached handlers are dropped.
    pub(crate) fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.draining.cancel();
    }

    pub(crate) fn close(&self) {
        self.begin();
        self.closing.cancel();
    }

    pub(crate) fn abort_all(&self) {
        self.abort.cancel();
    }
}
