//! The handlers of a node: which id and subroute leads where.

use std::{collections::HashMap, fmt, future::Future, mem, pin::Pin, sync::Arc};

use grid_proto::{
    HandlerId, Payload, SubrouteId,
    conn::{Capacity, Routes},
    wire::{MuxRejection, Text},
};
use parking_lot::Mutex;

use crate::{
    error::{HandlerError, RegisterError},
    handler::Request,
    session::Permits,
    stats::HandlerCounters,
    stream::StreamCall,
};

pub(crate) type HandlerFuture<T> = Pin<Box<dyn Future<Output = Result<T, HandlerError>> + Send>>;
type Run<C, T> = Arc<dyn Fn(C) -> HandlerFuture<T> + Send + Sync>;

/// How a handler is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) abort_on_cancel: bool,
    pub(crate) detached: bool,
    pub(crate) blocking: bool,
    pub(crate) limit: Option<usize>,
}

/// A handler of single requests, to be registered.
///
/// **A single request is an action: once begun, its handler runs to its end**, also when its
/// caller has gone, its deadline has passed or the connection was lost. It can see that by
/// [`Context::token`](crate::Context::token); its late answer is discarded, and it counts against
/// the limits until it ends. [`abort_on_cancel`](Self::abort_on_cancel) has its future dropped at
/// the await point instead.
#[derive(Clone)]
pub struct SingleHandler {
    id: HandlerId,
    subroute: Option<Arc<str>>,
    options: Options,
    run: Run<Request, Payload>,
}

impl SingleHandler {
    /// A handler that answers each request with a payload, or with an error text.
    pub fn new<F, Fut>(id: HandlerId, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, HandlerError>> + Send + 'static,
    {
        let run: Run<Request, Payload> = Arc::new(move |request| Box::pin(handler(request)));
        Self {
            id,
            subroute: None,
            options: Options::default(),
            run,
        }
    }

    /// Registers it under a subroute: static text, its parts joined with `/` (protocol section 5).
    #[must_use]
    pub fn subroute(mut self, route: impl Into<String>) -> Self {
        self.subroute = Some(route.into().into());
        self
    }

    /// Drops the handler's future when its caller goes, its deadline passes or the connection
    /// ends.
    #[must_use]
    pub fn abort_on_cancel(mut self) -> Self {
        self.options.abort_on_cancel = true;
        self
    }

    /// Runs it on a thread where it may block; see
    /// [`Settings::max_blocking`](crate::Settings#structfield.max_blocking).
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.options.blocking = true;
        self
    }

    /// Runs at most `limit` at the same time, over all links; further requests are refused with
    /// [`Refusal::Overloaded`](crate::Refusal::Overloaded).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.options.limit = Some(limit);
        self
    }
}

impl fmt::Debug for SingleHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleHandler")
            .field("id", &self.id)
            .field("subroute", &self.subroute)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A handler of streams, to be registered.
///
/// **A stream is a conversation: its handler's future is dropped at its await point** when its
/// caller goes, its deadline passes or the connection ends. One that must finish is registered
/// [`detached`](Self::detached): it finds its sends and receives failing and its token fired.
#[derive(Clone)]
pub struct StreamHandler {
    id: HandlerId,
    capacity: Capacity,
    subroute: Option<Arc<str>>,
    options: Options,
    run: Run<StreamCall, ()>,
}

impl StreamHandler {
    /// A handler that serves each stream until it returns. Both nodes must use the same
    /// capacities: they are not on the wire.
    pub fn new<F, Fut>(id: HandlerId, capacity: Capacity, handler: F) -> Self
    where
        F: Fn(StreamCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let run: Run<StreamCall, ()> = Arc::new(move |call| Box::pin(handler(call)));
        Self {
            id,
            capacity,
            subroute: None,
            options: Options::default(),
            run,
        }
    }

    /// Registers it under a subroute: static text, its parts joined with `/` (protocol section 5).
    #[must_use]
    pub fn subroute(mut self, route: impl Into<String>) -> Self {
        self.subroute = Some(route.into().into());
        self
    }

    /// Lets the handler run to its end when its caller has gone or the connection has ended.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.options.detached = true;
        self
    }

    /// Runs it on a thread where it may block; see
    /// [`Settings::max_blocking`](crate::Settings#structfield.max_blocking).
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.options.blocking = true;
        self
    }

    /// Runs at most `limit` at the same time, over all links; further streams are refused with
    /// [`Refusal::Overloaded`](crate::Refusal::Overloaded).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.options.limit = Some(limit);
        self
    }
}

impl fmt::Debug for StreamHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandler")
            .field("id", &self.id)
            .field("capacity", &self.capacity)
            .field("subroute", &self.subroute)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Either kind of handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Registration {
    /// Of single requests.
    Single(SingleHandler),
    /// Of streams.
    Stream(StreamHandler),
}

impl Registration {
    fn place(&self) -> (HandlerId, &Option<Arc<str>>) {
        match self {
            Self::Single(handler) => (handler.id, &handler.subroute),
            Self::Stream(handler) => (handler.id, &handler.subroute),
        }
    }
}

impl From<SingleHandler> for Registration {
    fn from(handler: SingleHandler) -> Self {
        Self::Single(handler)
    }
}

impl From<StreamHandler> for Registration {
    fn from(handler: StreamHandler) -> Self {
        Self::Stream(handler)
    }
}

/// The handlers of a node, filled before it starts; clones are the same registry.
///
/// Parts of a program that come up one by one can each register their own handlers; building a
/// [`Manager`](crate::Manager) freezes it.
///
/// ```
/// use grid_transport::{HandlerId, Registry, SingleHandler};
///
/// let registry = Registry::new();
/// let echo = SingleHandler::new(HandlerId::new(200), |request| async move { Ok(request.into_payload()) });
/// registry.register(echo.clone())?;
/// registry.register(echo.clone().subroute("disk1"))?;
/// assert!(registry.register(echo).is_err());
/// # Ok::<(), grid_transport::RegisterError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<State>>);

enum State {
    Open(Frozen),
    Frozen(Arc<Frozen>),
}

impl Default for State {
    fn default() -> Self {
        Self::Open(Frozen::default())
    }
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler.
    ///
    /// # Errors
    ///
    /// When the id is 0, when the id and subroute are taken, or when the node has started; each
    /// names the id and the subroute.
    pub fn register(&self, handler: impl Into<Registration>) -> Result<(), RegisterError> {
        let handler = handler.into();
        let (id, subroute) = handler.place();
        let route = subroute.as_deref().map(Box::from);
        if id.get() == 0 {
            return Err(RegisterError::InvalidId {
                id,
                subroute: route,
            });
        }
        match &mut *self.0.lock() {
            State::Open(tables) => tables.insert(handler),
            State::Frozen(_) => Err(RegisterError::Started {
                id,
                subroute: route,
            }),
        }
    }

    /// Takes no more handlers from now on.
    pub(crate) fn freeze(&self) -> Arc<Frozen> {
        let mut state = self.0.lock();
        let frozen = match &mut *state {
            State::Open(tables) => Arc::new(mem::take(tables)),
            State::Frozen(frozen) => frozen.clone(),
        };
        *state = State::Frozen(frozen.clone());
        frozen
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (frozen, singles, streams) = match &*self.0.lock() {
            State::Open(tables) => (false, tables.singles.len(), tables.streams.len()),
            State::Frozen(tables) => (true, tables.singles.len(), tables.streams.len()),
        };
        f.debug_struct("Registry")
            .field("frozen", &frozen)
            .field("singles", &singles)
            .field("streams", &streams)
            .finish()
    }
}

/// A registered handler and what it has done so far.
pub(crate) struct Entry<C, T> {
    pub(crate) id: HandlerId,
    pub(crate) subroute: Option<Arc<str>>,
    pub(crate) options: Options,
    pub(crate) limit: Option<Arc<Permits>>,
    pub(crate) counters: HandlerCounters,
    pub(crate) run: Run<C, T>,
}

pub(crate) type SingleEntry = Entry<Request, Payload>;
pub(crate) type StreamEntry = Entry<StreamCall, ()>;

#[derive(Clone, Copy, Debug)]
enum Slot {
    Single(u32),
    Stream(u32, Capacity),
}

/// The handlers of a node that has started.
#[derive(Default)]
pub(crate) struct Frozen {
    singles: Vec<Arc<SingleEntry>>,
    streams: Vec<Arc<StreamEntry>>,
    plain: HashMap<HandlerId, Slot>,
    subroutes: HashMap<SubrouteId, Slot>,
}

impl Frozen {
    pub(crate) fn single_at(&self, route: u32) -> Option<&Arc<SingleEntry>> {
        self.singles.get(route as usize)
    }

    pub(crate) fn stream_at(&self, route: u32) -> Option<&Arc<StreamEntry>> {
        self.streams.get(route as usize)
    }

    pub(crate) fn singles(&self) -> &[Arc<SingleEntry>] {
        &self.singles
    }

    pub(crate) fn streams(&self) -> &[Arc<StreamEntry>] {
        &self.streams
    }

    fn insert(&mut self, handler: Registration) -> Result<(), RegisterError> {
        let (id, subroute) = handler.place();
        let subroute = subroute.clone();
        let taken = match &subroute {
            Some(route) => self.subroutes.contains_key(&SubrouteId::new(id, route)),
            None => self.plain.contains_key(&id),
        };
        if taken {
            return Err(RegisterError::Twice {
                id,
                subroute: subroute.as_deref().map(Box::from),
            });
        }
        let slot = match handler {
            Registration::Single(handler) => {
                let slot = Slot::Single(u32::try_from(self.singles.len()).unwrap_or(u32::MAX));
                self.singles.push(Arc::new(Entry {
                    id,
                    subroute: subroute.clone(),
                    options: handler.options,
                    limit: handler.options.limit.map(Permits::new),
                    counters: HandlerCounters::default(),
                    run: handler.run,
                }));
                slot
            }
            Registration::Stream(handler) => {
                let index = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
                let slot = Slot::Stream(index, handler.capacity);
                self.streams.push(Arc::new(Entry {
                    id,
                    subroute: subroute.clone(),
                    options: handler.options,
                    limit: handler.options.limit.map(Permits::new),
                    counters: HandlerCounters::default(),
                    run: handler.run,
                }));
                slot
            }
        };
        match &subroute {
            Some(route) => self.subroutes.insert(SubrouteId::new(id, route), slot),
            None => self.plain.insert(id, slot),
        };
        Ok(())
    }

    fn find(&self, handler: HandlerId, subroute: Option<&SubrouteId>) -> Option<Slot> {
        match subroute {
            Some(id) => self.subroutes.get(id).copied(),
            None => self.plain.get(&handler).copied(),
        }
    }
}

fn unknown(handler: HandlerId, subroute: Option<&SubrouteId>) -> MuxRejection {
    if handler.get() == 0 {
        return MuxRejection::InvalidHandler;
    }
    match subroute {
        Some(id) => MuxRejection::UnknownSubroute(*id),
        None => MuxRejection::UnknownHandler(Text::from(format!("handler {}", handler.get()))),
    }
}

impl Routes for Frozen {
    fn single(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<u32, MuxRejection> {
        match self.find(handler, subroute) {
            Some(Slot::Single(route)) if handler.get() != 0 => Ok(route),
            _ => Err(unknown(handler, subroute)),
        }
    }

    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        match self.find(handler, subroute) {
            Some(Slot::Stream(route, capacity)) => Ok((route, capacity)),
            _ => Err(unknown(handler, subroute)),
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen")
            .field("singles", &self.singles.len())
            .field("streams", &self.streams.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: HandlerId = HandlerId::new(9);

    fn echo(id: HandlerId) -> SingleHandler {
        SingleHandler::new(id, |request| async move { Ok(request.into_payload()) })
    }

    #[test]
    fn a_place_is_taken_by_either_kind() {
        let registry = Registry::new();
        registry.register(echo(ID)).unwrap();
        registry.register(echo(ID).subroute("a")).unwrap();
        let stream = StreamHandler::new(ID, Capacity::new(1, 1), |_| async { Ok(()) });
        let twice = registry.register(stream.clone()).unwrap_err();
        assert_eq!(
            twice,
            RegisterError::Twice {
                id: ID,
                subroute: None
            }
        );
        let twice = registry.register(stream.clone().subroute("a")).unwrap_err();
        assert_eq!(
            twice,
            RegisterError::Twice {
                id: ID,
                subroute: Some("a".into())
            }
        );
        registry.register(stream.subroute("b")).unwrap();
    }

    #[test]
    fn id_zero_and_late_handlers_are_refused() {
        let registry = Registry::new();
        let zero = HandlerId::new(0);
        assert_eq!(
            registry.register(echo(zero).subroute("a")).unwrap_err(),
            RegisterError::InvalidId {
                id: zero,
                subroute: Some("a".into())
            }
        );
        registry.freeze();
        assert_eq!(
            registry.register(echo(ID).subroute("a")).unwrap_err(),
            RegisterError::Started {
                id: ID,
                subroute: Some("a".into())
            }
        );
    }

    #[test]
    fn only_the_exact_place_leads_to_a_handler() {
        let registry = Registry::new();
        registry.register(echo(ID).subroute("a")).unwrap();
        registry
            .register(StreamHandler::new(
                HandlerId::new(10),
                Capacity::new(0, 5),
                |_| async { Ok(()) },
            ))
            .unwrap();
        let routes = registry.freeze();
        let place = SubrouteId::new(ID, "a");
        assert_eq!(routes.single(ID, Some(&place)).unwrap(), 0);
        assert!(matches!(
            routes.single(ID, None),
            Err(MuxRejection::UnknownHandler(_))
        ));
        assert!(matches!(
            routes.stream(ID, Some(&place)),
            Err(MuxRejection::UnknownSubroute(_))
        ));
        let zero = SubrouteId::zero(ID);
        assert!(matches!(
            routes.single(ID, Some(&zero)),
            Err(MuxRejection::UnknownSubroute(_))
        ));
        assert!(matches!(
            routes.single(HandlerId::new(0), Some(&place)),
            Err(MuxRejection::InvalidHandler)
        ));
        let (_, capacity) = routes.stream(HandlerId::new(10), None).unwrap();
        assert_eq!((capacity.input, capacity.output), (0, 5));
    }
}
