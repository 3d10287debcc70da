//! What a name's addresses are.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::net::lookup_host;

/// Looks names up for a [`TcpDialer`](crate::TcpDialer). Without one it asks the system.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, a name or an address as in [`Target::host`](crate::Target::host), with that port; they
    /// are tried in this order. Called afresh for each attempt, and what it says is not kept.
    ///
    /// # Errors
    ///
    /// Whatever keeps the name from being found. The link goes on trying.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the dial timeout passes or the node shuts down, and must leave nothing open then.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        (**self).resolve(host, port)
    }
}

/// The application's, or that of the system.
#[derive(Clone, Default)]
pub(crate) struct Names(Option<Arc<dyn Resolver>>);

impl Names {
    pub(crate) const SYSTEM: Self = Self(None);

    pub(crate) fn by(resolver: impl Resolver) -> Self {
        Self(Some(Arc::new(resolver)))
    }

    pub(crate) async fn of(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            Some(resolver) => resolver.resolve(host, port).await,
            None => Ok(lookup_host((host, port)).await?.collect()),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "own" } else { "system" })
    }
}
