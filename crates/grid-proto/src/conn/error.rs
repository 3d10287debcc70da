//! What can go wrong, by operation.

use std::time::Duration;

use thiserror::Error;

use crate::wire::{DecodeError, MuxRejection, Text};

/// Why a call could not be started; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// Too many bytes wait to be written; try again when there is room.
    #[error("too many bytes wait to be written")]
    QueueFull,
    /// As many calls of this kind are open as may be.
    #[error("{limit} calls of this kind are open already")]
    TooManyOpen {
        /// The limit.
        limit: usize,
    },
    /// The message would be larger than a message may be.
    #[error("a message of {len} bytes is over the limit of {limit}")]
    TooLarge {
        /// The encoded length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Less than a millisecond is left until the deadline.
    #[error("the deadline has passed")]
    DeadlinePassed,
}

/// Why a stream item could not be sent; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
    /// The stream takes no items from its caller.
    #[error("the stream takes no items")]
    NoInput,
    /// The sender has said that it sends no more.
    #[error("the sending side was finished")]
    Finished,
    /// No credit is left, or its share of the queue waits already; try again when the stream is writable.
    #[error("no credit is left")]
    NoCredit,
    /// Too many bytes wait to be written; try again when there is room.
    #[error("too many bytes wait to be written")]
    QueueFull,
    /// The message would be larger than a message may be.
    #[error("a message of {len} bytes is over the limit of {limit}")]
    TooLarge {
        /// The encoded length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Why an answer went nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RespondError {
    /// Nobody waits for it: the deadline passed, the caller went, or the connection ended.
    #[error("nobody waits for the answer")]
    Gone,
    /// Too many bytes wait to be written; the ticket stays good, try again when there is room.
    #[error("too many bytes wait to be written")]
    QueueFull,
    /// The message would be larger than a message may be; the ticket stays good for another answer.
    #[error("a message of {len} bytes is over the limit of {limit}")]
    TooLarge {
        /// The encoded length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Why a call ended without its answer, or a stream without a clean end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The handler failed, in its words.
    #[error("remote: {0}")]
    Remote(Text),
    /// The remote would not run it: it was never executed.
    #[error("rejected by the remote: {0}")]
    Rejected(MuxRejection),
    /// The remote ended this call and said no more.
    #[error("remote disconnected")]
    RemoteDisconnected,
    /// The connection ended.
    #[error("the connection ended")]
    Closed,
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The remote answered a ping by saying that the stream is not there, or is ending.
    #[error("remote terminated call")]
    Terminated {
        /// The remote's words, if it gave any.
        text: Option<Text>,
    },
    /// The remote has neither answered pings nor sent anything on this stream for two periods, though it
    /// has answered pings of the link that left later; or for sixteen where it answers none of these in time either.
    #[error("remote disconnected: no pong")]
    NoPong,
    /// The remote broke the count of messages.
    #[error("out-of-sequence item received: want {want}, got {got}")]
    OutOfSequence {
        /// The number that was due.
        want: u32,
        /// The number that came.
        got: u32,
    },
    /// The remote sent more items than the stream's capacity allows: the two nodes define the stream differently.
    #[error("more items than the capacity of {capacity} allows")]
    CapacityMismatch {
        /// Our idea of the capacity.
        capacity: u32,
    },
    /// Too many bytes were held for this node, and this stream held most of them.
    #[error("too many bytes were held unread")]
    Overloaded,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This node wanted it.
    #[error("closed by this node")]
    Local,
    /// This node is shutting down.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// A newer connection of the same remote took its place.
    #[error("replaced by a newer connection")]
    Replaced,
    /// Not one byte came for two ping periods.
    #[error("no byte received for {0:?}")]
    PeerSilent(Duration),
    /// The peer makes us answer but does not read the answers.
    #[error("the peer does not read")]
    PeerNotReading,
    /// The peer sent more of something senseless than any honest one does.
    #[error("the peer sent too many {0}")]
    Abuse(&'static str),
    /// A message could not be read.
    #[error("unreadable message: {0}")]
    Decode(#[source] DecodeError),
    /// The socket ended, in the transport's words.
    #[error("connection lost: {0}")]
    Lost(Text),
}
