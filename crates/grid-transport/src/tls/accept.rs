//! Accepting over TLS.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{Accept as Handshake, TlsAcceptor, server::TlsStream};

use super::{Tls, error::failed, names::Proof};
use crate::{
    io::BoxIo,
    listener::{Accept, KEEPALIVE},
    proven::PeerNames,
    socket::tune,
};

/// A source of byte streams that speaks TLS on them; made by [`Tls::accept`].
pub struct TlsAccept<A> {
    tls: Tls,
    source: A,
}

impl<A> TlsAccept<A> {
    pub(super) fn new(tls: Tls, source: A) -> Self {
        Self { tls, source }
    }
}

impl<A: Accept> Accept for TlsAccept<A> {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (io, from) = self.source.accept().await?;
            Ok((Box::new(self.tls.greet(io)?) as BoxIo, from))
        })
    }
}

impl<A: fmt::Debug> fmt::Debug for TlsAccept<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAccept")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Tls {
    fn greet(&self, io: BoxIo) -> io::Result<Greeting> {
        let config = self.current().server.clone();
        let config = config.ok_or_else(|| io::Error::other("without an identity"))?;
        let handshake = TlsAcceptor::from(config).accept(io);
        Ok(Greeting {
            state: State::Handshake(Box::new(handshake)),
            names: None,
        })
    }

    /// Speaks TLS on a connection that a server of the application has accepted, before it is served; for
    /// [`Manager::service`](crate::Manager::service) and the like. With mutual TLS the remote is known by its certificate
    /// where the server is given this very stream. A `TcpStream` gets `TCP_NODELAY` and keep-alive probes.
    ///
    /// # Errors
    ///
    /// Why the handshake has failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn greeted(&self, io: BoxIo) -> io::Result<BoxIo> {
        if let Some(stream) = (*io).as_any().downcast_ref::<TcpStream>() {
            tune(stream, Some(KEEPALIVE))?;
        }
        let mut greeting = self.greet(io)?;
        std::future::poll_fn(|cx| greeting.poll_open(cx).map_ok(|_| ())).await?;
        Ok(Box::new(greeting))
    }
}

/// A stream whose handshake is done by who first reads or writes: that one has a limit of time for it, and whoever
/// accepts would hold up all others.
pub(crate) struct Greeting {
    state: State,
    /// Set once the handshake is done, where the client had to show a certificate.
    names: Option<PeerNames>,
}

enum State {
    Handshake(Box<Handshake<BoxIo>>),
    Open(Box<TlsStream<BoxIo>>),
    Failed,
}

impl Greeting {
    pub(crate) const fn names(&self) -> Option<&PeerNames> {
        self.names.as_ref()
    }

    /// The stream under it, once the handshake is done.
    pub(crate) fn io(&self) -> Option<&BoxIo> {
        match &self.state {
            State::Open(stream) => Some(stream.get_ref().0),
            State::Handshake(_) | State::Failed => None,
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<BoxIo>>>> {
        if let State::Handshake(handshake) = &mut self.state {
            match ready!(Pin::new(&mut **handshake).poll(cx)) {
                Ok(stream) => {
                    let shown = stream.get_ref().1.peer_certificates();
                    let first = shown.and_then(|chain| chain.first());
                    self.names = first.map(|first| PeerNames::proven(Proof::new(first)));
                    self.state = State::Open(Box::new(stream));
                }
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(failed(error)));
                }
            }
        }
        Poll::Ready(match &mut self.state {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Handshake(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Greeting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Greeting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx))?.poll_shutdown(cx)
    }
}
