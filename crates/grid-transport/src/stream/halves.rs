//! The two directions of a stream, each for a task of its own.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_proto::Payload;
use tokio::sync::futures::OwnedNotified;

use super::{
    CancelHandle,
    pipe::{Pipe, Taken, Wait},
};
use crate::{
    error::{CallError, SendError},
    measure::CallMeasure,
    trace::StreamSpan,
};

/// Sends the items of one side of a stream.
///
/// On the caller's side, dropping it before [`finish`](Self::finish) cancels the stream: an end
/// that nobody asked for must not look like a complete input.
///
/// As a [`Sink`] it gathers up to 32 items, or 64 KiB, and sends them together, which is quicker than
/// [`send`](Self::send) for each of them. They go once there are as many, or with
/// `flush` of `SinkExt`. Those that were given and did not go yet go after what [`send`](Self::send) sends meanwhile, and are
/// lost where it is [finished](Self::finish) or dropped before. `forward` of `StreamExt` flushes
/// whenever there is nothing more to take, and closes the sink at the end:
///
/// ```no_run
/// use futures_util::{StreamExt, stream};
/// use grid_transport::{HandlerError, Payload, StreamCall};
///
/// async fn count(call: StreamCall) -> Result<(), HandlerError> {
///     let numbers = stream::iter(0..10_000_u32);
///     numbers.map(|n| Ok(Payload::from(n.to_string()))).forward(call).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct StreamSender {
    pipe: Arc<Pipe>,
    /// Nothing more is owed: finished, or a stream that takes nothing.
    done: bool,
    /// What only a sink needs, once it was given an item.
    sink: Option<Box<Pending>>,
}

/// How many items a sink gathers, and how many bytes, before it sends them.
const GATHERED: usize = 32;
const GATHERED_BYTES: usize = 64 * 1024;

/// What a sink was given, and waits for.
#[derive(Default)]
struct Pending {
    /// Not sent yet.
    items: VecDeque<Payload>,
    /// What they take.
    bytes: usize,
    /// What the first of them waits for: the first of these.
    waiting: Vec<Pin<Box<OwnedNotified>>>,
}

impl Pending {
    fn add(&mut self, item: Payload) {
        self.bytes += item.len();
        self.items.push_back(item);
    }

    fn is_full(&self) -> bool {
        self.items.len() >= GATHERED || self.bytes >= GATHERED_BYTES
    }

    fn count(&mut self) {
        self.bytes = self.items.iter().map(Payload::len).sum();
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl StreamSender {
    pub(crate) fn new(pipe: Arc<Pipe>, takes_items: bool) -> Self {
        Self {
            pipe,
            done: !takes_items,
            sink: None,
        }
    }

    /// Whether the other end is at a node of this project (protocol section 10), and not at one of MinIO.
    #[must_use]
    pub fn remote_is_ours(&self) -> bool {
        self.pipe.is_ours()
    }

    /// Sends an item; waits for credit of the other side, and for room in the link's queue. An
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
        let mut item = item.into();
        if self.pipe.try_send(&mut item)?.is_none() {
            return Ok(());
        }
        loop {
            let waits = self.pipe.waits();
            match self.pipe.try_send(&mut item)? {
                None => return Ok(()),
                Some(Wait::Credit) => waits.credit.await,
                Some(Wait::Room) => tokio::select! {
                    () = waits.room => {}
                    () = waits.node_room => {}
                    // The stream may end meanwhile.
                    () = waits.credit => {}
                },
            }
        }
    }

    /// Says that no more items are sent. Returns at once and always succeeds; what was sent goes
    /// before it. On the handler's side, where returning is what ends a stream, it only makes
    /// this half done.
    pub fn finish(&mut self) {
        self.pipe.finish();
        self.done = true;
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(pending) = &mut self.sink else {
            return Poll::Ready(Ok(()));
        };
        while !pending.items.is_empty() {
            if !pending.waiting.is_empty() {
                let mut waiting = pending.waiting.iter_mut();
                if !waiting.any(|one| one.as_mut().poll(cx).is_ready()) {
                    return Poll::Pending;
                }
            }
            let waits = self.pipe.waits();
            match self.pipe.try_send_all(&mut pending.items) {
                Ok(Some(Wait::Credit)) => pending.waiting = vec![Box::pin(waits.credit)],
                Ok(Some(Wait::Room)) => {
                    // The stream may end meanwhile, which its credit's wake tells.
                    let any = [waits.room, waits.node_room, waits.credit];
                    pending.waiting = any.map(Box::pin).into();
                }
                Ok(None) => pending.waiting.clear(),
                Err(error) => {
                    pending.items.pop_front();
                    pending.waiting.clear();
                    if !matches!(error, SendError::Call(CallError::TooLarge { .. })) {
                        pending.items.clear();
                    }
                    pending.count();
                    return Poll::Ready(Err(error));
                }
            }
            pending.count();
        }
        Poll::Ready(Ok(()))
    }
}

impl Sink<Payload> for StreamSender {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.sink.as_ref().is_some_and(|pending| pending.is_full()) {
            return Poll::Ready(Ok(()));
        }
        let sent = self.poll_pending(cx)?;
        // There is room as soon as some of them have gone.
        if self.sink.as_ref().is_some_and(|pending| pending.is_full()) {
            return sent.map(Ok);
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Payload) -> Result<(), SendError> {
        self.sink.get_or_insert_default().add(item);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_pending(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_pending(cx))?;
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamSender {
    fn drop(&mut self) {
        if !self.done {
            self.pipe.cancel();
        }
    }
}

/// Receives the items of the other side of a stream.
///
/// On the caller's side, dropping it before the end cancels the stream.
#[derive(Debug)]
pub struct StreamReceiver {
    pipe: Arc<Pipe>,
    taken: Taken,
    ended: bool,
    measure: CallMeasure,
    span: Option<StreamSpan>,
}

impl StreamReceiver {
    pub(crate) fn new(pipe: Arc<Pipe>, measure: CallMeasure, span: Option<StreamSpan>) -> Self {
        Self {
            pipe,
            taken: Taken::default(),
            ended: false,
            measure,
            span,
        }
    }

    /// The next item; `None` after a clean end. Any other end is an error, which comes once,
    /// after the items before it.
    ///
    /// # Errors
    ///
    /// Why the stream did not come to a clean end.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Payload, CallError>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Something that cancels this stream from elsewhere.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.pipe.clone())
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload, CallError>>> {
        let item = ready!(self.pipe.poll_recv(&mut self.taken, cx.waker()));
        self.ended = !matches!(item, Some(Ok(_)));
        if self.ended {
            let error = item.as_ref().and_then(|end| end.as_ref().err());
            self.measure.end(error);
            if let Some(span) = self.span.take() {
                span.end(error);
            }
        }
        Poll::Ready(item)
    }
}

impl FuturesStream for StreamReceiver {
    type Item = Result<Payload, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        if !self.ended {
            self.pipe.cancel();
        }
        // Nobody is left to see the end, however long the other half is kept.
        self.measure.over(&self.pipe);
        if let Some(span) = self.span.take() {
            span.over();
        }
    }
}
