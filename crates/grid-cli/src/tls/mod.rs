//! TLS of a node: certificates, keys and roots from files, which are read again as they change.

mod args;
mod files;
mod renewal;

use std::{io, sync::Arc};

use grid_transport::tls::Tls;

use self::files::{Files, Prints};
pub(crate) use self::{args::TlsArgs, renewal::Renewal};

/// What a node speaks TLS with. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct NodeTls {
    tls: Tls,
    files: Arc<Files>,
    /// What was in them when they were first read.
    prints: Prints,
    /// Whether the node has a certificate to show.
    has_certificate: bool,
}

impl NodeTls {
    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    /// Reads all files again; where one can't be used all stays as it was, and the text says why.
    fn reload(&self) -> Result<(), String> {
        self.files.look()?;
        let reloaded = self.tls.reload();
        reloaded.map_err(|error| self.files.words(&error))
    }
}

/// Whether a link won't come up by trying again, as the remote has the wrong certificate.
pub(crate) fn is_wrong_certificate(error: &io::Error) -> bool {
    let mut inner = error
        .get_ref()
        .map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = inner {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An error of I/O leaves the one that it holds out of its sources.
        inner = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

/// The cryptography of this program: ring, which takes no more than a C compiler to build.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_certificate_is_found_under_whatever_holds_it() {
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let inner = io::Error::new(io::ErrorKind::InvalidData, wrong);
        assert!(is_wrong_certificate(&inner));
        assert!(is_wrong_certificate(&io::Error::other(inner)));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::InternalError);
        assert!(!is_wrong_certificate(&io::Error::other(alert)));
        assert!(!is_wrong_certificate(&io::ErrorKind::TimedOut.into()));
    }
}
