//! With the feature: handles of the recorder that was there, made once and kept, so that no call formats or allocates
//! anything for them.

use std::{
    array,
    collections::BTreeSet,
    fmt, mem,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram, Label};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    CallKind,
    words::{CAUSES, KINDS, OUTCOMES, cause, kind, outcome},
};
use crate::{
    error::CallError,
    metrics::{
        CALL_DURATION, CALLS, CONNECTIONS_LOST, HANDLER_DURATION, LABELS, counter, describe,
        histogram,
    },
    registry::{Entry, Frozen},
    state::LinkState,
    stream::Pipe,
};

/// How many counters of a link are published, and of a handler.
pub(crate) const LINK_COUNTERS: usize = 13;
pub(crate) const HANDLER_COUNTERS: usize = 4;

/// What was published of counters that are kept here: a recorder is told only what has come since, as it may have counted
/// for an earlier link or node of the same name.
#[derive(Debug)]
pub(crate) struct Published<const N: usize>(Mutex<[u64; N]>);

impl<const N: usize> Default for Published<N> {
    fn default() -> Self {
        Self(Mutex::new([0; N]))
    }
}

impl<const N: usize> Published<N> {
    /// What has come since the last time; of two who publish at the same time only one is told of it.
    pub(crate) fn since(&self, now: [u64; N]) -> [u64; N] {
        let mut before = self.0.lock();
        let next = array::from_fn(|at| now[at].max(before[at]));
        let before = mem::replace(&mut *before, next);
        array::from_fn(|at| next[at] - before[at])
    }
}

/// Of a node; cheap to clone.
#[derive(Clone)]
pub(crate) struct NodeMeasure(Arc<OfNode>);

struct OfNode {
    labels: [Label; LABELS.len()],
    calls: [[Counter; OUTCOMES.len()]; KINDS.len()],
    lost: [Counter; CAUSES.len()],
    /// The remotes whose gauges were set.
    remotes: Mutex<BTreeSet<Arc<str>>>,
}

impl NodeMeasure {
    pub(crate) fn new(local: &Arc<str>, path: &Arc<str>) -> Self {
        describe();
        let [first, second] = LABELS;
        let labels = [
            Label::new(first, local.clone()),
            Label::new(second, path.clone()),
        ];
        let and = |more: &[(&'static str, &'static str)]| {
            let more = more.iter().map(|(name, value)| Label::new(*name, *value));
            labels.iter().cloned().chain(more).collect()
        };
        Self(Arc::new(OfNode {
            calls: KINDS.map(|kind| {
                OUTCOMES.map(|outcome| counter(CALLS, and(&[("kind", kind), ("outcome", outcome)])))
            }),
            lost: CAUSES.map(|cause| counter(CONNECTIONS_LOST, and(&[("cause", cause)]))),
            remotes: Mutex::default(),
            labels,
        }))
    }

    /// The labels of everything of this node, and more.
    pub(crate) fn labels<const N: usize>(&self, more: [Label; N]) -> Vec<Label> {
        self.0.labels.iter().cloned().chain(more).collect()
    }

    /// Sets whose gauges were set, and says whose were before.
    pub(crate) fn replace_remotes(&self, now: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        mem::replace(&mut *self.0.remotes.lock(), now)
    }

    pub(crate) fn link(&self, name: &Arc<str>) -> LinkMeasure {
        LinkMeasure(Arc::new(OfLink {
            name: name.clone(),
            node: self.clone(),
            published: Published::default(),
            durations: OnceLock::new(),
        }))
    }

    /// The handlers are this node's from now on. Of a registry that has several nodes they are the first one's, which is
    /// the only one that they can count for.
    pub(crate) fn handlers(&self, registry: &Frozen) {
        for entry in registry.singles() {
            self.handler(entry, CallKind::Request);
        }
        for entry in registry.streams() {
            self.handler(entry, CallKind::Stream);
        }
    }

    fn handler<C, T>(&self, entry: &Entry<C, T>, of: CallKind) {
        let measured = &entry.counters.measure.0;
        if measured.get().is_some() {
            return;
        }
        let subroute = entry.subroute.clone().unwrap_or_default();
        let labels = self.labels([
            Label::new("handler", entry.id.get().to_string()),
            Label::new("subroute", subroute),
            Label::new("kind", KINDS[kind(of)]),
        ]);
        let duration = histogram(HANDLER_DURATION, labels.clone());
        // Of two nodes that are built at the same time one is the first.
        let _ = measured.set(Measured {
            labels,
            duration,
            published: Published::default(),
        });
    }

    /// A link has changed its state.
    pub(crate) fn changed(&self, before: &LinkState, after: &LinkState) {
        if before.is_connected()
            && let Some(why) = after.last_cause()
        {
            self.0.lost[cause(why)].increment(1);
        }
    }
}

/// Of a handler.
#[derive(Default)]
pub(crate) struct HandlerMeasure(OnceLock<Measured>);

pub(crate) struct Measured {
    pub(crate) labels: Vec<Label>,
    pub(crate) published: Published<HANDLER_COUNTERS>,
    duration: Histogram,
}

impl HandlerMeasure {
    pub(crate) fn ended(&self, took: Duration) {
        if let Some(measured) = self.0.get() {
            measured.duration.record(took.as_secs_f64());
        }
    }

    /// `None` before a node has it.
    pub(crate) fn measured(&self) -> Option<&Measured> {
        self.0.get()
    }
}

impl fmt::Debug for HandlerMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerMeasure")
    }
}

/// Of a link, of which it holds nothing: what calls have of it may be kept for longer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkMeasure(Arc<OfLink>);

struct OfLink {
    name: Arc<str>,
    node: NodeMeasure,
    published: Published<LINK_COUNTERS>,
    /// Only of what has occurred: nobody wants to look through those of all remotes and errors.
    durations: OnceLock<Box<Durations>>,
}

type Durations = [[OnceLock<Histogram>; OUTCOMES.len()]; KINDS.len()];

impl LinkMeasure {
    /// What has come since the last time.
    pub(crate) fn since(&self, now: [u64; LINK_COUNTERS]) -> [u64; LINK_COUNTERS] {
        self.0.published.since(now)
    }

    fn ended(&self, of: CallKind, error: Option<&CallError>, took: Duration) {
        let (kind, outcome) = (kind(of), outcome(error));
        let link = &*self.0;
        link.node.0.calls[kind][outcome].increment(1);
        let known = &link.durations.get_or_init(Box::default)[kind][outcome];
        let took = took.as_secs_f64();
        if let Some(duration) = known.get() {
            return duration.record(took);
        }
        // Not inside of a cell that others wait for: a recorder is code of the user.
        let labels = link.node.labels([
            Label::new("remote", link.name.clone()),
            Label::new("kind", KINDS[kind]),
            Label::new("outcome", OUTCOMES[outcome]),
        ]);
        let duration = histogram(CALL_DURATION, labels);
        duration.record(took);
        let _ = known.set(duration);
    }
}

impl fmt::Debug for LinkMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkMeasure")
    }
}

/// Of a call of this node; one that is dropped before its end was cancelled.
#[derive(Debug)]
pub(crate) struct CallMeasure {
    open: Option<(LinkMeasure, Instant)>,
    kind: CallKind,
}

impl CallMeasure {
    /// Of nothing that is a call.
    pub(crate) const fn none() -> Self {
        Self {
            open: None,
            kind: CallKind::Request,
        }
    }

    pub(crate) fn begin(link: &LinkMeasure, kind: CallKind) -> Self {
        Self {
            open: Some((link.clone(), Instant::now())),
            kind,
        }
    }

    /// It has ended, well or with an error; nothing happens where it had before.
    pub(crate) fn end(&mut self, error: Option<&CallError>) {
        if let Some((link, began)) = self.open.take() {
            link.ended(self.kind, error, began.elapsed());
        }
    }

    /// Nobody is left to see the end of this stream.
    pub(crate) fn over(&mut self, pipe: &Pipe) {
        if self.open.is_none() {
            return;
        }
        match pipe.outcome() {
            Some(Ok(())) => self.end(None),
            Some(Err(error)) => self.end(Some(&error)),
            None => self.end(Some(&CallError::Cancelled)),
        }
    }
}

impl Drop for CallMeasure {
    fn drop(&mut self) {
        self.end(Some(&CallError::Cancelled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_not_published_again() {
        let published = Published::default();
        assert_eq!(published.since([3, 0]), [3, 0]);
        assert_eq!(published.since([5, 1]), [2, 1]);
        // Somebody looked before that, and comes after it.
        assert_eq!(published.since([4, 1]), [0, 0]);
        assert_eq!(published.since([5, 2]), [0, 1]);
    }
}
