//! Streams: items both ways under flow control (protocol section 7).

mod call;
mod gathered;
mod halves;
mod inbox;
mod pipe;

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_proto::{
    Payload,
    conn::{Capacity, NewStream, SubmitError},
};
use tokio::time::Instant;

pub(crate) use self::pipe::{GivenUp, Pipe, Side, Wakes};
pub use self::{
    call::StreamCall,
    halves::{StreamReceiver, StreamSender},
};
use crate::{
    error::{CallError, SendError},
    measure::{CallKind, CallMeasure},
    request::{Call, after},
    session::Session,
    trace::{CallSpan, StreamSpan},
};

/// A stream that is about to be opened; await it to open it.
///
/// # Errors
///
/// [`CallError`] where it could not even be queued; errors of opening it come from the first
/// `recv` or `send`.
///
/// # Cancel safety
///
/// Safe: a stream whose opening was dropped is not open.
#[derive(Debug)]
#[must_use = "a stream is opened when it is awaited"]
pub struct StreamBuilder {
    call: Call,
    capacity: Capacity,
}

impl StreamBuilder {
    pub(crate) fn new(call: Call, capacity: Capacity) -> Self {
        Self { call, capacity }
    }

    /// Ends the whole stream with [`CallError::Deadline`] after this time. Streams have no
    /// deadline by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.deadline = Some(after(timeout));
        self
    }

    /// The same as [`timeout`](Self::timeout), with the moment itself.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.call.deadline = Some(deadline);
        self
    }

    /// Waits for the link where it is down, at most until the deadline, or for
    /// [`Settings::default_deadline`](crate::Settings#structfield.default_deadline) where there is
    /// none; else opening fails at once with [`CallError::NotConnected`].
    pub fn wait_ready(mut self) -> Self {
        self.call.wait_ready = true;
        self
    }

    /// Has its opening, the items that are sent on it and their end written before all that waits on the same link and isn't
    /// urgent, in their order. The handler's items are, where the handler [says so](crate::StreamHandler::urgent): nothing on
    /// the wire tells a remote. Credit goes before all that waits in any case, as does what cancels a stream.
    ///
    /// For streams of small items that others wait for, as a lock's, a heartbeat's or a log's, on links that carry bulk data.
    /// Urgent streams take turns of 16 KiB and the rest of a message, and each is followed by one of the [urgent
    /// requests](crate::RequestBuilder::urgent) and answers, so none of these waits for all of a stream. What is said there
    /// of what goes before urgent messages, and of the fifth of the link that is left to all others, holds for streams too: one
    /// whose items never end, however large, slows others down and stops nobody.
    ///
    /// Of one urgent stream 64 KiB wait, and the rest of an item, before its sender does. Where the queue is full there is
    /// room for 256 KiB of urgent streams besides, of which 64 KiB are for one, so for no item that is larger.
    pub fn urgent(mut self) -> Self {
        self.call.urgent = true;
        self
    }
}

impl IntoFuture for StreamBuilder {
    type Output = Result<Stream, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { call, capacity } = self;
        Box::pin(async move {
            let open =
                move |session: &Arc<Session>, call: &mut Call| -> Result<Arc<Pipe>, SubmitError> {
                    let mut new = NewStream::new(call.handler, capacity, call.payload.clone());
                    new.subroute = call.subroute;
                    new.deadline = call.deadline.map(Instant::into_std);
                    new.urgent = call.urgent;
                    session.open(new)
                };
            let mut measure = CallMeasure::begin(&call.link.measure, CallKind::Stream);
            let span = CallSpan::stream(&call);
            match call.submit(open).await {
                Ok(pipe) => {
                    let span = span.map(|span| StreamSpan::new(pipe.clone(), span));
                    Ok(Stream::new(pipe, capacity, measure, span))
                }
                Err(error) => {
                    measure.end(Some(&error));
                    if let Some(mut span) = span {
                        span.failed(&error);
                    }
                    Err(error)
                }
            }
        })
    }
}

/// The caller's end of a stream.
///
/// Items come with [`recv`](Self::recv), or as a [`futures_core::Stream`]; they are sent with
/// [`send`](Self::send), or as into a [`futures_sink::Sink`], which [gathers](StreamSender) what it is given. Call
/// [`finish`](Self::finish) once all is sent, on streams that take input.
///
/// **Dropping it cancels**: the remote drops its handler at its await point. A stream that has
/// ended is just dropped.
#[derive(Debug)]
pub struct Stream {
    sender: StreamSender,
    receiver: StreamReceiver,
}

impl Stream {
    fn new(
        pipe: Arc<Pipe>,
        capacity: Capacity,
        measure: CallMeasure,
        span: Option<StreamSpan>,
    ) -> Self {
        let takes_items = capacity.input > 0;
        Self {
            sender: StreamSender::new(pipe.clone(), takes_items),
            receiver: StreamReceiver::new(pipe, measure, span),
        }
    }

    /// The next item; `None` after a clean end, by which every item was delivered. Any other end
    /// is an error, which comes once, after the items before it.
    ///
    /// # Errors
    ///
    /// Why the stream did not come to a clean end.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Payload, CallError>> {
        self.receiver.recv().await
    }

    /// Sends an item; waits for credit of the handler, and for room in the link's queue. An
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
    /// that has [finished](StreamSender::finish) and a receiver that has seen the end.
    #[must_use]
    pub fn split(self) -> (StreamSender, StreamReceiver) {
        (self.sender, self.receiver)
    }
}

impl FuturesStream for Stream {
    type Item = Result<Payload, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl Sink<Payload> for Stream {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: Payload) -> Result<(), SendError> {
        Pin::new(&mut self.sender).start_send(item)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}

/// Cancels a stream from wherever it is; cheap to clone.
#[derive(Clone, Debug)]
pub struct CancelHandle(Arc<Pipe>);

impl CancelHandle {
    pub(crate) fn new(pipe: Arc<Pipe>) -> Self {
        Self(pipe)
    }

    /// Cancels it: the remote is told, undelivered items are dropped, and who receives or sends
    /// gets [`CallError::Cancelled`]. Always succeeds; nothing happens when the stream has ended.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
