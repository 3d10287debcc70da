//! A subscriber that keeps all spans, their fields and their ends.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest},
};

/// A span as it was when it ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) level: Option<Level>,
    /// The fields that it may have.
    pub(crate) declared: Vec<&'static str>,
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) root: bool,
    pub(crate) closed: bool,
}

impl Span {
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    pub(crate) fn number(&self, field: &str) -> f64 {
        let value = self
            .get(field)
            .unwrap_or_else(|| panic!("no {field}: {self:?}"));
        value.parse().unwrap()
    }
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let before = self.fields.insert(field.name(), value.to_owned());
        assert_eq!(before, None, "{} was told twice", field.name());
    }
}

/// Clones keep the same.
#[derive(Clone)]
pub(crate) struct Spans(Arc<Inner>);

struct Inner {
    spans: Mutex<BTreeMap<u64, Span>>,
    /// Fields of events, by name.
    events: Mutex<Vec<(String, BTreeMap<&'static str, String>)>>,
    /// The spans that are entered now.
    entered: Mutex<Vec<u64>>,
    next: AtomicU64,
    level: Level,
    /// Called wherever a subscriber may be, as code of the user.
    looks: Box<dyn Fn() + Send + Sync>,
}

impl Spans {
    /// Takes what this thread does, until the guard is dropped.
    pub(crate) fn capture(level: Level) -> (Self, DefaultGuard) {
        Self::looking(level, || {})
    }

    /// The same, and looks at something whenever it is called.
    pub(crate) fn looking(
        level: Level,
        looks: impl Fn() + Send + Sync + 'static,
    ) -> (Self, DefaultGuard) {
        let spans = Self(Arc::new(Inner {
            spans: Mutex::default(),
            events: Mutex::default(),
            entered: Mutex::default(),
            next: AtomicU64::new(1),
            level,
            looks: Box::new(looks),
        }));
        let guard = tracing::subscriber::set_default(spans.clone());
        (spans, guard)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Span> {
        self.0.spans.lock().unwrap().values().cloned().collect()
    }

    /// All of that name, in the order in which they began.
    pub(crate) fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.0.spans.lock().unwrap();
        spans
            .values()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }

    /// The only one of that name, which has ended.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Span {
        let named = self.named(name);
        assert_eq!(named.len(), 1, "{name}: {named:#?}");
        assert!(named[0].closed, "{named:?}");
        named[0].clone()
    }

    /// The only one of a stream on that side of it, of `client` and `server`, which has ended.
    #[track_caller]
    pub(crate) fn stream(&self, side: &str) -> Span {
        let mut named = self.named("grid.stream");
        named.retain(|span| span.get("otel.kind") == Some(side));
        assert_eq!(named.len(), 1, "{side}: {named:#?}");
        assert!(named[0].closed, "{named:?}");
        named.remove(0)
    }

    /// The one that was entered last, of those that are entered now.
    pub(crate) fn inside(&self) -> Option<Span> {
        let id = self.0.entered.lock().unwrap().last().copied()?;
        self.0.spans.lock().unwrap().get(&id).cloned()
    }

    pub(crate) fn events(&self) -> Vec<(String, BTreeMap<&'static str, String>)> {
        self.0.events.lock().unwrap().clone()
    }

    pub(crate) fn clear(&self) {
        self.0.spans.lock().unwrap().clear();
        self.0.events.lock().unwrap().clear();
    }
}

impl Subscriber for Spans {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Other threads of the test program have none.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0.level && metadata.target().starts_with("grid")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        (self.0.looks)();
        let mut span = Span {
            name: attributes.metadata().name(),
            target: attributes.metadata().target(),
            level: Some(*attributes.metadata().level()),
            declared: attributes
                .metadata()
                .fields()
                .iter()
                .map(|field| field.name())
                .collect(),
            root: attributes.is_root(),
            ..Span::default()
        };
        attributes.record(&mut span);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.spans.lock().unwrap().insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        (self.0.looks)();
        if let Some(span) = self.0.spans.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(span);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        (self.0.looks)();
        let mut fields = Span::default();
        event.record(&mut fields);
        let target = event.metadata().target().to_owned();
        self.0.events.lock().unwrap().push((target, fields.fields));
    }

    fn enter(&self, id: &Id) {
        (self.0.looks)();
        self.0.entered.lock().unwrap().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        (self.0.looks)();
        let mut entered = self.0.entered.lock().unwrap();
        let last = entered
            .iter()
            .rposition(|entered| *entered == id.into_u64());
        entered.remove(last.expect("it was entered"));
    }

    fn try_close(&self, id: Id) -> bool {
        (self.0.looks)();
        if let Some(span) = self.0.spans.lock().unwrap().get_mut(&id.into_u64()) {
            span.closed = true;
        }
        true
    }
}
