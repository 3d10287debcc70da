//! Authorities, what they certify, and folders for it.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use grid_transport::tls::{Tls, TlsBuilder};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
    root_pem: String,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([""; 0].map(String::from)).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Told apart by their names, as in life.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        Self {
            root: root.der().clone(),
            root_pem: root.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn certify(&self, hosts: &[&str]) -> Certified {
        self.certify_with(hosts, |_| {})
    }

    pub(crate) fn certify_expired(&self, hosts: &[&str]) -> Certified {
        self.certify_with(hosts, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn certify_with(&self, hosts: &[&str], tune: impl FnOnce(&mut CertificateParams)) -> Certified {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        tune(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        }
    }
}

impl Certified {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// With the cryptography of these tests.
pub(crate) fn builder() -> TlsBuilder {
    Tls::builder().provider(rustls::crypto::ring::default_provider().into())
}

/// Of a node with that certificate, which trusts that authority.
pub(crate) fn tls(own: &Certified, trusted: &Authority) -> TlsBuilder {
    builder()
        .identity(own.chain(), own.key())
        .roots([trusted.root.clone()])
}

/// A folder of its own that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(what: &str) -> Self {
        let name = format!("grid-tls-{what}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// `node.pem`, `node.key` and `roots.pem` in that folder.
pub(crate) fn write(folder: &Path, own: &Certified, trusted: &[&Authority]) {
    let roots: String = trusted
        .iter()
        .map(|authority| &*authority.root_pem)
        .collect();
    for (name, text) in [
        ("node.pem", own.certificate_pem.clone()),
        ("node.key", own.key_pem()),
        ("roots.pem", roots),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

pub(crate) fn from_files(folder: &Path) -> TlsBuilder {
    builder()
        .identity_files(folder.join("node.pem"), folder.join("node.key"))
        .roots_file(folder.join("roots.pem"))
}
