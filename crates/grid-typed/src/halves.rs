//! The two directions of a typed stream, each for a task of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use futures_core::Stream as FuturesStream;
use futures_sink::Sink;
use futures_util::future::{Either, select};
use grid_transport::{CancelHandle, Payload, SendError, StreamReceiver, StreamSender};
use tokio::sync::futures::OwnedNotified;

use crate::fate::Fate;
use crate::message::encode_for;
use crate::{Message, Role, TypedError, decode};

/// Sends the items of one side of a typed stream.
///
/// On the caller's side, dropping it before [`finish`](Self::finish) cancels the stream: an end
/// that nobody asked for must not look like a complete input.
///
/// As a [`Sink`] it [gathers](StreamSender) what it is given. An item that can't be encoded is told at once and fails the stream; on
/// the handler's side what was given before it goes first, as far as there is credit.
pub struct TypedSender<M> {
    raw: StreamSender,
    fate: Arc<Fate>,
    /// What a sink that waits is woken by when the stream fails.
    failing: Option<Pin<Box<OwnedNotified>>>,
    marker: PhantomData<fn(M)>,
}

impl<M> TypedSender<M> {
    pub(crate) fn new(raw: StreamSender, fate: Arc<Fate>) -> Self {
        Self {
            raw,
            fate,
            failing: None,
            marker: PhantomData,
        }
    }

    /// Says that no more items are sent. Returns at once and always succeeds; what was sent goes
    /// before it. On the handler's side, where returning is what ends a stream, it only makes
    /// this half done.
    pub fn finish(&mut self) {
        self.raw.finish();
    }

    /// What `poll` says, unless the stream has failed or does so while it waits.
    fn poll_unfailed(
        &mut self,
        cx: &mut TaskContext<'_>,
        poll: impl FnOnce(Pin<&mut StreamSender>, &mut TaskContext<'_>) -> Poll<Result<(), SendError>>,
    ) -> Poll<Result<(), TypedError>> {
        self.fate.check()?;
        if let Poll::Ready(done) = poll(Pin::new(&mut self.raw), cx) {
            self.failing = None;
            return Poll::Ready(done.map_err(|error| self.fate.explain(error.into())));
        }
        let failing = self
            .failing
            .get_or_insert_with(|| Box::pin(self.fate.failing_owned()));
        self.fate.check()?;
        ready!(failing.as_mut().poll(cx));
        self.failing = None;
        Poll::Ready(self.fate.check())
    }
}

impl<M: Message> TypedSender<M> {
    /// Sends an item; waits for credit of the other side, and for room in the link's queue. It is
    /// encoded here, so that the future does not borrow it.
    ///
    /// # Errors
    ///
    /// Why it could not be sent. An item that can't be encoded fails the whole stream, as the
    /// other side must not take the rest for all of it; the stream goes on after
    /// [`CallError::TooLarge`](grid_transport::CallError::TooLarge).
    ///
    /// # Cancel safety
    ///
    /// Safe: an item whose future was dropped is not sent.
    pub fn send<'a>(
        &'a self,
        item: &M,
    ) -> impl Future<Output = Result<(), TypedError>> + Send + use<'a, M> {
        let payload = encode_for(item, self.raw.remote_is_ours());
        async move {
            let failing = pin!(self.fate.failing());
            let payload = self.encoded(payload)?;
            let sent = match select(pin!(self.raw.send(payload)), failing).await {
                Either::Left((sent, _)) => sent,
                // A handler's end is not cancelled, so its credit may never come.
                Either::Right(_) => return self.fate.check(),
            };
            sent.map_err(|error| self.fate.explain(error.into()))
        }
    }

    fn encoded(&self, payload: Result<Vec<u8>, crate::EncodeError>) -> Result<Payload, TypedError> {
        self.fate.check()?;
        payload.map(Payload::from).map_err(|source| {
            let error = TypedError::Encode {
                role: Role::Item,
                source,
            };
            self.fate.fail(&error);
            error
        })
    }
}

impl<M: Message> Sink<M> for TypedSender<M> {
    type Error = TypedError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        self.poll_unfailed(cx, |raw, cx| raw.poll_ready(cx))
    }

    fn start_send(mut self: Pin<&mut Self>, item: M) -> Result<(), TypedError> {
        let payload = self.encoded(encode_for(&item, self.raw.remote_is_ours()))?;
        Ok(Pin::new(&mut self.raw).start_send(payload)?)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        self.poll_unfailed(cx, |raw, cx| raw.poll_flush(cx))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), TypedError>> {
        self.poll_unfailed(cx, |raw, cx| raw.poll_close(cx))
    }
}

impl<M> fmt::Debug for TypedSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSender")
            .field("failed", &self.fate.reason())
            .finish_non_exhaustive()
    }
}

/// Receives the items of the other side of a typed stream.
///
/// On the caller's side, dropping it before the end cancels the stream.
pub struct TypedReceiver<M> {
    raw: StreamReceiver,
    fate: Arc<Fate>,
    ended: bool,
    marker: PhantomData<fn() -> M>,
}

impl<M> TypedReceiver<M> {
    pub(crate) fn new(raw: StreamReceiver, fate: Arc<Fate>) -> Self {
        Self {
            raw,
            fate,
            ended: false,
            marker: PhantomData,
        }
    }

    /// Something that cancels this stream from elsewhere; only the caller's end can be cancelled.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.fate.cancel_handle()
    }
}

impl<M: Message> TypedReceiver<M> {
    /// The next item; `None` after a clean end. Any other end is an error, which comes once, after
    /// the items before it.
    ///
    /// # Errors
    ///
    /// Why the stream did not come to a clean end. An item that can't be decoded fails the whole
    /// stream: nothing that comes after it is given out.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<M, TypedError>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<M, TypedError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = self.poll_item(cx);
        if let Poll::Ready(item) = &item {
            self.ended = !matches!(item, Some(Ok(_)));
        }
        item
    }

    fn poll_item(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<M, TypedError>>> {
        self.fate.check()?;
        let payload = match Pin::new(&mut self.raw).poll_next(cx) {
            Poll::Ready(Some(Ok(payload))) => payload,
            Poll::Ready(Some(Err(error))) => {
                return Poll::Ready(Some(Err(self.fate.explain(error.into()))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if self.fate.is_failed_or_wakes(cx.waker()) => {
                self.fate.check()?;
                return Poll::Pending;
            }
            Poll::Pending => return Poll::Pending,
        };
        let item = decode(payload.as_slice()).map_err(|source| {
            let error = TypedError::Decode {
                role: Role::Item,
                source,
            };
            self.fate.fail(&error);
            error
        });
        Poll::Ready(Some(item))
    }
}

impl<M: Message> FuturesStream for TypedReceiver<M> {
    type Item = Result<M, TypedError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl<M> fmt::Debug for TypedReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReceiver")
            .field("ended", &self.ended)
            .field("failed", &self.fate.reason())
            .finish_non_exhaustive()
    }
}
