//! A connection that breaks after so many bytes, whichever way they go.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `cut` is called as soon as `left` bytes have gone through.
pub(crate) struct Fused<S, C> {
    pub(crate) stream: S,
    pub(crate) left: usize,
    pub(crate) cut: C,
}

impl<S, C: FnMut(&S)> Fused<S, C> {
    fn burn(&mut self, bytes: usize) {
        let held = self.left > 0;
        self.left = self.left.saturating_sub(bytes);
        if held && self.left == 0 {
            (self.cut)(&self.stream);
        }
    }
}

impl<S: AsyncRead + Unpin, C: FnMut(&S) + Unpin> AsyncRead for Fused<S, C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4_096];
        let limit = self.left.clamp(1, buffer.remaining().min(bytes.len()));
        let mut part = ReadBuf::new(&mut bytes[..limit]);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        buffer.put_slice(part.filled());
        self.burn(part.filled().len());
        polled
    }
}

impl<S: AsyncWrite + Unpin, C: FnMut(&S) + Unpin> AsyncWrite for Fused<S, C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let part = &bytes[..bytes.len().min(self.left)];
        if part.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, part);
        if let Poll::Ready(Ok(written)) = polled {
            self.burn(written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
