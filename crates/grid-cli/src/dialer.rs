//! Dialing some peers at other addresses than their names say.

use std::{collections::HashMap, future::Future, io, net::SocketAddr, pin::Pin};

use grid_transport::{BoxIo, Dialer, Target, TcpDialer};
use tokio::net::TcpStream;

/// Dials the peers of a table at the addresses there, all others as their names say.
#[derive(Debug, Default)]
pub(crate) struct OverrideDialer {
    table: HashMap<String, SocketAddr>,
    others: TcpDialer,
}

impl OverrideDialer {
    pub(crate) fn new(table: HashMap<String, SocketAddr>) -> Self {
        Self {
            table,
            others: TcpDialer::new(),
        }
    }
}

impl Dialer for OverrideDialer {
    fn dial<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send + 'a>> {
        let Some(&address) = self.table.get(target.name()) else {
            return self.others.dial(target);
        };
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}
