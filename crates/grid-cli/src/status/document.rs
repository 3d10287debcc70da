//! The fields of the document. `docs/operations.md` says what each means; whoever changes or removes
//! one raises the version, adding one leaves it.

use grid_transport::{HandlerStats, LinkState, LinkStats};
use serde::{Deserialize, Serialize};

use super::{events::EventStatus, seen::MeshStatus};

/// The version of the document.
pub(crate) const VERSION: u32 = 1;

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: u32,
    pub(crate) program: String,
    pub(crate) node: String,
    pub(crate) path: String,
    pub(crate) instance: String,
    pub(crate) time_s: f64,
    pub(crate) uptime_s: f64,
    pub(crate) process: ProcessStatus,
    pub(crate) links: Vec<LinkStatus>,
    pub(crate) handlers: Vec<HandlerStatus>,
    /// Not there in the first documents of this version, as others that have a default.
    #[serde(default)]
    pub(crate) events: Vec<EventStatus>,
    /// Only where somebody asks for it, as the others have to be asked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mesh: Option<MeshStatus>,
}

/// The process that a node runs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessStatus {
    pub(crate) pid: u32,
    pub(crate) user_s: f64,
    pub(crate) sys_s: f64,
    pub(crate) peak_memory_bytes: u64,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LinkStatus {
    pub(crate) remote: String,
    pub(crate) dials: bool,
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) since_s: f64,
    pub(crate) last_cause: Option<String>,
    pub(crate) reconnects: u64,
    pub(crate) failed_attempts: u64,
    pub(crate) round_trip_s: Option<f64>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    pub(crate) open_requests: u64,
    pub(crate) open_streams: u64,
    pub(crate) serving_requests: u64,
    pub(crate) serving_streams: u64,
    pub(crate) running_handlers: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) refused: u64,
    pub(crate) discarded_answers: u64,
    #[serde(default)]
    pub(crate) dropped_answers: u64,
    pub(crate) unknown_mux: u64,
    pub(crate) ignored: u64,
    #[serde(default)]
    pub(crate) unreadable: u64,
    pub(crate) abandoned_handlers: u64,
}

/// A handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HandlerStatus {
    pub(crate) handler: u8,
    pub(crate) subroute: Option<String>,
    pub(crate) stream: bool,
    pub(crate) calls: u64,
    pub(crate) running: u64,
    pub(crate) errors: u64,
    pub(crate) panics: u64,
    pub(crate) time_s: f64,
    #[serde(default)]
    pub(crate) p50_s: Option<f64>,
    #[serde(default)]
    pub(crate) p99_s: Option<f64>,
    pub(crate) slow_polls: u64,
}

/// Reads a status document of a version that this program knows.
pub(crate) fn parse_status(json: &[u8]) -> Result<Status, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_slice(json).map_err(|error| format!("no status: {error}"))?;
    if head.version != VERSION {
        return Err(format!(
            "it is of version {}, and this program reads version {VERSION}",
            head.version
        ));
    }
    serde_json::from_slice(json).map_err(|error| format!("no status: {error}"))
}

/// The word for a kind of state.
pub(super) const fn state_word(state: &LinkState) -> &'static str {
    match state {
        LinkState::Connecting { .. } => "connecting",
        LinkState::Waiting { .. } => "waiting",
        LinkState::Connected { .. } => "connected",
        LinkState::Closed { .. } => "closed",
        _ => "unknown",
    }
}

impl From<&LinkStats> for LinkStatus {
    fn from(stats: &LinkStats) -> Self {
        Self {
            remote: stats.remote.to_string(),
            dials: stats.dials,
            state: state_word(&stats.state).to_owned(),
            detail: stats.state.to_string(),
            since_s: stats.since.as_secs_f64(),
            last_cause: stats.last_cause.as_ref().map(ToString::to_string),
            reconnects: stats.reconnects,
            failed_attempts: stats.failed_attempts,
            round_trip_s: stats.round_trip.map(|time| time.as_secs_f64()),
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            messages_in: stats.messages_in,
            messages_out: stats.messages_out,
            open_requests: stats.open_requests as u64,
            open_streams: stats.open_streams as u64,
            serving_requests: stats.serving_requests as u64,
            serving_streams: stats.serving_streams as u64,
            running_handlers: stats.running_handlers as u64,
            queued_bytes: stats.queued_bytes as u64,
            refused: stats.refused,
            discarded_answers: stats.discarded_answers,
            dropped_answers: stats.dropped_answers,
            unknown_mux: stats.unknown_mux,
            ignored: stats.ignored,
            unreadable: stats.unreadable,
            abandoned_handlers: stats.abandoned_handlers,
        }
    }
}

impl From<&HandlerStats> for HandlerStatus {
    fn from(stats: &HandlerStats) -> Self {
        Self {
            handler: stats.handler.get(),
            subroute: stats.subroute.as_ref().map(ToString::to_string),
            stream: stats.stream,
            calls: stats.calls,
            running: stats.running,
            errors: stats.errors,
            panics: stats.panics,
            time_s: stats.time.as_secs_f64(),
            p50_s: stats.p50.map(|time| time.as_secs_f64()),
            p99_s: stats.p99.map(|time| time.as_secs_f64()),
            slow_polls: stats.slow_polls,
        }
    }
}

/// A node with links that are up and have counted something.
#[cfg(test)]
pub(crate) fn sample_status<'a>(remotes: impl IntoIterator<Item = &'a str>) -> Status {
    let link = |remote: &str| LinkStatus {
        remote: remote.to_owned(),
        dials: false,
        state: "connected".to_owned(),
        detail: "connected to an instance".to_owned(),
        since_s: 60.0,
        last_cause: None,
        reconnects: 0,
        failed_attempts: 0,
        round_trip_s: None,
        bytes_in: 10_000,
        bytes_out: 20_000,
        messages_in: 100,
        messages_out: 200,
        open_requests: 0,
        open_streams: 0,
        serving_requests: 0,
        serving_streams: 0,
        running_handlers: 0,
        queued_bytes: 0,
        refused: 0,
        discarded_answers: 0,
        dropped_answers: 0,
        unknown_mux: 0,
        ignored: 0,
        unreadable: 0,
        abandoned_handlers: 0,
    };
    Status {
        version: VERSION,
        program: "0.1.0".to_owned(),
        node: "http://node:1".to_owned(),
        path: "/grid".to_owned(),
        instance: "one".to_owned(),
        time_s: 1_700_000_000.0,
        uptime_s: 100.0,
        process: ProcessStatus {
            pid: 7,
            user_s: 1.0,
            sys_s: 2.0,
            peak_memory_bytes: 1024 * 1024,
        },
        links: remotes.into_iter().map(link).collect(),
        handlers: vec![HandlerStatus {
            handler: 9,
            subroute: None,
            stream: false,
            calls: 1,
            running: 0,
            errors: 0,
            panics: 0,
            time_s: 0.5,
            p50_s: Some(0.5),
            p99_s: Some(0.5),
            slow_polls: 0,
        }],
        events: vec![EventStatus {
            time_s: 1_700_000_000.0,
            level: "info".to_owned(),
            target: "grid::link".to_owned(),
            remote: None,
            event: "link state".to_owned(),
            cause: None,
            detail: String::new(),
        }],
        mesh: None,
    }
}
