//! Streams: a value that opens them, then values both ways.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use grid_transport::{
    CallError, Capacity, Connection, HandlerError, HandlerId, StreamBuilder, StreamCall,
    StreamHandler,
};

use crate::fate::Fate;
use crate::message::encode_for;
use crate::{EncodeError, Message, Role, TypedError, TypedStream, TypedStreamCall, decode};

/// The definition of a stream: its handler's id and capacities, the value that opens it, the
/// caller's items and the handler's (protocol section 7). Both nodes share it, as a constant or
/// static: the capacities are not on the wire.
///
/// A direction without items has capacity 0; give it [`Infallible`](std::convert::Infallible), so
/// that sending one does not compile.
///
/// ```
/// use std::convert::Infallible;
/// use grid_typed::{Capacity, HandlerId, Streaming};
///
/// /// The lines of a file, from a given one on.
/// static TAIL: Streaming<u64, Infallible, String> =
///     Streaming::new(HandlerId::new(210), Capacity::new(0, 100));
/// assert_eq!(TAIL.capacity().output, 100);
/// ```
pub struct Streaming<Init, In, Out> {
    id: HandlerId,
    capacity: Capacity,
    /// A function's types: the definition holds no value of any.
    marker: PhantomData<fn(Init, In) -> Out>,
}

impl<Init, In, Out> Streaming<Init, In, Out> {
    /// A definition. Each id may be registered once a node, and once more for each subroute.
    #[must_use]
    pub const fn new(id: HandlerId, capacity: Capacity) -> Self {
        Self {
            id,
            capacity,
            marker: PhantomData,
        }
    }

    /// The handler's id.
    #[must_use]
    pub const fn id(&self) -> HandlerId {
        self.id
    }

    /// How many items may be under way in each direction.
    #[must_use]
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }
}

impl<Init: Message, In, Out> Streaming<Init, In, Out> {
    /// Opens a stream to `peer`, when awaited. A [subroute](Connection::subroute) is part of the
    /// peer; the handler need not be registered on this node.
    ///
    /// `init` is encoded here, so that the future does not borrow it; if it has no encoding the
    /// future says so, and nothing is sent. The stream is there as soon as its first message is
    /// queued: errors of opening it come from the first [`recv`](TypedStream::recv) or
    /// [`send`](TypedStream::send).
    pub fn open(&self, peer: &Connection, init: &Init) -> TypedOpen<In, Out> {
        let open = |payload| peer.stream(self.id, self.capacity, payload);
        TypedOpen {
            open: encode_for(init, peer.remote_is_ours()).map(open),
            marker: PhantomData,
        }
    }

    /// The handler as the transport registers it, with options of how to run it and under which
    /// subroute; [`ManagerBuilderExt::typed_stream`](crate::ManagerBuilderExt::typed_stream) is
    /// the short form.
    ///
    /// **A stream is a conversation: its handler's future is dropped at its await point** when its
    /// caller goes, its deadline passes or the connection ends; [`StreamHandler::detached`] lets
    /// it run to its end.
    ///
    /// An initial payload that can't be decoded never reaches `handler`. A stream in which an item
    /// could not be encoded or decoded ends in that error, also where the handler returns `Ok`.
    pub fn handler<H, Fut>(&self, handler: H) -> StreamHandler
    where
        Init: 'static,
        In: 'static,
        Out: 'static,
        H: Fn(Init, TypedStreamCall<In, Out>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        StreamHandler::new(self.id, self.capacity, move |call: StreamCall| {
            let handler = handler.clone();
            async move {
                let (payload, context, sender, receiver) = call.into_parts();
                let init = decode(payload.as_slice()).map_err(|source| TypedError::Decode {
                    role: Role::Init,
                    source,
                })?;
                drop(payload);
                let fate = Fate::new(receiver.cancel_handle());
                let call = TypedStreamCall::new(context, sender, receiver, fate.clone());
                handler(init, call).await?;
                match fate.reason() {
                    Some(reason) => Err(HandlerError::new(&**reason)),
                    None => Ok(()),
                }
            }
        })
    }
}

impl<Init, In, Out> Clone for Streaming<Init, In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Init, In, Out> Copy for Streaming<Init, In, Out> {}

impl<Init, In, Out> fmt::Debug for Streaming<Init, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("id", &self.id)
            .field("capacity", &self.capacity)
            .finish()
    }
}

/// A typed stream that is about to be opened; await it to open it.
///
/// # Errors
///
/// [`TypedError`] where the initial payload could not be encoded, or could not even be queued.
///
/// # Cancel safety
///
/// Safe: a stream whose opening was dropped is not open.
#[must_use = "a stream is opened when it is awaited"]
pub struct TypedOpen<In, Out> {
    open: Result<StreamBuilder, EncodeError>,
    marker: PhantomData<fn(In) -> Out>,
}

impl<In, Out> TypedOpen<In, Out> {
    /// Ends the whole stream with [`CallError::Deadline`] after this time. Streams have no
    /// deadline by default.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|open| open.timeout(timeout))
    }

    /// Waits for the link where it is down; see [`StreamBuilder::wait_ready`] for how long.
    pub fn wait_ready(self) -> Self {
        self.with(StreamBuilder::wait_ready)
    }

    /// Has what is sent on it written before what is not urgent; see [`StreamBuilder::urgent`].
    pub fn urgent(self) -> Self {
        self.with(StreamBuilder::urgent)
    }

    fn with(self, change: impl FnOnce(StreamBuilder) -> StreamBuilder) -> Self {
        Self {
            open: self.open.map(change),
            marker: PhantomData,
        }
    }
}

impl<In, Out> IntoFuture for TypedOpen<In, Out> {
    type Output = Result<TypedStream<In, Out>, TypedError>;
    type IntoFuture = TypedOpenFuture<In, Out>;

    fn into_future(self) -> TypedOpenFuture<In, Out> {
        TypedOpenFuture {
            open: self.open.map(IntoFuture::into_future).map_err(Some),
            marker: PhantomData,
        }
    }
}

impl<In, Out> fmt::Debug for TypedOpen<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedOpen").field(&self.open).finish()
    }
}

/// A typed stream that is being opened; see [`TypedOpen`] for what dropping it does.
#[must_use = "futures do nothing unless awaited"]
pub struct TypedOpenFuture<In, Out> {
    /// Without a stream the error, until it is taken.
    open: Result<<StreamBuilder as IntoFuture>::IntoFuture, Option<EncodeError>>,
    marker: PhantomData<fn(In) -> Out>,
}

impl<In, Out> Future for TypedOpenFuture<In, Out> {
    type Output = Result<TypedStream<In, Out>, TypedError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.open {
            Ok(open) => Ok(TypedStream::new(ready!(open.as_mut().poll(cx))?)),
            Err(error) => Err(match error.take() {
                Some(source) => TypedError::Encode {
                    role: Role::Init,
                    source,
                },
                None => CallError::Cancelled.into(),
            }),
        })
    }
}

impl<In, Out> fmt::Debug for TypedOpenFuture<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedOpenFuture").finish_non_exhaustive()
    }
}
