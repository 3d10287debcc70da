//! Dialing some peers at other addresses than their names say, with TLS where their names do.

use std::{collections::HashMap, fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, Resolver, Target, TcpDialer, tls::Tls};

/// Dials the peers of a table at the addresses there, all others as their names say.
pub(crate) struct OverrideDialer {
    table: HashMap<String, Arc<dyn Dialer>>,
    others: Arc<dyn Dialer>,
}

impl OverrideDialer {
    pub(crate) fn new(table: HashMap<String, SocketAddr>, tls: Option<&Tls>) -> Self {
        let over = |tcp: TcpDialer| match tls {
            Some(tls) => Arc::new(tls.dialer().tcp(tcp)) as Arc<dyn Dialer>,
            None => Arc::new(tcp),
        };
        let at = |(name, address)| (name, over(TcpDialer::new().resolver(At(address))));
        Self {
            table: table.into_iter().map(at).collect(),
            others: over(TcpDialer::new()),
        }
    }
}

impl Dialer for OverrideDialer {
    fn dial<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send + 'a>> {
        let dialer = self.table.get(target.name()).unwrap_or(&self.others);
        dialer.dial(target)
    }
}

impl fmt::Debug for OverrideDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverrideDialer")
            .field("table", &self.table.keys())
            .finish_non_exhaustive()
    }
}

/// Every name is there.
#[derive(Debug)]
struct At(SocketAddr);

impl Resolver for At {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(vec![self.0]) })
    }
}
