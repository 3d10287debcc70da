//! Single requests: one value there, one back.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use grid_transport::{
    Connection, Context, HandlerError, HandlerId, Payload, Request, RequestBuilder, RequestFuture,
    SingleHandler,
};

use crate::message::encode_for;
use crate::{EncodeError, Message, Role, TypedError, decode};

/// The definition of a single request: its handler's id, what is asked and what is answered
/// (protocol section 6). Both nodes share it, as a constant or static.
///
/// ```
/// use grid_typed::{HandlerId, Single, StringMap};
///
/// static LABELS: Single<String, StringMap> = Single::new(HandlerId::new(201));
/// assert_eq!(LABELS.id(), HandlerId::new(201));
/// ```
pub struct Single<Req, Resp> {
    id: HandlerId,
    /// A function's types: the definition holds no value of either.
    marker: PhantomData<fn(Req) -> Resp>,
}

impl<Req, Resp> Single<Req, Resp> {
    /// A definition. Each id may be registered once a node, and once more for each subroute.
    #[must_use]
    pub const fn new(id: HandlerId) -> Self {
        Self {
            id,
            marker: PhantomData,
        }
    }

    /// The handler's id.
    #[must_use]
    pub const fn id(&self) -> HandlerId {
        self.id
    }
}

impl<Req: Message, Resp: Message> Single<Req, Resp> {
    /// Asks `peer`, when awaited. A [subroute](Connection::subroute) is part of the peer.
    ///
    /// The request is encoded here, so that the future does not borrow it; if it has no encoding
    /// the future says so, and nothing is sent.
    ///
    /// ```no_run
    /// # async fn example(peer: grid_transport::Connection) -> Result<(), grid_typed::TypedError> {
    /// use std::time::Duration;
    /// use grid_typed::{HandlerId, Single, StringMap};
    ///
    /// const LABELS: Single<String, StringMap> = Single::new(HandlerId::new(201));
    /// let labels = LABELS
    ///     .call(&peer.subroute("disk1"), &"bucket".to_owned())
    ///     .timeout(Duration::from_secs(5))
    ///     .wait_ready()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn call(&self, peer: &Connection, request: &Req) -> TypedCall<Resp> {
        TypedCall {
            call: encode_for(request, peer.remote_is_ours())
                .map(|payload| peer.request(self.id, payload)),
            marker: PhantomData,
        }
    }

    /// The handler as the transport registers it, with options of how to run it and under which
    /// subroute; [`ManagerBuilderExt::typed`](crate::ManagerBuilderExt::typed) is the short form.
    ///
    /// **A single request is an action: once begun, its handler runs to its end**, also when its
    /// caller has gone; [`SingleHandler::abort_on_cancel`] has its future dropped instead.
    ///
    /// A request that can't be decoded never reaches `handler`. Whatever implements
    /// [`std::error::Error`] converts into a [`HandlerError`] by `?`; any other text that is to
    /// reach the caller goes into [`HandlerError::new`].
    ///
    /// ```
    /// use grid_transport::Registry;
    /// use grid_typed::{HandlerId, NoPayload, Single};
    ///
    /// static SYNC: Single<String, NoPayload> = Single::new(HandlerId::new(202));
    ///
    /// let registry = Registry::new();
    /// registry.register(
    ///     SYNC.handler(|name, context| async move {
    ///         println!("{} asks for {name}", context.caller());
    ///         Ok(NoPayload)
    ///     })
    ///     .subroute("disk1")
    ///     .limit(4),
    /// )?;
    /// # Ok::<(), grid_transport::RegisterError>(())
    /// ```
    pub fn handler<H, Fut>(&self, handler: H) -> SingleHandler
    where
        Req: 'static,
        Resp: 'static,
        H: Fn(Req, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp, HandlerError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        SingleHandler::new(self.id, move |request: Request| {
            let handler = handler.clone();
            async move {
                let (payload, context) = request.into_parts();
                let request = decode(payload.as_slice()).map_err(|source| TypedError::Decode {
                    role: Role::Request,
                    source,
                })?;
                drop(payload);
                let ours = context.caller_is_ours();
                let answer = handler(request, context).await?;
                let payload = encode_for(&answer, ours).map_err(|source| TypedError::Encode {
                    role: Role::Response,
                    source,
                })?;
                Ok(Payload::from(payload))
            }
        })
    }
}

impl<Req, Resp> Clone for Single<Req, Resp> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Req, Resp> Copy for Single<Req, Resp> {}

impl<Req, Resp> fmt::Debug for Single<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Single").field(&self.id).finish()
    }
}

/// A typed request that is about to be made; await it to make it.
///
/// # Errors
///
/// [`TypedError`] says whether the request could not be encoded, the call failed, or the answer
/// could not be decoded.
///
/// # Cancel safety
///
/// Dropping the future gives the request up, as with [`RequestBuilder`].
#[must_use = "a request is made when it is awaited"]
pub struct TypedCall<Resp> {
    call: Result<RequestBuilder, EncodeError>,
    marker: PhantomData<fn() -> Resp>,
}

impl<Resp> TypedCall<Resp> {
    /// Fails with [`CallError::Deadline`](grid_transport::CallError::Deadline) when there is no
    /// answer after this time; see [`RequestBuilder::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|call| call.timeout(timeout))
    }

    /// Waits for the link where it is down, at most until the deadline; see
    /// [`RequestBuilder::wait_ready`].
    pub fn wait_ready(self) -> Self {
        self.with(RequestBuilder::wait_ready)
    }

    /// Has it written before what is not urgent; see [`RequestBuilder::urgent`].
    pub fn urgent(self) -> Self {
        self.with(RequestBuilder::urgent)
    }

    fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self {
            call: self.call.map(change),
            marker: PhantomData,
        }
    }
}

impl<Resp: Message> IntoFuture for TypedCall<Resp> {
    type Output = Result<Resp, TypedError>;
    type IntoFuture = TypedCallFuture<Resp>;

    fn into_future(self) -> TypedCallFuture<Resp> {
        TypedCallFuture {
            call: self.call.map(IntoFuture::into_future).map_err(Some),
            marker: PhantomData,
        }
    }
}

impl<Resp> fmt::Debug for TypedCall<Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCall").field(&self.call).finish()
    }
}

/// A typed request under way; see [`TypedCall`] for what dropping it does.
#[must_use = "futures do nothing unless awaited"]
pub struct TypedCallFuture<Resp> {
    /// Without a call the error, until it is taken.
    call: Result<RequestFuture, Option<EncodeError>>,
    marker: PhantomData<fn() -> Resp>,
}

impl<Resp: Message> Future for TypedCallFuture<Resp> {
    type Output = Result<Resp, TypedError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let payload = match &mut self.call {
            Ok(call) => ready!(Pin::new(call).poll(cx))?,
            Err(error) => {
                return Poll::Ready(Err(match error.take() {
                    Some(source) => TypedError::Encode {
                        role: Role::Request,
                        source,
                    },
                    None => grid_transport::CallError::Cancelled.into(),
                }));
            }
        };
        Poll::Ready(
            decode(payload.as_slice()).map_err(|source| TypedError::Decode {
                role: Role::Response,
                source,
            }),
        )
    }
}

impl<Resp> fmt::Debug for TypedCallFuture<Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCallFuture").field(&self.call).finish()
    }
}
