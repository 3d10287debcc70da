//! What can be wrong with certificates, keys and roots before anybody connects.

use std::{io, path::PathBuf};

use rustls_pki_types::pem;

/// Why TLS can't be set up. Each names the setting, and the file where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Nobody has said whose cryptography to use.
    #[error(
        "no crypto provider: give one to `TlsBuilder::provider`, or install one for the process by rustls"
    )]
    NoProvider,
    /// A file can't be read, or is no PEM.
    #[error("{setting}: can't read {}: {source}", path.display())]
    Read {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A file has nothing in it of what is looked for.
    #[error("{setting}: no {what} in {}", path.display())]
    Empty {
        /// The setting.
        setting: &'static str,
        /// What is looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A certificate in a file is none, or of a kind that can't be used.
    #[error("{setting}: certificate {number} in {} can't be used: {source}", path.display())]
    Certificate {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Which one of the file, from 1.
        number: usize,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate and a key in files don't fit together, or are of a kind that the provider does not know.
    #[error(
        "identity: the certificate in {} with the key in {} can't be used: {source}",
        certificate.display(),
        key.display()
    )]
    Identity {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// What was given otherwise than in files doesn't fit together, or is of a kind that the provider does not know.
    #[error("{setting}: {source}")]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// Why.
        source: rustls::Error,
    },
    /// The roots of the platform can't be read.
    #[error("platform_roots: {source}")]
    Platform {
        /// Why.
        source: io::Error,
    },
    /// Whoever listens, or is to show who it is, needs a certificate.
    #[error("identity: a node that listens needs a certificate and its key")]
    NoIdentity,
    /// There is nothing to verify certificates by.
    #[error("roots: nothing to verify the other nodes' certificates by")]
    NoRoots,
}

impl TlsError {
    pub(super) fn unusable(setting: &'static str) -> impl FnOnce(rustls::Error) -> Self {
        move |source| Self::Unusable { setting, source }
    }
}

/// A handshake that failed, as the cause of a link tells it.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {0}")]
pub(super) struct Failed(#[source] pub(super) io::Error);

/// With the words that it was about TLS.
pub(super) fn failed(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Failed(error))
}
