//! Errors of calls and handlers; a call's error says whether the handler may have run.

use std::{fmt, sync::Arc};

use grid_proto::wire::Text;

use crate::state::LinkCause;

/// Why a request or a stream failed.
///
/// Each variant tells who is to blame and whether the call reached the remote; see
/// [`is_retryable`](Self::is_retryable) and [`may_have_executed`](Self::may_have_executed).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The link was down: the call was never sent.
    #[error("not connected: {cause}")]
    NotConnected {
        /// Why the link is down.
        #[source]
        cause: Arc<LinkCause>,
    },
    /// The link was lost while the call was open: the handler may have run, or may still.
    #[error("remote disconnected: {cause}")]
    Disconnected {
        /// Why the link was lost.
        #[source]
        cause: Arc<LinkCause>,
    },
    /// This node is shutting down.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The call's deadline has passed.
    #[error("deadline exceeded")]
    Deadline,
    /// The call was cancelled, by its [`CancelHandle`](crate::CancelHandle) or by its caller.
    #[error("cancelled")]
    Cancelled,
    /// The remote has no such handler or subroute; the text is the remote's.
    #[error("{0}")]
    UnknownHandler(Box<str>),
    /// The call was refused before it was executed.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The handler failed; the text is the handler's.
    #[error("{0}")]
    Remote(RemoteText),
    /// The payload is larger than the limit; known before anything was sent.
    #[error("payload of {len} bytes is over the limit of {limit}")]
    TooLarge {
        /// The payload's length in bytes.
        len: usize,
        /// The most that can be sent, in bytes.
        limit: usize,
    },
    /// The two nodes define the stream with different capacities.
    #[error(
        "the remote sent more than the capacity of {capacity} allows: the nodes define this stream differently"
    )]
    CapacityMismatch {
        /// The capacity on this side.
        capacity: u32,
    },
    /// This node held too many unread bytes, and this stream most of them.
    #[error("too many bytes were held unread")]
    Overrun,
    /// The remote broke the protocol on this call, or refused it in words that are not known.
    #[error("{0}")]
    Protocol(Box<str>),
}

impl CallError {
    /// What to tell outcomes apart by, in spans.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::NotConnected { .. } => "not_connected",
            Self::Disconnected { .. } => "disconnected",
            Self::ShuttingDown => "shutting_down",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::UnknownHandler(_) => "unknown_handler",
            Self::Refused(_) => "refused",
            Self::Remote(_) => "remote",
            Self::TooLarge { .. } => "too_large",
            Self::CapacityMismatch { .. } => "capacity_mismatch",
            Self::Overrun => "overrun",
            Self::Protocol(_) => "protocol",
        }
    }

    /// Whether the same call may succeed later and is certain not to have been executed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NotConnected { .. } | Self::Refused(_))
    }

    /// Whether the remote's handler may have run, in part or whole.
    #[must_use]
    pub fn may_have_executed(&self) -> bool {
        match self {
            Self::NotConnected { .. }
            | Self::UnknownHandler(_)
            | Self::Refused(_)
            | Self::TooLarge { .. } => false,
            // Calls that were open when the node shut down fail with it too.
            Self::Disconnected { .. }
            | Self::ShuttingDown
            | Self::Deadline
            | Self::Cancelled
            | Self::Remote(_)
            | Self::CapacityMismatch { .. }
            | Self::Overrun
            | Self::Protocol(_) => true,
        }
    }
}

/// Who refused a call, and why; a refused call was never executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A limit was met: the remote's, or our own queue towards it.
    #[error("overloaded")]
    Overloaded,
    /// The remote is shutting down.
    #[error("the remote is shutting down")]
    ShuttingDown,
}

/// The text of a remote handler's error: bytes, shown lossily where they are no UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteText(Arc<Text>);

impl RemoteText {
    pub(crate) fn new(text: Text) -> Self {
        Self(Arc::new(text))
    }

    /// The bytes as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Debug for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl PartialEq<str> for RemoteText {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for RemoteText {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// Why an item could not be sent on a stream.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream is defined without messages in this direction.
    #[error("this stream takes no input")]
    NoInput,
    /// This side has finished sending.
    #[error("sending was finished before")]
    Finished,
    /// The stream came to a clean end: the other side doesn't want more.
    #[error("the stream has ended")]
    Ended,
    /// The stream has failed, or this item can't be sent on it.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl SendError {
    /// The call's error, where that is why.
    #[must_use]
    pub fn as_call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }
}

/// What a handler answers instead of a result: a text that the caller gets.
///
/// Every error converts into it by `?`, with its `Display` as the text. It is no [`std::error::Error`]
/// itself, so that this conversion can exist. A text that ends a stream is cut, between two characters,
/// to 16 KiB; to 1 KiB while the queue of the link or the node is full, and where the caller has yet to
/// take items before there is credit for the end.
pub struct HandlerError(Text);

impl HandlerError {
    /// An error with this text.
    #[must_use]
    pub fn new(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0
    }

    pub(crate) fn into_text(self) -> Text {
        self.0
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerError")
            .field(&self.0.to_string())
            .finish()
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(Text::from(error.to_string()))
    }
}

const _: () = assert!(size_of::<CallError>() <= 32);
const _: () = assert!(size_of::<SendError>() <= 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_ask() {
        let lost = CallError::Disconnected {
            cause: Arc::new(LinkCause::Replaced),
        };
        assert!(lost.may_have_executed() && !lost.is_retryable());
        let refused = CallError::Refused(Refusal::Overloaded);
        assert!(!refused.may_have_executed() && refused.is_retryable());
        let large = CallError::TooLarge { len: 2, limit: 1 };
        assert!(!large.may_have_executed() && !large.is_retryable());
    }

    #[test]
    fn any_error_becomes_a_handlers_text() {
        fn fails() -> Result<(), HandlerError> {
            Err(CallError::Deadline)?
        }
        assert_eq!(fails().unwrap_err().to_string(), "deadline exceeded");
    }
}
