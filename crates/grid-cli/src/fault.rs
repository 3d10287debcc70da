//! Why a call over the grid failed, as it travels over a control socket too.

use std::time::Duration;

use grid_transport::{CallError, SendError};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What happened to a call, as far as its caller must tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// Never sent.
    NotConnected,
    /// The link was lost, or the node that carries the call; it may have been executed.
    Disconnected,
    /// It may have been executed.
    Deadline,
    /// Never executed.
    Refused,
    /// Never executed: the remote has no such handler.
    UnknownHandler,
    /// The handler failed: the text is its own.
    Remote,
    /// Never sent.
    TooLarge,
    /// The name is that of no peer.
    UnknownPeer,
    /// One of the two nodes broke a rule.
    Protocol,
    /// What came back isn't what was asked for.
    WrongAnswer,
}

impl FaultKind {
    /// The name by which tables and JSON count it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Disconnected => "disconnected",
            Self::Deadline => "deadline",
            Self::Refused => "refused",
            Self::UnknownHandler => "unknown_handler",
            Self::Remote => "remote",
            Self::TooLarge => "too_large",
            Self::UnknownPeer => "unknown_peer",
            Self::Protocol => "protocol",
            Self::WrongAnswer => "wrong_answer",
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// How a command that was to make this one call to `to` within `timeout` ends.
    pub(crate) fn into_failure(self, to: &str, timeout: Duration) -> Failure {
        match self.kind {
            FaultKind::NotConnected => Failure::NotConnected(not_connected(to, &self.text)),
            FaultKind::Deadline => Failure::Deadline(format!(
                "no answer from {to} within {}; it may have been executed",
                humantime::format_duration(timeout)
            )),
            FaultKind::Remote | FaultKind::UnknownHandler => Failure::Remote(self.text),
            FaultKind::UnknownPeer => Failure::BadInput(self.text),
            FaultKind::Disconnected => {
                Failure::failed(format!("{}; it may have been executed", self.text))
            }
            FaultKind::Refused
            | FaultKind::TooLarge
            | FaultKind::Protocol
            | FaultKind::WrongAnswer => Failure::Failed(self.text),
        }
    }
}

fn not_connected(to: &str, text: &str) -> String {
    if text.starts_with("not connected") {
        text.replacen("not connected", &format!("not connected to {to}"), 1)
    } else {
        format!("not connected to {to}: {text}")
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::NotConnected { .. } => FaultKind::NotConnected,
            CallError::Deadline => FaultKind::Deadline,
            CallError::UnknownHandler(_) => FaultKind::UnknownHandler,
            CallError::Refused(_) => FaultKind::Refused,
            CallError::Remote(_) => FaultKind::Remote,
            CallError::TooLarge { .. } => FaultKind::TooLarge,
            CallError::CapacityMismatch { .. } | CallError::Protocol(_) => FaultKind::Protocol,
            // Cancelled, overrun or shutting down: this end gave the call up.
            _ => FaultKind::Disconnected,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Call(error) => error.into(),
            other => Self::new(FaultKind::Protocol, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_from_what_happened() {
        let end =
            |kind| Fault::new(kind, "text").into_failure("http://b:1", Duration::from_millis(1500));
        assert_eq!(end(FaultKind::Remote), Failure::Remote("text".into()));
        assert!(matches!(
            end(FaultKind::NotConnected),
            Failure::NotConnected(text) if text == "not connected to http://b:1: text"
        ));
        assert!(matches!(
            end(FaultKind::Deadline),
            Failure::Deadline(text) if text.contains("1s 500ms")
        ));
        assert!(matches!(end(FaultKind::UnknownPeer), Failure::BadInput(_)));
        assert!(matches!(
            end(FaultKind::Disconnected),
            Failure::Failed(text) if text.contains("may have been executed")
        ));
    }
}
