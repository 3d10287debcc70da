//! A dialer that records what goes over its connections.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, Target};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went over the connections, from the dialer and to it.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<[Vec<u8>; 2]>>);

impl Record {
    /// What the dialer has written so far, and what it has read, each behind the head of its upgrade.
    pub(crate) fn frames(&self) -> [Vec<u8>; 2] {
        let whole = self.0.lock().unwrap().clone();
        whole.map(|bytes| {
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            bytes[head.expect("the end of a head") + 4..].to_vec()
        })
    }
}

/// Dials as another does.
pub(crate) struct Recorder<D> {
    pub(crate) dialer: D,
    pub(crate) record: Record,
}

impl<D: Dialer> Dialer for Recorder<D> {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let stream = self.dialer.dial(target).await?;
            Ok(Box::new(Recorded(stream, self.record.clone())) as BoxIo)
        })
    }
}

struct Recorded(BoxIo, Record);

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        self.1.0.lock().unwrap()[1].extend(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes))?;
        self.1.0.lock().unwrap()[0].extend(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
