//! Certificates, keys and roots, from files or as they were given.

use std::path::{Path, PathBuf};

use rustls::{RootCertStore, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};

use super::error::TlsError;

/// A node's certificate with those behind it, and its key.
#[derive(Debug)]
pub(super) enum Identity {
    Files {
        chain: PathBuf,
        key: PathBuf,
    },
    Given {
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    },
}

pub(super) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Identity {
    pub(super) fn read(&self) -> Result<Pair, TlsError> {
        match self {
            Self::Files { chain, key } => {
                let chain = certificates("identity", chain)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|source| match source {
                    pem::Error::NoItemsFound => TlsError::Empty {
                        setting: "identity",
                        what: "private key",
                        path: key.clone(),
                    },
                    source => TlsError::Read {
                        setting: "identity",
                        path: key.clone(),
                        source,
                    },
                })?;
                Ok((chain, key))
            }
            Self::Given { chain, key } => Ok((chain.clone(), key.clone_key())),
        }
    }

    /// What is wrong with the two together.
    pub(super) fn unusable(&self, source: rustls::Error) -> TlsError {
        match self {
            Self::Files { chain, key } => TlsError::Identity {
                certificate: chain.clone(),
                key: key.clone(),
                source,
            },
            Self::Given { .. } => TlsError::unusable("identity")(source),
        }
    }
}

/// Where roots, or pinned certificates, come from.
#[derive(Debug)]
pub(super) enum Certificates {
    File(PathBuf),
    Given(Vec<CertificateDer<'static>>),
    #[cfg(feature = "tls-platform-roots")]
    Platform,
}

impl Certificates {
    pub(super) fn read(
        &self,
        setting: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        match self {
            Self::File(path) => certificates(setting, path),
            Self::Given(given) => Ok(given.clone()),
            #[cfg(feature = "tls-platform-roots")]
            Self::Platform => platform(),
        }
    }

    /// As [`read`](Self::read), where each has to be one that a remote can show.
    pub(super) fn read_whole(
        &self,
        setting: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read = self.read(setting)?;
        for (at, certificate) in read.iter().enumerate() {
            ParsedCertificate::try_from(certificate)
                .map_err(|source| self.wrong(setting, at, source))?;
        }
        Ok(read)
    }

    /// Whether it is not for the operator of the node what is among them.
    fn are_of_others(&self) -> bool {
        match self {
            Self::File(_) | Self::Given(_) => false,
            #[cfg(feature = "tls-platform-roots")]
            Self::Platform => true,
        }
    }

    /// What is wrong with the one that has `at` before it.
    fn wrong(&self, setting: &'static str, at: usize, source: rustls::Error) -> TlsError {
        match self {
            Self::File(path) => TlsError::Certificate {
                setting,
                path: path.clone(),
                number: at + 1,
                source,
            },
            _ => TlsError::Unusable { setting, source },
        }
    }
}

pub(super) fn store(
    setting: &'static str,
    from: &[Certificates],
) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificates in from {
        let read = certificates.read(setting)?;
        if certificates.are_of_others() {
            // One broken certificate of a hundred is no reason to trust none of them.
            store.add_parsable_certificates(read);
            continue;
        }
        for (at, root) in read.into_iter().enumerate() {
            let added = store.add(root);
            added.map_err(|source| certificates.wrong(setting, at, source))?;
        }
    }
    if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(store)
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read {
        setting,
        path: path.to_owned(),
        source,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(read)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(read)?;
    if found.is_empty() {
        return Err(TlsError::Empty {
            setting,
            what: "certificate",
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Those that can be read; a store in which one is broken is usual.
#[cfg(feature = "tls-platform-roots")]
fn platform() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let loaded = rustls_native_certs::load_native_certs();
    match loaded.errors.into_iter().next() {
        Some(error) if loaded.certs.is_empty() => Err(TlsError::Platform {
            source: std::io::Error::other(error),
        }),
        _ => Ok(loaded.certs),
    }
}
