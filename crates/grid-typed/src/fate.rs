//! What the two halves of a typed stream share: whether it has failed by a value of its own.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use grid_transport::CancelHandle;
use tokio::sync::Notify;
use tokio::sync::futures::{Notified, OwnedNotified};

use crate::TypedError;

/// Set once, by the first item that could not be encoded or decoded.
///
/// The caller's end of such a stream is cancelled. The handler's can't be: it learns from its
/// halves, which are woken where they wait, and its outcome is replaced.
#[derive(Debug)]
pub(crate) struct Fate {
    reason: OnceLock<Arc<str>>,
    cancel: CancelHandle,
    /// A receiver that waits while its sender's item fails.
    receiver: AtomicWaker,
    /// Senders that wait, for credit or room, while an item of their receiver fails.
    senders: Arc<Notify>,
}

impl Fate {
    pub(crate) fn new(cancel: CancelHandle) -> Arc<Self> {
        Arc::new(Self {
            reason: OnceLock::new(),
            cancel,
            receiver: AtomicWaker::new(),
            senders: Arc::new(Notify::new()),
        })
    }

    pub(crate) fn fail(&self, error: &TypedError) {
        if self.reason.set(error.to_string().into()).is_ok() {
            self.cancel.cancel();
            self.receiver.wake();
            self.senders.notify_waiters();
        }
    }

    /// Ends when the stream fails. To be made before [`check`](Self::check), so that nothing is
    /// missed between.
    pub(crate) fn failing(&self) -> Notified<'_> {
        self.senders.notified()
    }

    /// As [`failing`](Self::failing), for those who keep it.
    pub(crate) fn failing_owned(&self) -> OwnedNotified {
        self.senders.clone().notified_owned()
    }

    /// Why the stream has failed, if it has.
    pub(crate) fn reason(&self) -> Option<&Arc<str>> {
        self.reason.get()
    }

    /// Whether the stream has failed; if not, the receiver is woken when it does.
    pub(crate) fn is_failed_or_wakes(&self, receiver: &Waker) -> bool {
        self.receiver.register(receiver);
        self.reason.get().is_some()
    }

    /// The reason in place of what the transport says about a stream that we have cancelled.
    pub(crate) fn explain(&self, error: TypedError) -> TypedError {
        match self.reason() {
            Some(reason) => TypedError::Failed(reason.clone()),
            None => error,
        }
    }

    pub(crate) fn check(&self) -> Result<(), TypedError> {
        match self.reason() {
            Some(reason) => Err(TypedError::Failed(reason.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }
}
