//! The fixed words for outcomes and causes: texts of peers are no labels.

use super::CallKind;
use crate::{error::CallError, state::LinkCause};

pub(crate) const KINDS: [&str; 2] = ["request", "stream"];

pub(super) const fn kind(kind: CallKind) -> usize {
    match kind {
        CallKind::Request => 0,
        CallKind::Stream => 1,
    }
}

pub(super) const OUTCOMES: [&str; 13] = [
    "ok",
    "not_connected",
    "disconnected",
    "shutting_down",
    "deadline",
    "cancelled",
    "unknown_handler",
    "refused",
    "remote",
    "too_large",
    "capacity_mismatch",
    "overrun",
    "protocol",
];

/// Where the word for an outcome is.
pub(super) const fn outcome(error: Option<&CallError>) -> usize {
    let Some(error) = error else { return 0 };
    match error {
        CallError::NotConnected { .. } => 1,
        CallError::Disconnected { .. } => 2,
        CallError::ShuttingDown => 3,
        CallError::Deadline => 4,
        CallError::Cancelled => 5,
        CallError::UnknownHandler(_) => 6,
        CallError::Refused(_) => 7,
        CallError::Remote(_) => 8,
        CallError::TooLarge { .. } => 9,
        CallError::CapacityMismatch { .. } => 10,
        CallError::Overrun => 11,
        CallError::Protocol(_) => 12,
    }
}

pub(super) const CAUSES: [&str; 14] = [
    "lost",
    "closed_by_remote",
    "silent",
    "stalled",
    "unreadable",
    "too_large",
    "protocol",
    "not_reading",
    "abuse",
    "replaced",
    "shutting_down",
    "removed",
    "panicked",
    "other",
];

/// Where the word is for what has ended a connection.
pub(super) const fn cause(cause: &LinkCause) -> usize {
    match cause {
        LinkCause::Lost(_) => 0,
        LinkCause::ClosedByPeer { .. } => 1,
        LinkCause::PeerSilent { .. } => 2,
        LinkCause::WriteStalled { .. } => 3,
        LinkCause::Decode(_) => 4,
        LinkCause::TooLarge { .. } => 5,
        LinkCause::Protocol(_) => 6,
        LinkCause::PeerNotReading => 7,
        LinkCause::Abuse(_) => 8,
        LinkCause::Replaced => 9,
        LinkCause::ShuttingDown => 10,
        LinkCause::Removed => 11,
        LinkCause::Panicked => 12,
        // Of attempts, and of calls.
        LinkCause::NotTried
        | LinkCause::Dial(_)
        | LinkCause::DialTimeout { .. }
        | LinkCause::Token(_)
        | LinkCause::Refused { .. }
        | LinkCause::Upgrade(_)
        | LinkCause::Rejected(_)
        | LinkCause::Unproven { .. }
        | LinkCause::Handshake(_)
        | LinkCause::HandshakeTimeout { .. }
        | LinkCause::CallEnded => 13,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::error::{Refusal, RemoteText};

    #[test]
    fn outcomes_have_the_words_of_spans() {
        let cause = Arc::new(LinkCause::Replaced);
        let errors = [
            CallError::NotConnected {
                cause: cause.clone(),
            },
            CallError::Disconnected { cause },
            CallError::ShuttingDown,
            CallError::Deadline,
            CallError::Cancelled,
            CallError::UnknownHandler("".into()),
            CallError::Refused(Refusal::Overloaded),
            CallError::Remote(RemoteText::new("".into())),
            CallError::TooLarge { len: 2, limit: 1 },
            CallError::CapacityMismatch { capacity: 1 },
            CallError::Overrun,
            CallError::Protocol("".into()),
        ];
        assert_eq!(errors.len() + 1, OUTCOMES.len());
        for error in errors {
            assert_eq!(OUTCOMES[outcome(Some(&error))], error.kind());
        }
        assert_eq!(OUTCOMES[outcome(None)], "ok");
    }

    #[test]
    fn what_ends_connections_has_a_word_of_its_own() {
        let after = Duration::ZERO;
        let reason = "".into();
        for (ended, word) in [
            (LinkCause::Lost("".into()), "lost"),
            (
                LinkCause::ClosedByPeer { code: None, reason },
                "closed_by_remote",
            ),
            (LinkCause::PeerSilent { after }, "silent"),
            (LinkCause::WriteStalled { after }, "stalled"),
            (LinkCause::TooLarge { len: 2, limit: 1 }, "too_large"),
            (LinkCause::Protocol("".into()), "protocol"),
            (LinkCause::PeerNotReading, "not_reading"),
            (LinkCause::Abuse("pings"), "abuse"),
            (LinkCause::Replaced, "replaced"),
            (LinkCause::ShuttingDown, "shutting_down"),
            (LinkCause::Removed, "removed"),
            (LinkCause::Panicked, "panicked"),
            (LinkCause::DialTimeout { after }, "other"),
        ] {
            assert_eq!(CAUSES[cause(&ended)], word);
            assert_eq!(crate::trace::ended_by(&ended), word);
        }
    }
}
