//! What a name's addresses are.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;

use crate::lookups::Lookups;

/// Looks names up for a [`TcpDialer`](crate::TcpDialer). Without one it asks the system.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, a name or an address as in [`Target::host`](crate::Target::host), with that port; they
    /// are tried in this order, as [`TcpDialer`](crate::TcpDialer) says. Called afresh for each attempt, and what it says is not kept.
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
pub(crate) enum Names {
    /// Made when a name is first looked up, as a constant can't be.
    System(OnceLock<Arc<Lookups>>),
    Own(Arc<dyn Resolver>),
}

impl Names {
    pub(crate) const fn of_system() -> Self {
        Self::System(OnceLock::new())
    }

    pub(crate) fn by(resolver: impl Resolver) -> Self {
        Self::Own(Arc::new(resolver))
    }

    /// The addresses of `host`, with that port.
    ///
    /// # Errors
    ///
    /// Whatever keeps the name from being found.
    ///
    /// # Cancel safety
    ///
    /// As of [`Resolver::resolve`]; the system can't be told, and a later attempt awaits what it is busy with.
    pub(crate) async fn of(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System(lookups) => lookups_of(lookups).find(host, port).await,
            Self::Own(resolver) => resolver.resolve(host, port).await,
        }
    }
}

/// Clones share what is being looked up, also those that were made before the first name was.
impl Clone for Names {
    fn clone(&self) -> Self {
        match self {
            Self::System(lookups) => Self::System(OnceLock::from(lookups_of(lookups).clone())),
            Self::Own(resolver) => Self::Own(resolver.clone()),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System(_) => "system",
            Self::Own(_) => "own",
        })
    }
}

fn lookups_of(lookups: &OnceLock<Arc<Lookups>>) -> &Arc<Lookups> {
    lookups.get_or_init(Lookups::of_system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_the_system_looks_up() {
        let names = Names::of_system();
        let early = names.clone();
        let late = early.clone();
        let all = [names, early, late].map(|names| match names {
            Names::System(lookups) => lookups_of(&lookups).clone(),
            Names::Own(_) => panic!("it is the system's"),
        });
        assert!(all.iter().all(|lookups| Arc::ptr_eq(lookups, &all[0])));
    }
}
