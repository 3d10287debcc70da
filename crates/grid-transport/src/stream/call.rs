//! The handler's end of a stream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Instant,
};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_proto::Payload;

use super::{Pipe, StreamReceiver, StreamSender};
use crate::{
    error::{CallError, SendError},
    handler::Context,
    measure::CallMeasure,
};

/// A stream, as its handler gets it: the initial payload, and items both ways.
///
/// The stream ends when the handler returns; what it has sent arrives before the end. Returning
/// an error ends it with that text. As a [`Sink`] it [gathers](StreamSender) what it is given; flush it before the handler
/// returns, as what there is no credit for then makes the end an error.
#[derive(Debug)]
pub struct StreamCall {
    payload: Payload,
    context: Context,
    sender: StreamSender,
    receiver: StreamReceiver,
}

impl StreamCall {
    pub(crate) fn new(payload: Payload, context: Context, pipe: Arc<Pipe>) -> Self {
        Self {
            payload,
            context,
            sender: StreamSender::new(pipe.clone(), false),
            receiver: StreamReceiver::new(pipe, CallMeasure::none(), None),
        }
    }

    /// The initial payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Takes the initial payload, and leaves an absent one.
    pub fn take_payload(&mut self) -> Payload {
        std::mem::take(&mut self.payload)
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

    /// The next item of the caller; `None` once it has finished, and at once for streams without
    /// input.
    ///
    /// # Errors
    ///
    /// Why the stream has ended; only handlers that are
    /// [detached](crate::StreamHandler::detached) live to see it.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Payload, CallError>> {
        self.receiver.recv().await
    }

    /// Sends an item to the caller; waits for its credit, and for room in the link's queue. An
    /// absent payload arrives as an empty one: items are always present.
    ///
    /// # Errors
    ///
    /// Why it could not be sent; the stream goes on after [`CallError::TooLarge`].
    ///
    /// # Cancel safety
    ///
    /// Safe: an item whose future was dropped is not sent.
    pub async fn send(&self, item: impl Into<Payload>) -> Result<(), SendError> {
        self.sender.send(item).await
    }

    /// Takes it apart, for two tasks. The stream still ends when the handler returns.
    #[must_use]
    pub fn into_parts(self) -> (Payload, Context, StreamSender, StreamReceiver) {
        (self.payload, self.context, self.sender, self.receiver)
    }
}

impl FuturesStream for StreamCall {
    type Item = Result<Payload, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl Sink<Payload> for StreamCall {
    type Error = SendError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Payload) -> Result<(), SendError> {
        Pin::new(&mut self.sender).start_send(item)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}
