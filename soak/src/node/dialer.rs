//! Dials where the orchestrator said, which is the proxy between the two nodes.

use std::{collections::BTreeMap, io, net::SocketAddr};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, Target};
use tokio::net::TcpStream;

/// Where each node is reached, by name.
#[derive(Debug)]
pub struct Directory(BTreeMap<String, SocketAddr>);

impl Directory {
    /// A fixed list.
    #[must_use]
    pub const fn new(addresses: BTreeMap<String, SocketAddr>) -> Self {
        Self(addresses)
    }
}

impl Dialer for Directory {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let address = self.0.get(target.name()).ok_or(io::ErrorKind::NotFound)?;
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}
