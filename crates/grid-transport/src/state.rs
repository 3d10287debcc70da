//! How a link is, and why it isn't up.

use std::{fmt, io, sync::Arc, time::Duration};

use grid_proto::{
    InstanceId,
    conn::{CloseReason, handshake::AnswerError},
    wire::{ConnectRejection, DecodeError, Text},
};
use tokio::time::Instant;

use crate::{auth::AuthError, ws::WsError};

/// How a link is.
///
/// ```text
///   dialer   Connecting ──────► Connected ──► Connecting …
///   acceptor Waiting ─────────► Connected ──► Waiting …
///   both     any ─────────────► Closed
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LinkState {
    /// This node dials, and is in an attempt or in the pause before one.
    Connecting {
        /// The number of the attempt since the link was last up, from 1.
        attempt: u32,
        /// Why the link was lost, or why the last attempt failed.
        last: Option<Arc<LinkCause>>,
    },
    /// The remote dials, and hasn't yet.
    Waiting {
        /// Why the link was lost.
        last: Option<Arc<LinkCause>>,
    },
    /// Calls can be made.
    Connected {
        /// Since when.
        since: Instant,
        /// The remote's id, which changes when it restarts.
        peer: InstanceId,
    },
    /// The link has ended for good.
    Closed {
        /// Why.
        cause: Arc<LinkCause>,
    },
}

impl LinkState {
    pub(crate) const fn initial(dials: bool) -> Self {
        if dials {
            Self::Connecting {
                attempt: 1,
                last: None,
            }
        } else {
            Self::Waiting { last: None }
        }
    }

    /// Whether calls can be made.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Whether the link has ended for good.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Why the link isn't up; `None` when it is, or was never tried.
    #[must_use]
    pub const fn last_cause(&self) -> Option<&Arc<LinkCause>> {
        match self {
            Self::Connecting { last, .. } | Self::Waiting { last } => last.as_ref(),
            Self::Connected { .. } => None,
            Self::Closed { cause } => Some(cause),
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting {
                attempt,
                last: None,
            } => write!(f, "connecting, attempt {attempt}"),
            Self::Connecting {
                attempt,
                last: Some(cause),
            } => {
                write!(f, "connecting, attempt {attempt}, after: {cause}")
            }
            Self::Waiting { last: None } => f.write_str("waiting to be dialed"),
            Self::Waiting { last: Some(cause) } => {
                write!(f, "waiting to be dialed, after: {cause}")
            }
            Self::Connected { peer, .. } => write!(f, "connected to instance {peer}"),
            Self::Closed { cause } => write!(f, "closed: {cause}"),
        }
    }
}

/// Why a link isn't up.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkCause {
    /// Nothing was tried yet.
    #[error("not tried yet")]
    NotTried,
    /// No byte stream could be opened: refused, unreachable, or the name doesn't resolve.
    #[error("can't dial: {0}")]
    Dial(#[source] Arc<io::Error>),
    /// Opening the byte stream took too long.
    #[error("can't dial: no connection within {after:?}")]
    DialTimeout {
        /// The time it had.
        after: Duration,
    },
    /// This node has no token to show.
    #[error("no token to dial with: {0}")]
    Token(#[source] AuthError),
    /// The remote answered the upgrade with another status than 101.
    #[error("the remote refused the upgrade with status {status}")]
    Refused {
        /// The status, such as 403 when it rejects the headers and 404 when it doesn't know the route path.
        status: u16,
    },
    /// The remote's answer to the upgrade is no answer to a websocket upgrade.
    #[error("upgrade failed: {0}")]
    Upgrade(Text),
    /// The remote turned this node away, for this reason.
    #[error("rejected by the remote: {0}")]
    Rejected(ConnectRejection),
    /// Who answered the dial has not proven to be the remote; it was not shown the token.
    #[error("the peer's certificate does not prove that it is {name}")]
    Unproven {
        /// The remote's name.
        name: Arc<str>,
    },
    /// What the remote said in the handshake isn't what belongs there.
    #[error("handshake failed: {0}")]
    Handshake(Text),
    /// The upgrade or handshake took too long.
    #[error("no answer to the handshake within {after:?}")]
    HandshakeTimeout {
        /// The time it had.
        after: Duration,
    },
    /// The byte stream broke, or ended without a word.
    #[error("connection lost: {0}")]
    Lost(Text),
    /// The remote said goodbye.
    #[error("closed by the remote{}", Goodbye(*code, reason))]
    ClosedByPeer {
        /// The status of its close frame.
        code: Option<u16>,
        /// The reason that it gave.
        reason: Text,
    },
    /// No byte came from the remote for this time.
    #[error("the remote is silent for {after:?}")]
    PeerSilent {
        /// The time it had.
        after: Duration,
    },
    /// The remote took no byte for this time.
    #[error("the remote takes no data for {after:?}")]
    WriteStalled {
        /// The time it had.
        after: Duration,
    },
    /// The remote sent a message that can't be decoded.
    #[error("malformed message: {0}")]
    Decode(#[source] DecodeError),
    /// The remote sent a message above the limit.
    #[error("the remote sent a message of {len} bytes or more, above the limit of {limit}")]
    TooLarge {
        /// What it declared, or sent so far.
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The remote broke the rules of websocket, or of the connection.
    #[error("protocol violation: {0}")]
    Protocol(Text),
    /// The remote asks and asks, and never takes the answers.
    #[error("the remote doesn't read the answers it asks for")]
    PeerNotReading,
    /// The remote sent too much of what nobody asked for.
    #[error("the remote sends too much: {0}")]
    Abuse(&'static str),
    /// A newer connection of the same remote took this one's place.
    #[error("replaced by a newer connection of the remote")]
    Replaced,
    /// This node shuts down.
    #[error("this node shuts down")]
    ShuttingDown,
    /// The remote was taken off the list of peers.
    #[error("the remote is no peer any more")]
    Removed,
    /// The remote ended a call, without a word; the link lives.
    #[error("the remote ended the call")]
    CallEnded,
    /// A task of the connection panicked, in this crate or in a dialer, token source or byte stream of the application.
    /// As the cause of [`LinkState::Closed`] it was the task of the link itself, which does not come back; the log has an
    /// error with the text.
    #[error("a panic in this node")]
    Panicked,
}

impl LinkCause {
    /// What to tell warnings apart by.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::NotTried => "not tried",
            Self::Dial(_) | Self::DialTimeout { .. } => "dial",
            Self::Token(_) => "token",
            Self::Refused { .. } | Self::Upgrade(_) => "upgrade",
            Self::Rejected(_) => "rejected",
            Self::Unproven { .. } => "unproven",
            Self::Handshake(_) | Self::HandshakeTimeout { .. } => "handshake",
            Self::Lost(_) | Self::ClosedByPeer { .. } => "lost",
            Self::PeerSilent { .. } => "silent",
            Self::WriteStalled { .. } => "stalled",
            Self::Decode(_) | Self::TooLarge { .. } | Self::Protocol(_) => "violation",
            Self::PeerNotReading | Self::Abuse(_) => "abuse",
            Self::Replaced => "replaced",
            Self::ShuttingDown | Self::Removed => "ended",
            Self::CallEnded => "call ended",
            Self::Panicked => "failure",
        }
    }

    pub(crate) fn lost(error: &io::Error) -> Self {
        Self::Lost(error.to_string().into())
    }
}

struct Goodbye<'a>(Option<u16>, &'a Text);

impl fmt::Display for Goodbye<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.0 {
            write!(f, " with status {code}")?;
        }
        if !self.1.is_empty() {
            write!(f, ": {}", self.1)?;
        }
        Ok(())
    }
}

impl From<WsError> for LinkCause {
    fn from(error: WsError) -> Self {
        match error {
            WsError::Closed { code, reason } => Self::ClosedByPeer { code, reason },
            WsError::Eof => Self::Lost("end of stream".into()),
            WsError::TooLarge { len, limit } => Self::TooLarge { len, limit },
            WsError::Protocol(what) => Self::Protocol(what.into()),
            WsError::Io(error) => Self::lost(&error),
            WsError::Stalled { after } => Self::WriteStalled { after },
        }
    }
}

impl From<&CloseReason> for LinkCause {
    fn from(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::PeerSilent(after) => Self::PeerSilent { after: *after },
            CloseReason::PeerNotReading => Self::PeerNotReading,
            CloseReason::Abuse(what) => Self::Abuse(what),
            CloseReason::Decode(error) => Self::Decode(*error),
            CloseReason::Lost(text) => Self::Lost(text.clone()),
            CloseReason::Replaced => Self::Replaced,
            CloseReason::Local | CloseReason::ShuttingDown => Self::ShuttingDown,
            other => Self::Protocol(other.to_string().into()),
        }
    }
}

impl From<AnswerError> for LinkCause {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Rejected(reason) => Self::Rejected(reason),
            AnswerError::Message(source) | AnswerError::Response(source) => {
                Self::Handshake(format!("{error}: {source}").into())
            }
            other => Self::Handshake(other.to_string().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_sentences() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        for (cause, text) in [
            (
                LinkCause::Dial(Arc::new(refused)),
                "can't dial: connection refused",
            ),
            (
                LinkCause::Refused { status: 403 },
                "the remote refused the upgrade with status 403",
            ),
            (
                LinkCause::Rejected(ConnectRejection::WrongSide),
                "rejected by the remote: grid: expected to be client side, not server side",
            ),
            (
                LinkCause::ClosedByPeer {
                    code: Some(1001),
                    reason: "bye".into(),
                },
                "closed by the remote with status 1001: bye",
            ),
            (
                LinkCause::ClosedByPeer {
                    code: None,
                    reason: Text::default(),
                },
                "closed by the remote",
            ),
        ] {
            assert_eq!(cause.to_string(), text);
        }
    }

    #[test]
    fn a_state_knows_its_cause() {
        let cause = Arc::new(LinkCause::Replaced);
        let waiting = LinkState::Waiting {
            last: Some(cause.clone()),
        };
        assert_eq!(
            waiting.to_string(),
            "waiting to be dialed, after: replaced by a newer connection of the remote"
        );
        assert!(waiting.last_cause().is_some() && !waiting.is_connected());
        assert!(LinkState::initial(true).last_cause().is_none());
        assert!(LinkState::Closed { cause }.is_closed());
    }
}
