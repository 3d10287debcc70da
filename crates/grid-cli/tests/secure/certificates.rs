//! An authority, and what it certifies, as files.

use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

use crate::common::TempDir;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        // Told apart by their names, as in life.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    /// A certificate for that host, and its key.
    pub(crate) fn certify(&self, host: &str) -> (String, String) {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// `WHO.pem` and `WHO.key` for that host, and `WHO.roots` with this authority.
    pub(crate) fn write(&self, dir: &TempDir, who: &str, host: &str) {
        let (certificate, key) = self.certify(host);
        dir.write(&format!("{who}.pem"), certificate);
        dir.write(&format!("{who}.key"), key);
        dir.write(&format!("{who}.roots"), &self.root);
    }
}
