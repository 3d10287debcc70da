//! What has happened lately on a node: the newest lines of the transport's log, kept for whoever looks at the status.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::brief::brief;

/// How many are kept.
pub(crate) const MOST_EVENTS: usize = 50;

/// What is kept of a value, in bytes; the transport cuts those of peers to 1 KiB before.
const MOST_TEXT: usize = 1_024;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventStatus {
    pub(crate) time_s: f64,
    pub(crate) level: String,
    pub(crate) target: String,
    pub(crate) remote: Option<String>,
    pub(crate) event: String,
    pub(crate) cause: Option<String>,
    pub(crate) detail: String,
}

/// The newest events of a node. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Events(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    local: String,
    newest: Mutex<VecDeque<EventStatus>>,
}

impl Events {
    /// Of the node of this name: in one process there are those of control sockets too.
    pub(crate) fn of(local: &str) -> Self {
        Self(Arc::new(Kept {
            local: local.to_owned(),
            newest: Mutex::default(),
        }))
    }

    /// All that are kept, the newest first.
    pub(crate) fn newest(&self) -> Vec<EventStatus> {
        self.0.newest.lock().iter().rev().cloned().collect()
    }

    /// What listens to the log, whatever of it goes to stderr.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Listener(self.clone()).with_filter(of_the_transport())
    }

    fn push(&self, event: EventStatus) {
        let mut newest = self.0.newest.lock();
        if newest.len() >= MOST_EVENTS {
            newest.pop_front();
        }
        newest.push_back(event);
    }
}

/// What the transport tells in any case, and bounds: not what it says only when somebody debugs.
fn of_the_transport<S>() -> impl Filter<S> {
    let wanted: fn(&Metadata<'_>) -> bool =
        |metadata| *metadata.level() <= Level::INFO && metadata.target().starts_with("grid::");
    let filter: FilterFn<fn(&Metadata<'_>) -> bool> = filter_fn(wanted);
    filter.with_max_level_hint(Level::INFO)
}

struct Listener(Events);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.local.is_some_and(|local| local != self.0.0.local) {
            return;
        }
        let metadata = event.metadata();
        self.0.push(EventStatus {
            time_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |time| time.as_secs_f64()),
            level: metadata.level().as_str().to_ascii_lowercase(),
            target: metadata.target().to_owned(),
            remote: fields.remote,
            event: fields.message,
            cause: fields.cause,
            detail: fields.detail,
        });
    }
}

/// The fields of an event, sorted by what they say.
#[derive(Default)]
struct Fields {
    local: Option<String>,
    remote: Option<String>,
    message: String,
    cause: Option<String>,
    detail: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field.name(), brief(value, MOST_TEXT));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field.name(), brief(format_args!("{value:?}"), MOST_TEXT));
    }
}

impl Fields {
    fn keep(&mut self, name: &str, value: String) {
        match name {
            "local" => self.local = Some(value),
            "remote" => self.remote = Some(value),
            "message" => self.message = value,
            // An event has one of them at the most.
            "state" | "cause" | "reason" | "error" | "panic" => self.cause = Some(value),
            "suppressed" if value == "0" => {}
            _ => {
                let space = if self.detail.is_empty() { "" } else { " " };
                let _ = write!(self.detail, "{space}{name}={value}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    /// What is kept of what this logs.
    fn kept(log: impl FnOnce()) -> Vec<EventStatus> {
        let events = Events::of("http://a:1");
        let subscriber = tracing_subscriber::registry().with(events.layer());
        tracing::subscriber::with_default(subscriber, log);
        events.newest()
    }

    #[test]
    fn an_event_keeps_its_cause_and_who_it_is_about() {
        let events = kept(|| {
            tracing::warn!(
                target: "grid::accept",
                local = "http://a:1",
                remote = "http://b:1",
                from = "10.0.0.66",
                suppressed = 0,
                reason = %"auth token: invalid token",
                "connection rejected"
            );
        });
        let [event] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(event.time_s > 1.7e9, "{event:?}");
        let wanted = EventStatus {
            time_s: event.time_s,
            level: "warn".into(),
            target: "grid::accept".into(),
            remote: Some("http://b:1".into()),
            event: "connection rejected".into(),
            cause: Some("auth token: invalid token".into()),
            detail: "from=10.0.0.66".into(),
        };
        assert_eq!(*event, wanted);
    }

    #[test]
    fn only_what_the_transport_tells_of_this_node_is_kept() {
        let events = kept(|| {
            tracing::info!(target: "grid::link", local = "http://server.control", "another node");
            tracing::debug!(target: "grid::link", local = "http://a:1", "too quiet");
            tracing::info!("not the transport's");
            tracing::error!(target: "grid::node", local = "http://a:1", "kept");
            tracing::warn!(target: "grid::accept", suppressed = 3, "of no node alone");
        });
        let told: Vec<_> = events.iter().map(|event| &*event.event).collect();
        assert_eq!(told, ["of no node alone", "kept"]);
        assert_eq!(events[0].detail, "suppressed=3");
    }

    #[test]
    fn the_oldest_go_and_long_texts_are_cut() {
        let events = kept(|| {
            for number in 0..MOST_EVENTS + 7 {
                tracing::info!(target: "grid::link", "{number} {}", "é".repeat(MOST_TEXT));
            }
        });
        assert_eq!(events.len(), MOST_EVENTS);
        assert!(events[0].event.starts_with("56 "));
        assert!(events[MOST_EVENTS - 1].event.starts_with("7 "));
        assert!(events[0].event.ends_with('…') && events[0].event.len() <= MOST_TEXT + 3);
    }
}
