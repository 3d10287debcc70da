//! Why a body did not go over whole.

use std::io;

use crate::error::{CallError, SendError};

/// Why a body was not sent. The receiver sees no complete body in any of these cases.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendBodyError {
    /// What the body was read from has failed.
    #[error("can't read the body: {0}")]
    Read(#[source] io::Error),
    /// The stream does not take it.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The stream came to a bad end; the error says whose fault that is.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The stream ended well, but without the summary: the sender broke off, or sends no such bodies.
    #[error("the stream ended after {came} bytes, without a summary")]
    Truncated {
        /// The bytes that came.
        came: u64,
    },
    /// The sender says that it has sent another number of bytes than came.
    #[error("{came} bytes came, and {said} were sent")]
    Length {
        /// The bytes that came.
        came: u64,
        /// The bytes that were sent, as the summary says.
        said: u64,
    },
    /// The bytes that came are not those that were sent.
    #[error("the hash of the {len} bytes that came is not that of those sent")]
    Hash {
        /// The bytes that came.
        len: u64,
    },
    /// There are more bytes than the receiver takes.
    #[error("the body has more than {limit} bytes")]
    TooLong {
        /// The [limit](super::Receiver::limit), in bytes.
        limit: u64,
    },
    /// What came is no body as this module sends them.
    #[error("not a body: {0}")]
    Malformed(&'static str),
}

/// For whoever reads the body as a reader.
impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> Self {
        let kind = match &error {
            ReceiveError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            ReceiveError::Call(CallError::Deadline) => io::ErrorKind::TimedOut,
            ReceiveError::Call(CallError::Disconnected { .. } | CallError::NotConnected { .. }) => {
                io::ErrorKind::ConnectionReset
            }
            ReceiveError::Call(_) => io::ErrorKind::Other,
            ReceiveError::Length { .. }
            | ReceiveError::Hash { .. }
            | ReceiveError::TooLong { .. }
            | ReceiveError::Malformed(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
