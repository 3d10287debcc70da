//! Which names a certificate is for.

use std::fmt;

use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};

/// A certificate that was verified, and is asked for names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proof(CertificateDer<'static>);

impl Proof {
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Self {
        Self(certificate.clone().into_owned())
    }

    /// Whether a host, by name or by address, is one of them.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let (Ok(certificate), Ok(host)) = (
            ParsedCertificate::try_from(&self.0),
            ServerName::try_from(host),
        ) else {
            return false;
        };
        verify_server_name(&certificate, &host).is_ok()
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({} bytes)", self.0.len())
    }
}
