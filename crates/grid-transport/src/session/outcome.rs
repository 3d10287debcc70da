//! What the machine reports, in the words of those who call.

use std::{sync::Arc, time::Duration};

use grid_proto::{
    conn::{CallError as Failure, CancelReason, PingId, SubmitError},
    wire::MuxRejection,
};
use tokio::sync::oneshot;

use crate::{
    error::{CallError, Refusal, RemoteText},
    state::LinkCause,
};

/// Somebody who waits for the answer of a ping.
pub(crate) struct Waiting {
    pub(crate) ping: PingId,
    pub(crate) caller: oneshot::Sender<Result<Duration, CallError>>,
}

/// The error of a call of ours that has ended; `cause` is why the link was lost, where it was.
pub(crate) fn call_error(failure: Failure, cause: Option<&Arc<LinkCause>>) -> CallError {
    match failure {
        Failure::Remote(text) => CallError::Remote(RemoteText::new(text.detached())),
        Failure::Rejected(rejection) => rejected(rejection),
        Failure::RemoteDisconnected => CallError::Disconnected {
            cause: Arc::new(LinkCause::CallEnded),
        },
        Failure::Closed => lost(cause),
        Failure::Deadline => CallError::Deadline,
        Failure::Terminated { text: Some(text) } => {
            CallError::Protocol(format!("remote terminated call: {text}").into())
        }
        Failure::Overloaded => CallError::Overrun,
        Failure::CapacityMismatch { capacity } => CallError::CapacityMismatch { capacity },
        other => CallError::Protocol(other.to_string().into()),
    }
}

/// The error of calls that were open when the link was lost.
pub(crate) fn lost(cause: Option<&Arc<LinkCause>>) -> CallError {
    match cause {
        Some(cause) if matches!(**cause, LinkCause::ShuttingDown) => CallError::ShuttingDown,
        Some(cause) => CallError::Disconnected {
            cause: cause.clone(),
        },
        None => CallError::Disconnected {
            cause: Arc::new(LinkCause::CallEnded),
        },
    }
}

/// Why the serving half of a stream fails.
pub(crate) fn cancelled(why: CancelReason, cause: Option<&Arc<LinkCause>>) -> CallError {
    match why {
        CancelReason::Caller => CallError::Cancelled,
        CancelReason::Deadline => CallError::Deadline,
        CancelReason::Overloaded => CallError::Overrun,
        CancelReason::Link => lost(cause),
        CancelReason::NoPing => CallError::Protocol("no ping from the caller".into()),
        CancelReason::Protocol(text) => CallError::Protocol(text.to_string().into()),
        _ => CallError::Cancelled,
    }
}

/// The error of a call that was never sent; `None` where trying again later may help.
pub(crate) fn not_submitted(error: &SubmitError) -> Option<CallError> {
    match *error {
        SubmitError::Closed | SubmitError::QueueFull => None,
        SubmitError::TooLarge { len, limit } => Some(CallError::TooLarge { len, limit }),
        SubmitError::DeadlinePassed => Some(CallError::Deadline),
        _ => Some(CallError::Refused(Refusal::Overloaded)),
    }
}

fn rejected(rejection: MuxRejection) -> CallError {
    match rejection {
        MuxRejection::Overloaded => CallError::Refused(Refusal::Overloaded),
        MuxRejection::ShuttingDown => CallError::Refused(Refusal::ShuttingDown),
        MuxRejection::InvalidHandler
        | MuxRejection::UnknownHandler(_)
        | MuxRejection::UnknownSubroute(_) => {
            CallError::UnknownHandler(rejection.to_string().into())
        }
        other => CallError::Protocol(other.to_string().into()),
    }
}
