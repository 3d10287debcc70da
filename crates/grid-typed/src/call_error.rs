//! What can go wrong with a typed call.

use std::fmt;
use std::sync::Arc;

use grid_transport::{CallError, SendError};

use crate::{DecodeError, EncodeError};

/// Which message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The request of a single call.
    Request,
    /// The answer to a single call.
    Response,
    /// The initial payload of a stream.
    Init,
    /// An item of a stream, in either direction.
    Item,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "the request",
            Self::Response => "the response",
            Self::Init => "the initial payload",
            Self::Item => "an item",
        })
    }
}

/// Why a typed call or stream failed.
///
/// A value that can't be encoded is the fault of this node, a payload that can't be decoded that of
/// the other one, or of two definitions that differ; all else is the call's own
/// [`CallError`]. The texts name kinds of values; [`DecodeError`] says which of them quote a peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// The value has no encoding, or its code panicked: nothing of it was sent.
    #[error("encoding {role}: {source}")]
    Encode {
        /// Which message.
        role: Role,
        /// Why.
        #[source]
        source: EncodeError,
    },
    /// What the other side sent is no such value, or the type's code panicked.
    #[error("decoding {role}: {source}")]
    Decode {
        /// Which message.
        role: Role,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// There is no answer, or the stream did not come to a clean end.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The item could not be sent, though nothing is wrong with the stream.
    #[error(transparent)]
    Send(SendError),
    /// This stream has failed already, by an item of this side that could not be encoded or one of
    /// the other side that could not be decoded; the text is that of the first such error.
    #[error("the stream has failed: {0}")]
    Failed(Arc<str>),
}

impl TypedError {
    /// Whether the same call may succeed later and is certain not to have been executed; see
    /// [`CallError::is_retryable`]. A value or payload that is wrong stays so.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.as_call().is_some_and(CallError::is_retryable)
    }

    /// Whether the remote's handler may have run, in part or whole; see
    /// [`CallError::may_have_executed`]. It has where an answer or item came back, and on a stream
    /// that was open when an item of this side failed.
    #[must_use]
    pub fn may_have_executed(&self) -> bool {
        match self {
            Self::Encode { role, .. } => matches!(role, Role::Response | Role::Item),
            Self::Decode { .. } | Self::Send(_) | Self::Failed(_) => true,
            Self::Call(error) => error.may_have_executed(),
        }
    }

    /// The call's own error, where that is why.
    #[must_use]
    pub fn as_call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SendError> for TypedError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Call(error) => Self::Call(error),
            other => Self::Send(other),
        }
    }
}

const _: () = assert!(size_of::<TypedError>() <= 56);

#[cfg(test)]
mod tests {
    use grid_transport::Refusal;

    use super::*;

    #[test]
    fn what_callers_ask() {
        let encode = |role| TypedError::Encode {
            role,
            source: EncodeError::TooDeep,
        };
        let decode = |role| TypedError::Decode {
            role,
            source: DecodeError::invalid("no"),
        };
        let cases = [
            (encode(Role::Request), false, false),
            (encode(Role::Init), false, false),
            (encode(Role::Item), false, true),
            (decode(Role::Response), false, true),
            (decode(Role::Item), false, true),
            (CallError::Refused(Refusal::Overloaded).into(), true, false),
            (CallError::Deadline.into(), false, true),
            (SendError::Call(CallError::ShuttingDown).into(), false, true),
            (SendError::Ended.into(), false, true),
        ];
        for (error, retryable, executed) in cases {
            assert_eq!(error.is_retryable(), retryable, "{error:?}");
            assert_eq!(error.may_have_executed(), executed, "{error:?}");
        }
    }

    #[test]
    fn the_text_says_which_message() {
        let error = TypedError::Decode {
            role: Role::Init,
            source: DecodeError::invalid("no map"),
        };
        assert_eq!(error.to_string(), "decoding the initial payload: no map");
    }
}
