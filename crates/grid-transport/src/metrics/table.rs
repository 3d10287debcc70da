//! All metrics as data, for whoever describes or checks them.

use std::fmt;

use super::{
    CALL_DURATION, CALLS, CONNECTIONS_LOST, HANDLER_CALLS, HANDLER_DURATION, HANDLER_ERRORS,
    HANDLER_PANICS, HANDLER_RUNNING, HANDLER_SLOW_POLLS, LINK_ABANDONED_HANDLERS,
    LINK_DISCARDED_ANSWERS, LINK_DROPPED_ANSWERS, LINK_FAILED_ATTEMPTS, LINK_IGNORED_MESSAGES,
    LINK_OPEN_CALLS, LINK_QUEUED_BYTES, LINK_RECEIVED_BYTES, LINK_RECEIVED_MESSAGES,
    LINK_RECONNECTS, LINK_REFUSED_CALLS, LINK_ROUND_TRIP, LINK_RUNNING_HANDLERS, LINK_SENT_BYTES,
    LINK_SENT_MESSAGES, LINK_SERVING_CALLS, LINK_STATE, LINK_UNKNOWN_MUX_MESSAGES,
    LINK_UNREADABLE_MESSAGES,
};

/// A metric, and what is to be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels, after [`LABELS`].
    pub labels: &'static [&'static str],
    /// What it says, in a few words for those who look at the recorder.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A number that never goes back.
    Counter,
    /// A number as it is at the moment.
    Gauge,
    /// How values are distributed.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The labels that every metric has before its own.
pub const LABELS: [&str; 2] = ["local", "path"];

const REMOTE: &[&str] = &["remote"];
const REMOTE_KIND: &[&str] = &["remote", "kind"];
const CALL: &[&str] = &["remote", "kind", "outcome"];
const HANDLER: &[&str] = &["handler", "subroute", "kind"];

/// All metrics, in the order of the [table](super).
pub const ALL: [Metric; 28] = [
    gauge(
        LINK_STATE,
        &["remote", "state"],
        "1 for the state that the link is in",
    ),
    gauge(LINK_ROUND_TRIP, REMOTE, "round-trip time of the last ping"),
    counter(LINK_RECONNECTS, REMOTE, "connections after the first"),
    counter(
        LINK_FAILED_ATTEMPTS,
        REMOTE,
        "attempts that came to nothing",
    ),
    counter(LINK_RECEIVED_BYTES, REMOTE, "bytes from the remote"),
    counter(LINK_SENT_BYTES, REMOTE, "bytes to the remote"),
    counter(LINK_RECEIVED_MESSAGES, REMOTE, "messages from the remote"),
    counter(LINK_SENT_MESSAGES, REMOTE, "messages to the remote"),
    gauge(LINK_QUEUED_BYTES, REMOTE, "bytes that wait to be written"),
    gauge(LINK_OPEN_CALLS, REMOTE_KIND, "open calls of this node"),
    gauge(LINK_SERVING_CALLS, REMOTE_KIND, "open calls of the remote"),
    gauge(
        LINK_RUNNING_HANDLERS,
        REMOTE,
        "handlers that run for the remote",
    ),
    counter(
        LINK_REFUSED_CALLS,
        REMOTE,
        "calls of the remote that were refused",
    ),
    counter(
        LINK_DISCARDED_ANSWERS,
        REMOTE,
        "answers for which nobody waited",
    ),
    counter(
        LINK_DROPPED_ANSWERS,
        REMOTE,
        "answers without room to wait in",
    ),
    counter(
        LINK_UNKNOWN_MUX_MESSAGES,
        REMOTE,
        "messages for calls that are not open",
    ),
    counter(LINK_IGNORED_MESSAGES, REMOTE, "messages that mean nothing"),
    counter(
        LINK_UNREADABLE_MESSAGES,
        REMOTE,
        "messages that could not be read",
    ),
    counter(
        LINK_ABANDONED_HANDLERS,
        REMOTE,
        "handlers left behind in a poll",
    ),
    counter(CONNECTIONS_LOST, &["cause"], "connections that have ended"),
    counter(
        CALLS,
        &["kind", "outcome"],
        "calls of this node that have ended",
    ),
    histogram(CALL_DURATION, CALL, "from a call of this node to its end"),
    counter(HANDLER_CALLS, HANDLER, "how often the handler was called"),
    gauge(HANDLER_RUNNING, HANDLER, "how often the handler is running"),
    counter(HANDLER_ERRORS, HANDLER, "how often the handler failed"),
    counter(HANDLER_PANICS, HANDLER, "how often the handler panicked"),
    counter(HANDLER_SLOW_POLLS, HANDLER, "slow polls of the handler"),
    histogram(
        HANDLER_DURATION,
        HANDLER,
        "from the call to the end of the handler",
    ),
];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(Kind::Counter, name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(Kind::Gauge, name, labels, help)
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(Kind::Histogram, name, labels, help)
}

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}
