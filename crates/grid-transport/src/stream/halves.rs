//! The two directions of a stream, each for a task of its own.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use grid_proto::Payload;

use super::{
    CancelHandle,
    gathered::Gathered,
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
/// As a [`Sink`] it gathers up to 32 items, or 16 KiB, and sends them together, which is quicker than
/// [`send`](Self::send) for each of them. They go once there are as many, or with
/// `flush` of `SinkExt`; those that were given and did not go yet go after what `send` sends meanwhile.
/// `forward` of `StreamExt` flushes whenever there is nothing more to take, and closes the sink at the end. An error may be that of
/// an item which was given before; those behind one that was too large are still there, for the next flush.
///
/// What has gathered is sent by [`finish`](Self::finish), and by a drop on the handler's side, as far as there is credit and room for
/// it: neither waits. Where that is not all of it the stream doesn't come to a clean end.
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
    sink: Option<Box<Gathered>>,
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
        // In memory of its own, as all that it waits for would make the future of each item large.
        Box::pin(self.send_later(item)).await
    }

    async fn send_later(&self, mut item: Payload) -> Result<(), SendError> {
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
    /// before it, with what a sink has gathered. Where there is no credit or room for all of that the stream is
    /// cancelled, as what has arrived must not look like all: flush before. On the handler's side, where returning is what ends
    /// a stream, it only makes this half done.
    pub fn finish(&mut self) {
        if !self.send_gathered() {
            self.pipe.cancel();
        }
        self.pipe.finish();
        self.done = true;
    }

    /// Sends what has gathered, as far as that can be without waiting. Whether nothing is left that anybody misses: not where the
    /// stream is over anyway.
    fn send_gathered(&mut self) -> bool {
        let Some(mut gathered) = self.sink.take() else {
            return true;
        };
        let sent = match self.pipe.try_send_all(&mut gathered) {
            Ok(left) => left.is_none(),
            Err(SendError::Call(CallError::TooLarge { .. })) => false,
            Err(_) => true,
        };
        if !sent {
            self.pipe.tear();
        }
        sent
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(gathered) = &mut self.sink else {
            return Poll::Ready(Ok(()));
        };
        while !gathered.is_empty() {
            ready!(gathered.poll(cx));
            let waits = self.pipe.waits();
            match self.pipe.try_send_all(gathered) {
                Ok(Some(why)) => gathered.wait(why, waits),
                Ok(None) => gathered.settle(),
                Err(error @ SendError::Call(CallError::TooLarge { .. })) => {
                    gathered.skip();
                    gathered.settle();
                    return Poll::Ready(Err(error));
                }
                Err(error) => {
                    gathered.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_full(&self) -> bool {
        self.sink
            .as_deref()
            .is_some_and(|gathered| gathered.is_full())
    }
}

impl Sink<Payload> for StreamSender {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.is_full() {
            return Poll::Ready(Ok(()));
        }
        let sent = self.poll_gathered(cx)?;
        // There is room as soon as some of them have gone.
        if self.is_full() {
            return sent.map(Ok);
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Payload) -> Result<(), SendError> {
        self.sink.get_or_insert_default().add(item);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_gathered(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_gathered(cx))?;
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamSender {
    fn drop(&mut self) {
        if !self.done {
            self.pipe.cancel();
        } else if self.sink.is_some() {
            self.send_gathered();
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
