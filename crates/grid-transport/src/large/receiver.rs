//! From items to bytes.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use grid_proto::Payload;
use tokio::io::{AsyncRead, ReadBuf};

use super::{ReceiveError, Sum, Summary};
use crate::error::CallError;

/// Receives one body from one direction of a stream, as a [`Stream`] of [`Bytes`] or as a reader; see the
/// [module](super).
///
/// The end comes when the stream has ended well too, so that a handler that fails behind its body is heard. After an
/// error, which comes once, there is nothing more.
///
/// # Cancel safety
///
/// No byte is lost where the future of a read or of the next piece is dropped. Dropping the receiver drops the end of the
/// stream that it has.
pub struct Receiver<S> {
    items: S,
    limit: u64,
    sum: Sum,
    stage: Stage,
    /// What a reader has not taken of an item.
    rest: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Body,
    /// The empty item has come.
    Announced,
    /// The summary has come, and is right.
    Whole(Summary),
    Ended(Summary),
    Failed,
}

impl<S: Stream<Item = Result<Payload, CallError>> + Unpin> Receiver<S> {
    /// Receives from `items`: a [`Stream`](crate::Stream), [`StreamReceiver`](crate::StreamReceiver) or
    /// [`StreamCall`](crate::StreamCall), or a mutable reference to one.
    pub fn new(items: S) -> Self {
        Self {
            items,
            limit: u64::MAX,
            sum: Sum::default(),
            stage: Stage::Body,
            rest: Bytes::new(),
        }
    }

    /// The most bytes of a body that is taken; without this any number. A longer one fails with
    /// [`ReceiveError::TooLong`] when the first byte beyond has come, and none of that item is handed out.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// What the body came to; none before its end, and none where it did not come whole.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        match self.stage {
            Stage::Ended(summary) => Some(summary),
            _ => None,
        }
    }

    /// The next bytes, which are never none; `None` at the end of a body that came whole.
    ///
    /// # Errors
    ///
    /// Why it did not come whole.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost when the future is dropped.
    pub async fn next_bytes(&mut self) -> Option<Result<Bytes, ReceiveError>> {
        std::future::poll_fn(|cx| self.poll_bytes(cx)).await
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ReceiveError>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        while !matches!(self.stage, Stage::Ended(_) | Stage::Failed) {
            let item = ready!(Pin::new(&mut self.items).poll_next(cx));
            match self.take(item) {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    self.stage = Stage::Failed;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }

    /// Bytes, if the item has some.
    fn take(
        &mut self,
        item: Option<Result<Payload, CallError>>,
    ) -> Result<Option<Bytes>, ReceiveError> {
        let Some(item) = item.transpose()?.map(Payload::into_bytes) else {
            let Stage::Whole(summary) = self.stage else {
                return Err(ReceiveError::Truncated { came: self.sum.len });
            };
            self.stage = Stage::Ended(summary);
            return Ok(None);
        };
        match self.stage {
            Stage::Body if item.is_empty() => {
                self.stage = Stage::Announced;
                Ok(None)
            }
            Stage::Body => {
                if self.sum.len.saturating_add(item.len() as u64) > self.limit {
                    return Err(ReceiveError::TooLong { limit: self.limit });
                }
                self.sum.add(&item);
                Ok(Some(item))
            }
            Stage::Announced => {
                let said = Summary::decode(&item)
                    .ok_or(ReceiveError::Malformed("what should be a summary is none"))?;
                let came = self.sum.finish();
                if said.len != came.len {
                    return Err(ReceiveError::Length {
                        came: came.len,
                        said: said.len,
                    });
                }
                if said != came {
                    return Err(ReceiveError::Hash { len: came.len });
                }
                self.stage = Stage::Whole(came);
                Ok(None)
            }
            Stage::Whole(_) | Stage::Ended(_) | Stage::Failed => {
                Err(ReceiveError::Malformed("an item behind the summary"))
            }
        }
    }
}

impl<S: Stream<Item = Result<Payload, CallError>> + Unpin> Stream for Receiver<S> {
    type Item = Result<Bytes, ReceiveError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_bytes(cx)
    }
}

/// An end of file is that of a body that came whole. After an error every further read fails.
impl<S: Stream<Item = Result<Payload, CallError>> + Unpin> AsyncRead for Receiver<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.rest.is_empty() {
            match ready!(self.poll_bytes(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                // Whoever overlooks an error must not take what follows it for the end.
                None if self.stage == Stage::Failed => {
                    let error = io::Error::other("the body did not come whole");
                    return Poll::Ready(Err(error));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.rest.len().min(buf.remaining());
        if let Some(bytes) = self.rest.get(..len) {
            buf.put_slice(bytes);
        }
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S> fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("came", &self.sum.len)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
