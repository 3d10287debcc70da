//! Which names a peer has proven to have, by the byte stream that it came over.

use std::{
    fmt, io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::{BoxIo, Target};

/// The hosts that a peer has proven to be, as a certificate lists them: names and addresses.
///
/// ```
/// use grid_transport::PeerNames;
///
/// let names = PeerNames::new(["node-1.example.com", "*.rack-7.example.com", "10.0.0.1"]);
/// assert!(names.contains("node-1.example.com") && names.contains("10.0.0.1"));
/// assert!(names.contains("node-9.rack-7.example.com"));
/// assert!(!names.contains("a.b.rack-7.example.com"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNames(Proven);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Proven {
    Names(Arc<[Box<str>]>),
    #[cfg(feature = "tls")]
    Certificate(crate::tls::Proof),
}

impl PeerNames {
    /// These. A name that begins with `*.` stands for every name with one label in place of the star. Without any, the
    /// peer has proven nothing, and may use no name.
    #[must_use]
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| name.into().into_boxed_str());
        Self(Proven::Names(names.collect()))
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn proven(by: crate::tls::Proof) -> Self {
        Self(Proven::Certificate(by))
    }

    /// Whether a host, by name or by address, is one of them.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        match &self.0 {
            Proven::Names(names) => names.iter().any(|proven| covers(proven, host)),
            #[cfg(feature = "tls")]
            Proven::Certificate(proof) => proof.covers(host),
        }
    }

    /// Whether the node of this name may stand at the other end. Nodes on one host are not told apart.
    pub(crate) fn cover(&self, target: &Target) -> bool {
        self.contains(target.host())
    }
}

fn covers(proven: &str, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return proven.parse::<IpAddr>().is_ok_and(|own| own == address);
    }
    match proven.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => proven.eq_ignore_ascii_case(host),
    }
}

/// A byte stream whose peer has proven who it is, as mutual TLS does.
///
/// An [`Accept`](crate::Accept) or [`Dialer`](crate::Dialer) that knows wraps its streams in this. A connect request in
/// another name is refused then, and a remote that was dialed and has another one is not even shown the token.
///
/// ```
/// use grid_transport::{BoxIo, Identified, PeerNames};
///
/// let (ours, _theirs) = tokio::io::duplex(64);
/// let stream: BoxIo = Box::new(Identified::new(Box::new(ours), PeerNames::new(["node-1"])));
/// assert!(stream.peer_names().is_some_and(|names| names.contains("node-1")));
/// ```
pub struct Identified {
    io: BoxIo,
    names: PeerNames,
}

impl Identified {
    /// A stream, and what its peer has proven.
    #[must_use]
    pub fn new(io: BoxIo, names: PeerNames) -> Self {
        Self { io, names }
    }

    /// The stream under it.
    pub(crate) const fn io(&self) -> &BoxIo {
        &self.io
    }

    /// What the peer has proven.
    #[must_use]
    pub const fn names(&self) -> &PeerNames {
        &self.names
    }
}

impl fmt::Debug for Identified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identified")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Identified {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Identified {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_proven_as_a_whole_or_not() {
        let names = PeerNames::new(["Node-1", "*.rack", "::1", "10.0.0.1"]);
        for host in [
            "node-1",
            "a.rack",
            "B.RACK",
            "::1",
            "0:0:0:0:0:0:0:1",
            "10.0.0.1",
        ] {
            assert!(names.contains(host), "{host}");
        }
        for host in [
            "node-11",
            "node",
            "rack",
            ".rack",
            "a.b.rack",
            "10.0.0.11",
            "::2",
            "*.rack.x",
            "",
        ] {
            assert!(!names.contains(host), "{host}");
        }
        assert!(
            !PeerNames::new(["*.0.0.1"]).contains("10.0.0.1"),
            "an address has no labels"
        );
        assert!(!PeerNames::new([""; 0]).contains("node-1"));
    }
}
