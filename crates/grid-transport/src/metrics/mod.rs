//! The metrics of a node for the facade of the crate `metrics`. Needs the feature `metrics`.
//!
//! Every metric has the labels `local`, the name of the node, and `path`, the route path of its grid, by which several
//! nodes of one process are told apart; the others are in the table. The labels `kind` are `request` and `stream`.
//!
//! | name | kind | labels | says |
//! | --- | --- | --- | --- |
//! | `grid_link_state` | gauge | `remote`, `state` | 1 for the state that the link is in, of `connecting`, `waiting`, `connected` and `closed`; 0 for the others |
//! | `grid_link_round_trip_seconds` | gauge | `remote` | of the last ping of the live connection; NaN where there is none |
//! | `grid_link_reconnects_total` | counter | `remote` | connections after the first |
//! | `grid_link_failed_attempts_total` | counter | `remote` | attempts to connect that came to nothing |
//! | `grid_link_received_bytes_total` | counter | `remote` | bytes from the remote, websocket headers included |
//! | `grid_link_sent_bytes_total` | counter | `remote` | bytes to the remote, likewise |
//! | `grid_link_received_messages_total` | counter | `remote` | messages from the remote, each of a merged one for itself |
//! | `grid_link_sent_messages_total` | counter | `remote` | messages to the remote, likewise |
//! | `grid_link_queued_bytes` | gauge | `remote` | bytes that wait to be written |
//! | `grid_link_open_calls` | gauge | `remote`, `kind` | calls of this node that are open |
//! | `grid_link_serving_calls` | gauge | `remote`, `kind` | calls of the remote that are open |
//! | `grid_link_running_handlers` | gauge | `remote` | handlers that run for the remote, those of earlier connections included |
//! | `grid_link_refused_calls_total` | counter | `remote` | calls of the remote that were refused |
//! | `grid_link_discarded_answers_total` | counter | `remote` | answers for which nobody waited any more |
//! | `grid_link_dropped_answers_total` | counter | `remote` | answers that were dropped because too much waited to be read |
//! | `grid_link_unknown_mux_messages_total` | counter | `remote` | messages for calls that are not open; normal after a reconnect |
//! | `grid_link_ignored_messages_total` | counter | `remote` | messages that mean nothing |
//! | `grid_link_unreadable_messages_total` | counter | `remote` | messages that could not be read; each has ended a connection |
//! | `grid_link_abandoned_handlers_total` | counter | `remote` | handlers that did not come out of a poll when their connection ended |
//! | `grid_connections_lost_total` | counter | `cause` | connections that have ended |
//! | `grid_calls_total` | counter | `kind`, `outcome` | calls of this node that have ended |
//! | `grid_call_duration_seconds` | histogram | `remote`, `kind`, `outcome` | from the call to its end; a stream has ended when its receiver has seen the end or was dropped |
//! | `grid_handler_calls_total` | counter | `handler`, `subroute`, `kind` | how often a handler was called |
//! | `grid_handler_running` | gauge | `handler`, `subroute`, `kind` | how often it is running |
//! | `grid_handler_errors_total` | counter | `handler`, `subroute`, `kind` | how often it failed, panicked or was dropped before its end |
//! | `grid_handler_panics_total` | counter | `handler`, `subroute`, `kind` | how often it panicked |
//! | `grid_handler_slow_polls_total` | counter | `handler`, `subroute`, `kind` | polls that took longer than [`Settings::slow_poll`](crate::Settings#structfield.slow_poll) |
//! | `grid_handler_duration_seconds` | histogram | `handler`, `subroute`, `kind` | from the call to the end of the handler |
//!
//! An `outcome` is `ok` or an error in a word, as in the spans of calls: `not_connected`, `disconnected`,
//! `shutting_down`, `deadline`, `cancelled` (also by being dropped), `unknown_handler`, `refused`, `remote`, `too_large`,
//! `capacity_mismatch`, `overrun` or `protocol`. A `cause` is `lost`, `closed_by_remote`, `silent`, `stalled`,
//! `unreadable`, `too_large`, `protocol`, `not_reading`, `abuse`, `replaced`, `shutting_down`, `removed`, `panicked` or
//! `other`. A `subroute` is empty where there is none. No label is a text of a peer: there are as many series as the list
//! of nodes and the registry of handlers make, of the durations of calls only those whose outcome has occurred.
//!
//! # When they are recorded
//!
//! The histograms, `grid_calls_total` and `grid_connections_lost_total` are recorded as things happen. Their handles are
//! made once and kept, so that no call allocates or formats anything for them. **Install the recorder before the node is
//! built**: they go to the one that is there then, be it none.
//!
//! All others are numbers that a node has anyway, and
//! [`Manager::record_metrics`](crate::Manager::record_metrics) publishes them: call it before each scrape.
//!
//! ```
//! use grid_transport::{HandlerId, testing};
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let durations = Matcher::Suffix("_duration_seconds".to_owned());
//! let prometheus = PrometheusBuilder::new()
//!     .set_buckets_for_metric(durations, &grid_transport::metrics::DURATION_BUCKETS)?
//!     .install_recorder()?;
//!
//! const ECHO: HandlerId = HandlerId::new(200);
//! let pair = testing::pair(|node| {
//!     node.single(ECHO, |request| async move { Ok(request.into_payload()) })
//! })
//! .await?;
//! pair.a_to_b().request(ECHO, "hello").await?;
//!
//! pair.b.record_metrics();
//! let text = prometheus.render();
//! assert!(text.contains("grid_handler_calls_total{local=\"http://b:9000\""));
//! # Ok(()) }
//! ```

mod record;
mod table;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Unit, with_recorder};

pub(crate) use self::record::node_is_gone;
pub use self::table::{ALL, Kind, LABELS, Metric};

/// `grid_link_state`
pub const LINK_STATE: &str = "grid_link_state";
/// `grid_link_round_trip_seconds`
pub const LINK_ROUND_TRIP: &str = "grid_link_round_trip_seconds";
/// `grid_link_reconnects_total`
pub const LINK_RECONNECTS: &str = "grid_link_reconnects_total";
/// `grid_link_failed_attempts_total`
pub const LINK_FAILED_ATTEMPTS: &str = "grid_link_failed_attempts_total";
/// `grid_link_received_bytes_total`
pub const LINK_RECEIVED_BYTES: &str = "grid_link_received_bytes_total";
/// `grid_link_sent_bytes_total`
pub const LINK_SENT_BYTES: &str = "grid_link_sent_bytes_total";
/// `grid_link_received_messages_total`
pub const LINK_RECEIVED_MESSAGES: &str = "grid_link_received_messages_total";
/// `grid_link_sent_messages_total`
pub const LINK_SENT_MESSAGES: &str = "grid_link_sent_messages_total";
/// `grid_link_queued_bytes`
pub const LINK_QUEUED_BYTES: &str = "grid_link_queued_bytes";
/// `grid_link_open_calls`
pub const LINK_OPEN_CALLS: &str = "grid_link_open_calls";
/// `grid_link_serving_calls`
pub const LINK_SERVING_CALLS: &str = "grid_link_serving_calls";
/// `grid_link_running_handlers`
pub const LINK_RUNNING_HANDLERS: &str = "grid_link_running_handlers";
/// `grid_link_refused_calls_total`
pub const LINK_REFUSED_CALLS: &str = "grid_link_refused_calls_total";
/// `grid_link_discarded_answers_total`
pub const LINK_DISCARDED_ANSWERS: &str = "grid_link_discarded_answers_total";
/// `grid_link_dropped_answers_total`
pub const LINK_DROPPED_ANSWERS: &str = "grid_link_dropped_answers_total";
/// `grid_link_unknown_mux_messages_total`
pub const LINK_UNKNOWN_MUX_MESSAGES: &str = "grid_link_unknown_mux_messages_total";
/// `grid_link_ignored_messages_total`
pub const LINK_IGNORED_MESSAGES: &str = "grid_link_ignored_messages_total";
/// `grid_link_unreadable_messages_total`
pub const LINK_UNREADABLE_MESSAGES: &str = "grid_link_unreadable_messages_total";
/// `grid_link_abandoned_handlers_total`
pub const LINK_ABANDONED_HANDLERS: &str = "grid_link_abandoned_handlers_total";
/// `grid_connections_lost_total`
pub const CONNECTIONS_LOST: &str = "grid_connections_lost_total";
/// `grid_calls_total`
pub const CALLS: &str = "grid_calls_total";
/// `grid_call_duration_seconds`
pub const CALL_DURATION: &str = "grid_call_duration_seconds";
/// `grid_handler_calls_total`
pub const HANDLER_CALLS: &str = "grid_handler_calls_total";
/// `grid_handler_running`
pub const HANDLER_RUNNING: &str = "grid_handler_running";
/// `grid_handler_errors_total`
pub const HANDLER_ERRORS: &str = "grid_handler_errors_total";
/// `grid_handler_panics_total`
pub const HANDLER_PANICS: &str = "grid_handler_panics_total";
/// `grid_handler_slow_polls_total`
pub const HANDLER_SLOW_POLLS: &str = "grid_handler_slow_polls_total";
/// `grid_handler_duration_seconds`
pub const HANDLER_DURATION: &str = "grid_handler_duration_seconds";

/// Upper bounds of buckets for the two histograms, in seconds: from 50 µs, in which a call over loopback is answered, to
/// the 60 s after which a request ends by default.
pub const DURATION_BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
    5.0, 20.0, 60.0,
];

/// Tells the recorder of this thread, or else the global one, the unit of each metric and what it says. A node that is
/// built does so; whoever has several recorders calls it for the others.
pub fn describe() {
    with_recorder(|recorder| {
        for metric in ALL {
            let unit = Some(unit(metric.name));
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

/// Each name says it.
fn unit(name: &str) -> Unit {
    let quantity = name.strip_suffix("_total").unwrap_or(name);
    match quantity.rsplit('_').next() {
        Some("seconds") => Unit::Seconds,
        Some("bytes") => Unit::Bytes,
        _ => Unit::Count,
    }
}

/// What recorders may filter by.
static METADATA: Metadata<'static> =
    Metadata::new("grid::metrics", Level::INFO, Some(module_path!()));

pub(crate) fn counter(name: &'static str, labels: Vec<Label>) -> Counter {
    let key = Key::from_parts(name, labels);
    with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
}

pub(crate) fn gauge(name: &'static str, labels: Vec<Label>) -> Gauge {
    let key = Key::from_parts(name, labels);
    with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
}

pub(crate) fn histogram(name: &'static str, labels: Vec<Label>) -> Histogram {
    let key = Key::from_parts(name, labels);
    with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
}
