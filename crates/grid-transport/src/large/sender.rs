//! From bytes to items.

use std::{io, pin::pin};

use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use futures_util::{SinkExt, StreamExt};
use grid_proto::Payload;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{SendBodyError, Sum, Summary};
use crate::error::SendError;

/// The most bytes of an item, unless it is told otherwise.
const CHUNK: usize = 64 * 1024;

/// Sends one body over one direction of a stream; see the [module](super).
///
/// The body is all that goes this way: what follows it is an error for the receiver. Where a caller sends it the direction
/// is finished when the body is; where a handler does, the stream ends when the handler returns.
#[derive(Debug)]
pub struct Sender<K> {
    sink: K,
    chunk: usize,
}

impl<K: Sink<Payload, Error = SendError> + Unpin> Sender<K> {
    /// Sends over `sink`: a [`StreamCall`](crate::StreamCall), [`Stream`](crate::Stream) or
    /// [`StreamSender`](crate::StreamSender), or a mutable reference to one.
    pub fn new(sink: K) -> Self {
        Self { sink, chunk: CHUNK }
    }

    /// The most bytes of an item; the default is 64 KiB, one the least. With the capacity of the stream this bounds what
    /// is on its way. It must not be more than [`Settings::max_message`](crate::Settings#structfield.max_message) of
    /// either node allows.
    #[must_use]
    pub fn chunk(mut self, bytes: usize) -> Self {
        self.chunk = bytes.max(1);
        self
    }

    /// Sends all that `reader` has. What one read gives goes as one item, so that what comes slowly arrives as it comes.
    ///
    /// # Errors
    ///
    /// [`SendBodyError::Read`] where the reader fails; [`SendBodyError::Send`] where the stream ends before the body.
    ///
    /// # Cancel safety
    ///
    /// None: the body is not sent whole then, which the receiver sees.
    pub async fn send_reader(
        mut self,
        mut reader: impl AsyncRead + Unpin,
    ) -> Result<Summary, SendBodyError> {
        let mut sum = Sum::default();
        loop {
            let mut room = BytesMut::with_capacity(self.chunk);
            let read = reader.read_buf(&mut (&mut room).limit(self.chunk)).await;
            if read.map_err(SendBodyError::Read)? == 0 {
                return self.finish(&mut sum).await;
            }
            // What waits to be sent counts by its length, and is not to hold much more.
            let item = match room.len() > self.chunk / 2 {
                true => room.freeze(),
                false => Bytes::copy_from_slice(&room),
            };
            self.item(&mut sum, item).await?;
        }
    }

    /// Sends all that `stream` has. Each of its pieces goes as an item, or as several where it is larger than these may
    /// be, without being copied; empty ones are skipped.
    ///
    /// # Errors
    ///
    /// As [`send_reader`](Self::send_reader).
    ///
    /// # Cancel safety
    ///
    /// As [`send_reader`](Self::send_reader).
    pub async fn send_stream<B: Into<Bytes>>(
        mut self,
        stream: impl Stream<Item = io::Result<B>>,
    ) -> Result<Summary, SendBodyError> {
        let mut stream = pin!(stream);
        let mut sum = Sum::default();
        while let Some(piece) = stream.next().await {
            let mut piece = piece.map_err(SendBodyError::Read)?.into();
            while !piece.is_empty() {
                let item = piece.split_to(self.chunk.min(piece.len()));
                self.item(&mut sum, item).await?;
            }
        }
        self.finish(&mut sum).await
    }

    async fn item(&mut self, sum: &mut Sum, item: Bytes) -> Result<(), SendBodyError> {
        sum.add(&item);
        self.sink.send(item.into()).await?;
        Ok(())
    }

    async fn finish(mut self, sum: &mut Sum) -> Result<Summary, SendBodyError> {
        let summary = sum.finish();
        self.sink.send(Bytes::new().into()).await?;
        self.sink.send(summary.encode().into()).await?;
        self.sink.close().await?;
        Ok(summary)
    }
}
