//! Publishing what a node counts in any case.

use std::{collections::BTreeSet, sync::Arc};

use metrics::Label;

use super::{
    HANDLER_CALLS, HANDLER_ERRORS, HANDLER_PANICS, HANDLER_RUNNING, HANDLER_SLOW_POLLS,
    LINK_ABANDONED_HANDLERS, LINK_DISCARDED_ANSWERS, LINK_DROPPED_ANSWERS, LINK_FAILED_ATTEMPTS,
    LINK_IGNORED_MESSAGES, LINK_OPEN_CALLS, LINK_QUEUED_BYTES, LINK_RECEIVED_BYTES,
    LINK_RECEIVED_MESSAGES, LINK_RECONNECTS, LINK_REFUSED_CALLS, LINK_ROUND_TRIP,
    LINK_RUNNING_HANDLERS, LINK_SENT_BYTES, LINK_SENT_MESSAGES, LINK_SERVING_CALLS, LINK_STATE,
    LINK_UNKNOWN_MUX_MESSAGES, LINK_UNREADABLE_MESSAGES, counter, gauge,
};
use crate::{
    Manager,
    link::shared::LinkShared,
    measure::{HANDLER_COUNTERS, KINDS, LINK_COUNTERS, NodeMeasure},
    registry::Entry,
    state::LinkState,
    stats::{HandlerStats, LinkStats},
};

type Of<S> = (&'static str, fn(&S) -> u64);
type CountOf = fn(&LinkStats) -> usize;

const OF_LINKS: [Of<LinkStats>; LINK_COUNTERS] = [
    (LINK_RECONNECTS, |link| link.reconnects),
    (LINK_FAILED_ATTEMPTS, |link| link.failed_attempts),
    (LINK_RECEIVED_BYTES, |link| link.bytes_in),
    (LINK_SENT_BYTES, |link| link.bytes_out),
    (LINK_RECEIVED_MESSAGES, |link| link.messages_in),
    (LINK_SENT_MESSAGES, |link| link.messages_out),
    (LINK_REFUSED_CALLS, |link| link.refused),
    (LINK_DISCARDED_ANSWERS, |link| link.discarded_answers),
    (LINK_DROPPED_ANSWERS, |link| link.dropped_answers),
    (LINK_UNKNOWN_MUX_MESSAGES, |link| link.unknown_mux),
    (LINK_IGNORED_MESSAGES, |link| link.ignored),
    (LINK_UNREADABLE_MESSAGES, |link| link.unreadable),
    (LINK_ABANDONED_HANDLERS, |link| link.abandoned_handlers),
];

const OF_HANDLERS: [Of<HandlerStats>; HANDLER_COUNTERS] = [
    (HANDLER_CALLS, |handler| handler.calls),
    (HANDLER_ERRORS, |handler| handler.errors),
    (HANDLER_PANICS, |handler| handler.panics),
    (HANDLER_SLOW_POLLS, |handler| handler.slow_polls),
];

/// By [`KINDS`].
const CALLS_OF_LINKS: [(&str, [CountOf; 2]); 2] = [
    (
        LINK_OPEN_CALLS,
        [|link| link.open_requests, |link| link.open_streams],
    ),
    (
        LINK_SERVING_CALLS,
        [|link| link.serving_requests, |link| link.serving_streams],
    ),
];

const STATES: [&str; 4] = ["connecting", "waiting", "connected", "closed"];

impl Manager {
    /// Publishes the numbers of all links and handlers to the recorder of this thread, or else to the global one; see
    /// [`metrics`](crate::metrics) for their names. Call it before each scrape, or at an interval. It needs the feature
    /// `metrics`, and some microseconds for each link.
    ///
    /// Counters are told what has come since the last call, whatever recorder that was for: publish to one. The gauges of
    /// a remote that was removed since then become 0, and all of links when the last `Manager` is dropped.
    ///
    /// ```no_run
    /// # fn example(node: grid_transport::Manager, prometheus: metrics_exporter_prometheus::PrometheusHandle) {
    /// // What an HTTP server of the application answers to `GET /metrics`.
    /// let scrape = move || {
    ///     node.record_metrics();
    ///     prometheus.render()
    /// };
    /// # let _ = scrape; }
    /// ```
    pub fn record_metrics(&self) {
        let node = &self.node().measure;
        let links = self.node().links.all();
        let now = links.iter().map(|link| link.name.clone()).collect();
        let before = node.replace_remotes(now);
        for link in &links {
            record_link(node, link);
        }
        for remote in &before {
            if links.iter().all(|link| link.name != *remote) {
                record_gauges(node, remote, None);
            }
        }
        let registry = self.registry();
        for entry in registry.singles() {
            record_handler(entry, false);
        }
        for entry in registry.streams() {
            record_handler(entry, true);
        }
    }
}

/// Nobody will set its gauges any more.
pub(crate) fn node_is_gone(node: &NodeMeasure) {
    for remote in node.replace_remotes(BTreeSet::new()) {
        record_gauges(node, &remote, None);
    }
}

fn record_link(node: &NodeMeasure, link: &LinkShared) {
    let stats = link.stats();
    let since = link.measure.since(OF_LINKS.map(|(_, read)| read(&stats)));
    for ((name, _), since) in OF_LINKS.into_iter().zip(since) {
        let labels = node.labels([Label::new("remote", link.name.clone())]);
        counter(name, labels).increment(since);
    }
    record_gauges(node, &link.name, Some(&stats));
}

/// Without stats, as of a remote that is none any more.
fn record_gauges(node: &NodeMeasure, remote: &Arc<str>, stats: Option<&LinkStats>) {
    let remote = || Label::new("remote", remote.clone());
    let set = |name, value: f64| gauge(name, node.labels([remote()])).set(value);
    let state = stats.map(|stats| word(&stats.state));
    for each in STATES {
        let labels = node.labels([remote(), Label::new("state", each)]);
        let is = if state == Some(each) { 1.0 } else { 0.0 };
        gauge(LINK_STATE, labels).set(is);
    }
    // There is no number for what was not measured, and 0 would be a good one.
    let round_trip = stats.and_then(|stats| stats.round_trip);
    set(
        LINK_ROUND_TRIP,
        round_trip.map_or(f64::NAN, |time| time.as_secs_f64()),
    );
    let count = |read: CountOf| stats.map_or(0, read) as f64;
    set(LINK_QUEUED_BYTES, count(|link| link.queued_bytes));
    set(LINK_RUNNING_HANDLERS, count(|link| link.running_handlers));
    for (name, reads) in CALLS_OF_LINKS {
        for (kind, read) in KINDS.into_iter().zip(reads) {
            let labels = node.labels([remote(), Label::new("kind", kind)]);
            gauge(name, labels).set(count(read));
        }
    }
}

fn record_handler<C, T>(entry: &Entry<C, T>, stream: bool) {
    let Some(measured) = entry.counters.measure.measured() else {
        return;
    };
    let stats = entry
        .counters
        .snapshot(entry.id, entry.subroute.clone(), stream);
    let since = measured
        .published
        .since(OF_HANDLERS.map(|(_, read)| read(&stats)));
    for ((name, _), since) in OF_HANDLERS.into_iter().zip(since) {
        counter(name, measured.labels.clone()).increment(since);
    }
    gauge(HANDLER_RUNNING, measured.labels.clone()).set(stats.running as f64);
}

const fn word(state: &LinkState) -> &'static str {
    match state {
        LinkState::Connecting { .. } => "connecting",
        LinkState::Waiting { .. } => "waiting",
        LinkState::Connected { .. } => "connected",
        LinkState::Closed { .. } => "closed",
    }
}
