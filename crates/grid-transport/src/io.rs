//! Byte streams under a link, and who makes them.

use std::{any::Any, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};

use crate::{
    config::{Endpoint, NameFault, parse_name},
    proven::{Identified, PeerNames},
    race::first_of,
    resolve::{Names, Resolver},
    socket::tune,
};

/// A byte stream that a link can run over: TCP, TLS over it, an in-memory pipe.
///
/// Implemented for everything that fits.
pub trait Io: AsyncRead + AsyncWrite + Any + Send + Sync + Unpin {
    /// The stream itself, so that its type can be found again.
    #[doc(hidden)]
    fn as_any(&self) -> &dyn Any;

    /// Which names the peer has proven to have, where the stream is [`Identified`]; `None` where nothing is known of it,
    /// as over plain TCP.
    fn peer_names(&self) -> Option<&PeerNames>;

    /// The stream itself, so that its type can be found again.
    #[doc(hidden)]
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: AsyncRead + AsyncWrite + Any + Send + Sync + Unpin> Io for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn peer_names(&self) -> Option<&PeerNames> {
        let any: &dyn Any = self;
        // A boxed one is a stream of its own type, and what is in it counts.
        match any.downcast_ref::<BoxIo>() {
            Some(boxed) => (**boxed).peer_names(),
            None => any
                .downcast_ref()
                .map(Identified::names)
                .or_else(|| by_tls(any)),
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(feature = "tls")]
fn by_tls(any: &dyn Any) -> Option<&PeerNames> {
    any.downcast_ref().and_then(crate::tls::Greeting::names)
}

#[cfg(not(feature = "tls"))]
fn by_tls(_: &dyn Any) -> Option<&PeerNames> {
    None
}

/// A byte stream of any type.
pub type BoxIo = Box<dyn Io>;

/// Where a remote is, taken from its name (protocol section 1).
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    name: Arc<str>,
    endpoint: Endpoint,
}

impl Target {
    pub(crate) fn new(name: &str) -> Result<Self, NameFault> {
        Ok(Self {
            name: name.into(),
            endpoint: parse_name(name)?,
        })
    }

    /// The remote's name, such as `http://10.0.0.1:9000`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host to look up, or an address; that of a literal IPv6 address comes without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// The port; that of the scheme where the name has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.endpoint.port
    }

    pub(crate) fn address(&self) -> (&str, u16) {
        self.endpoint.address()
    }

    /// Whether the name begins with `https`, so that the stream has to be encrypted.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.endpoint.tls
    }

    /// Host and port as they stand in the name: the `Host` header of the upgrade.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.name
            .split_once("://")
            .map_or(&*self.name, |(_, authority)| authority)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name).finish()
    }
}

/// Opens byte streams to remotes.
///
/// [`TcpDialer`] is the default. Another one may speak TLS, go through a proxy, or stay in memory. One that knows who is
/// at the other end returns its streams as [`Identified`]; a remote that has another name is not shown the token then.
///
/// It belongs to the node: one that holds a [`Connection`](crate::Connection) of that node keeps it in memory.
pub trait Dialer: Send + Sync + 'static {
    /// Opens a stream to `target`. Called afresh for each attempt, so that a name that has moved is found again; names
    /// must be looked up in here.
    ///
    /// # Errors
    ///
    /// Whatever keeps the stream from being opened. The link goes on trying.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the dial timeout passes or the node shuts down, and must leave nothing open then.
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>>;
}

impl<D: Dialer + ?Sized> Dialer for Arc<D> {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        (**self).dial(target)
    }
}

/// Dials over plain TCP.
///
/// Sends small writes at once, and has the kernel probe idle connections.
///
/// A name is looked up afresh for each attempt. The system can't be told to give a look-up up, so while it is still busy
/// with an earlier one of that name and port the attempt awaits that. A dialer and its clones have 32 such look-ups under
/// way at the most; others wait for their turn, except for addresses, which need none.
///
/// The addresses of a name are tried in their order, and the first that answers is taken. The next one is tried when one
/// fails, or has not answered for 250 ms; the earlier ones go on beside it, eight at a time, and the oldest gives way to
/// what comes after these. So one that swallows what it is sent does not keep the others from being reached.
#[derive(Clone, Debug)]
pub struct TcpDialer {
    keepalive: Option<Duration>,
    names: Names,
}

impl TcpDialer {
    /// Probes connections that were idle for 15 s, and has the system look names up.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keepalive: Some(Duration::from_secs(15)),
            names: Names::of_system(),
        }
    }

    /// How long a connection is idle before the kernel probes it; `None` for never.
    #[must_use]
    pub const fn keepalive(mut self, idle: Option<Duration>) -> Self {
        self.keepalive = idle;
        self
    }

    /// Who looks names up, instead of the system.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.names = Names::by(resolver);
        self
    }

    async fn connect(&self, target: &Target) -> io::Result<TcpStream> {
        if target.tls() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, NEEDS_TLS));
        }
        self.open(target).await
    }

    /// As plain TCP, whatever is to be spoken on it.
    pub(crate) async fn open(&self, target: &Target) -> io::Result<TcpStream> {
        let addresses = self.names.of(target.host(), target.port()).await?;
        first_of(addresses, |address| self.connect_to(address)).await
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        let stream = socket.connect(address).await?;
        tune(&stream, self.keepalive)?;
        Ok(stream)
    }
}

impl Default for TcpDialer {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialer for TcpDialer {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(self.connect(target).await?) as BoxIo) })
    }
}

/// What a dialer without TLS says.
pub(crate) const NEEDS_TLS: &str = "an https name needs a dialer that speaks TLS";

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_says_where_to_dial() {
        let target = Target::new("https://node1").unwrap();
        assert_eq!(
            (target.host(), target.port(), target.tls()),
            ("node1", 443, true)
        );
        assert_eq!(target.authority(), "node1");
        let target = Target::new("http://[::1]:9000").unwrap();
        assert_eq!(
            (target.host(), target.port(), target.tls()),
            ("::1", 9000, false)
        );
        assert_eq!(
            (target.name(), target.authority()),
            ("http://[::1]:9000", "[::1]:9000")
        );
    }

    #[tokio::test]
    async fn tcp_is_dialed_and_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Target::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let dialer = TcpDialer::new();
        let (dialed, accepted) = tokio::join!(dialer.connect(&target), listener.accept());
        assert!(dialed.unwrap().nodelay().unwrap());
        drop((listener, accepted));
        let refused = dialer.connect(&target).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn plain_tcp_does_not_pretend_to_be_tls() {
        let target = Target::new("https://127.0.0.1:1").unwrap();
        let error = TcpDialer::new().connect(&target).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
