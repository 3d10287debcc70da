//! The handler's end of a typed stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_transport::{Context, StreamReceiver, StreamSender};

use crate::fate::Fate;
use crate::{Message, TypedError, TypedReceiver, TypedSender};

/// A typed stream, as its handler gets it: receives `In` and sends `Out`.
///
/// The stream ends when the handler returns; what it has sent arrives before the end. Returning
/// an error ends it with that text. An item that can't be encoded or decoded ends it with that
/// reason, whatever the handler returns then. As a [`Sink`] it [gathers](StreamSender) what it is given; flush it before the
/// handler returns, as what there is no credit for then makes the end an error.
pub struct TypedStreamCall<In, Out> {
    context: Context,
    sender: TypedSender<Out>,
    receiver: TypedReceiver<In>,
}

impl<In, Out> TypedStreamCall<In, Out> {
    pub(crate) fn new(
        context: Context,
        sender: StreamSender,
        receiver: StreamReceiver,
        fate: Arc<Fate>,
    ) -> Self {
        Self {
            context,
            sender: TypedSender::new(sender, fate.clone()),
            receiver: TypedReceiver::new(receiver, fate),
        }
    }

    /// Who calls, what for, and for how long.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The name of the node that calls.
    #[must_use]
    pub fn caller(&self) -> &str {
        self.context.caller()
    }

    /// When the caller will be gone.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.context.deadline()
    }

    /// Takes it apart, for two tasks. The stream still ends when the handler returns.
    #[must_use]
    pub fn into_parts(self) -> (Context, TypedSender<Out>, TypedReceiver<In>) {
        (self.context, self.sender, self.receiver)
    }
}

impl<In: Message, Out> TypedStreamCall<In, Out> {
    /// The next item of the caller; `None` once it has finished, and at once for streams without
    /// input.
    ///
    /// # Errors
    ///
    /// Why the stream has ended; see [`TypedReceiver::recv`]. Only handlers that are
    /// [detached](grid_transport::StreamHandler::detached) live to see that of the call.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<In, TypedError>> {
        self.receiver.recv().await
    }
}

impl<In, Out: Message> TypedStreamCall<In, Out> {
    /// Sends an item to the caller; waits for its credit, and for room in the link's queue. It is
    /// encoded here, so that the future does not borrow it.
    ///
    /// # Errors
    ///
    /// Why it could not be sent; see [`TypedSender::send`].
    ///
    /// # Cancel safety
    ///
    /// Safe: an item whose future was dropped is not sent.
    pub fn send<'a>(
        &'a self,
        item: &Out,
    ) -> impl Future<Output = Result<(), TypedError>> + Send + use<'a, In, Out> {
        self.sender.send(item)
    }
}

impl<In: Message, Out> FuturesStream for TypedStreamCall<In, Out> {
    type Item = Result<In, TypedError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl<In, Out: Message> Sink<Out> for TypedStreamCall<In, Out> {
    type Error = TypedError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Out) -> Result<(), TypedError> {
        Pin::new(&mut self.sender).start_send(item)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}

impl<In, Out> fmt::Debug for TypedStreamCall<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStreamCall")
            .field("context", &self.context)
            .field("sender", &self.sender)
            .field("receiver", &self.receiver)
            .finish()
    }
}
