//! The caller's end of a typed stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_transport::{CancelHandle, Stream};

use crate::fate::Fate;
use crate::{Message, TypedError, TypedReceiver, TypedSender};

/// The caller's end of a stream that sends `In` and receives `Out`; made by
/// [`Streaming::open`](crate::Streaming::open).
///
/// Items come with [`recv`](Self::recv), or as a [`futures_core::Stream`]; they are sent with
/// [`send`](Self::send), or as into a [`futures_sink::Sink`], which [gathers](grid_transport::StreamSender) what it is
/// given. Call [`finish`](Self::finish) once all is sent, on streams that take input.
///
/// **Dropping it cancels**: the remote drops its handler at its await point. So does an item that
/// can't be encoded or decoded. A stream that has ended is just dropped.
pub struct TypedStream<In, Out> {
    sender: TypedSender<In>,
    receiver: TypedReceiver<Out>,
}

impl<In, Out> TypedStream<In, Out> {
    pub(crate) fn new(raw: Stream) -> Self {
        let fate = Fate::new(raw.cancel_handle());
        let (sender, receiver) = raw.split();
        Self {
            sender: TypedSender::new(sender, fate.clone()),
            receiver: TypedReceiver::new(receiver, fate),
        }
    }

    /// Says that no more items are sent. Returns at once and always succeeds; what was sent goes
    /// before it.
    pub fn finish(&mut self) {
        self.sender.finish();
    }

    /// Something that cancels this stream from elsewhere.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.receiver.cancel_handle()
    }

    /// Takes it apart, for two tasks. Dropping one half cancels the stream too, but for a sender
    /// that has [finished](TypedSender::finish) and a receiver that has seen the end.
    #[must_use]
    pub fn split(self) -> (TypedSender<In>, TypedReceiver<Out>) {
        (self.sender, self.receiver)
    }
}

impl<In: Message, Out> TypedStream<In, Out> {
    /// Sends an item; waits for credit of the remote, and for room in the link's queue. It is
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
        item: &In,
    ) -> impl Future<Output = Result<(), TypedError>> + Send + use<'a, In, Out> {
        self.sender.send(item)
    }
}

impl<In, Out: Message> TypedStream<In, Out> {
    /// The next item; `None` after a clean end, by which every item was delivered. Any other end
    /// is an error, which comes once, after the items before it.
    ///
    /// # Errors
    ///
    /// Why the stream did not come to a clean end; see [`TypedReceiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Out, TypedError>> {
        self.receiver.recv().await
    }
}

impl<In, Out: Message> FuturesStream for TypedStream<In, Out> {
    type Item = Result<Out, TypedError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl<In: Message, Out> Sink<In> for TypedStream<In, Out> {
    type Error = TypedError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: In) -> Result<(), TypedError> {
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

impl<In, Out> fmt::Debug for TypedStream<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream")
            .field("sender", &self.sender)
            .field("receiver", &self.receiver)
            .finish()
    }
}
