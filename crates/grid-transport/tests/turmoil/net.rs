//! The simulated network as links see it.

use std::io;

use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo, Dialer, Target};
use turmoil::net::{TcpListener, TcpStream};

/// Dials hosts of the simulation, by their names.
pub(crate) struct SimDialer;

impl Dialer for SimDialer {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = TcpStream::connect((target.host(), target.port())).await?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// Takes in what is dialed.
pub(crate) struct SimAccept(pub(crate) TcpListener);

impl Accept for SimAccept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            Ok((Box::new(stream) as BoxIo, from.ip().to_string()))
        })
    }
}
