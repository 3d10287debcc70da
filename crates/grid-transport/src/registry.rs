//! The handlers of a node: which id and subroute leads where.

use std::{collections::HashMap, fmt, mem, sync::Arc};

use grid_proto::{
    HandlerId, Payload, SubrouteId,
    conn::{Capacity, Routes},
    wire::{MuxRejection, Text},
};
use parking_lot::Mutex;

use crate::{
    build_error::RegisterError,
    handler::Request,
    registration::{Options, Registration, Run, Spare},
    session::Permits,
    stats::HandlerCounters,
    stream::StreamCall,
};

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
    pub(crate) spare: Spare<T>,
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
    /// By id; as long as the highest of them asks for.
    plain: Vec<Option<Slot>>,
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
            None => self.find(id, None).is_some(),
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
                    spare: Spare::none(),
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
                    spare: Spare::none(),
                }));
                slot
            }
        };
        match &subroute {
            Some(route) => {
                self.subroutes.insert(SubrouteId::new(id, route), slot);
            }
            None => {
                let index = usize::from(id.get());
                if self.plain.len() <= index {
                    self.plain.resize(index + 1, None);
                }
                if let Some(place) = self.plain.get_mut(index) {
                    *place = Some(slot);
                }
            }
        }
        Ok(())
    }

    fn find(&self, handler: HandlerId, subroute: Option<&SubrouteId>) -> Option<Slot> {
        match subroute {
            Some(id) => self.subroutes.get(id).copied(),
            None => self
                .plain
                .get(usize::from(handler.get()))
                .copied()
                .flatten(),
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

    fn stream_is_urgent(&self, route: u32) -> bool {
        self.stream_at(route)
            .is_some_and(|entry| entry.options.urgent)
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
    use crate::registration::{SingleHandler, StreamHandler};

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
