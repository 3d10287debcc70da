//! Handlers before they are registered, and how they are run.

use std::{fmt, future::Future, sync::Arc};

use futures_util::FutureExt;
use grid_proto::{HandlerId, Payload, conn::Capacity};
use parking_lot::Mutex;
use tokio_util::sync::ReusableBoxFuture;

use crate::{error::HandlerError, handler::Request, stream::StreamCall};

/// A handler at work. What it holds is dropped when it returns, and its box may be used again then.
pub(crate) type HandlerFuture<T> = ReusableBoxFuture<'static, Result<T, HandlerError>>;
/// Calls a handler, whose future may go into the box of an earlier one.
pub(crate) type Run<C, T> =
    Arc<dyn Fn(C, Option<HandlerFuture<T>>) -> HandlerFuture<T> + Send + Sync>;

fn boxed<T: 'static>(
    future: impl Future<Output = Result<T, HandlerError>> + Send + 'static,
    spare: Option<HandlerFuture<T>>,
) -> HandlerFuture<T> {
    let future = future.fuse();
    match spare {
        Some(mut spare) => {
            spare.set(future);
            spare
        }
        None => ReusableBoxFuture::new(future),
    }
}

/// The box of a handler that has returned, so that the next one needs none of its own.
pub(crate) struct Spare<T>(Mutex<Option<HandlerFuture<T>>>);

impl<T> Spare<T> {
    pub(crate) const fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// None where another link is just at it: waiting would cost more than a box.
    pub(crate) fn take(&self) -> Option<HandlerFuture<T>> {
        self.0.try_lock()?.take()
    }

    /// Keeps the box of a handler that has returned.
    pub(crate) fn keep(&self, future: HandlerFuture<T>) {
        let before = match self.0.try_lock() {
            Some(mut spare) => spare.replace(future),
            None => Some(future),
        };
        drop(before);
    }
}

/// How a handler is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) abort_on_cancel: bool,
    pub(crate) detached: bool,
    pub(crate) blocking: bool,
    pub(crate) urgent: bool,
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
    pub(crate) id: HandlerId,
    pub(crate) subroute: Option<Arc<str>>,
    pub(crate) options: Options,
    pub(crate) run: Run<Request, Payload>,
}

impl SingleHandler {
    /// A handler that answers each request with a payload, or with an error text.
    pub fn new<F, Fut>(id: HandlerId, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, HandlerError>> + Send + 'static,
    {
        let run: Run<Request, Payload> =
            Arc::new(move |request, spare| boxed(handler(request), spare));
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

    /// Has its answers written before all that waits on the same link and isn't urgent; see
    /// [`RequestBuilder::urgent`](crate::RequestBuilder::urgent).
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.options.urgent = true;
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
    pub(crate) id: HandlerId,
    pub(crate) capacity: Capacity,
    pub(crate) subroute: Option<Arc<str>>,
    pub(crate) options: Options,
    pub(crate) run: Run<StreamCall, ()>,
}

impl StreamHandler {
    /// A handler that serves each stream until it returns. Both nodes must use the same
    /// capacities: they are not on the wire.
    pub fn new<F, Fut>(id: HandlerId, capacity: Capacity, handler: F) -> Self
    where
        F: Fn(StreamCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let run: Run<StreamCall, ()> = Arc::new(move |call, spare| boxed(handler(call), spare));
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

    /// Has its items, and the end of its streams, written before all that waits on the same link and isn't urgent; see
    /// [`StreamBuilder::urgent`](crate::StreamBuilder::urgent).
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.options.urgent = true;
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
    pub(crate) fn place(&self) -> (HandlerId, &Option<Arc<str>>) {
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
