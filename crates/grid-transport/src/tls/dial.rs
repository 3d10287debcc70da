//! Dialing over TLS.

use std::{fmt, io};

use futures_util::future::BoxFuture;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::{Tls, error::failed};
use crate::io::{BoxIo, Dialer, Target, TcpDialer};

/// Dials over TCP, with TLS where the remote's name begins with `https`; made by [`Tls::dialer`].
///
/// A certificate that is not good enough is the cause of the link's state, in the words of rustls.
#[derive(Clone)]
pub struct TlsDialer {
    tls: Tls,
    tcp: TcpDialer,
}

impl TlsDialer {
    pub(super) fn new(tls: Tls) -> Self {
        Self {
            tls,
            tcp: TcpDialer::new(),
        }
    }

    /// How names are looked up and sockets kept alive.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpDialer) -> Self {
        self.tcp = tcp;
        self
    }
}

impl Dialer for TlsDialer {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = self.tcp.open(target).await?;
            if !target.tls() {
                return Ok(Box::new(stream) as BoxIo);
            }
            let name = ServerName::try_from(target.host().to_owned()).map_err(|error| {
                let words = format!("no certificate is for {:?}: {error}", target.host());
                io::Error::new(io::ErrorKind::InvalidInput, words)
            })?;
            let connector = TlsConnector::from(self.tls.current().client.clone());
            let stream = connector.connect(name, stream).await.map_err(failed)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialer")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}
