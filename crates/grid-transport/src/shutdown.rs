//! The two steps in which a node ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use grid_proto::conn::CloseReason;
use tokio_util::sync::CancellationToken;

use crate::link::shared::NodeShared;

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

impl NodeShared {
    /// Ends all links and whatever handler waits for nothing but that.
    ///
    /// The sessions are closed here, and not only by the tasks of their links: these may be stuck behind a handler that
    /// blocks their thread, and handlers that are attached wait for their session.
    pub(crate) fn end_all(&self) {
        self.shutdown.close();
        self.shutdown.abort_all();
        for link in self.links.all() {
            let Some(session) = link.session() else {
                continue;
            };
            let cause = link.stop_cause();
            // It wakes callers, whose wakers may panic, and the next session is to be closed all the same.
            let close = AssertUnwindSafe(|| session.close(cause, CloseReason::ShuttingDown));
            drop(catch_unwind(close));
        }
    }
}
