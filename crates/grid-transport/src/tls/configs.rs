//! What rustls is to do, by the settings and by what the files hold at the time.

use std::sync::Arc;

use rustls::{
    ClientConfig, ServerConfig, client::WebPkiServerVerifier, crypto::CryptoProvider,
    server::WebPkiClientVerifier,
};

use super::{
    error::TlsError,
    files::{Certificates, Identity, store},
    pinned::Pinned,
};

/// What is spoken inside: both sides upgrade from HTTP/1.1.
const INSIDE: &[u8] = b"http/1.1";

/// The settings.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) identity: Option<Identity>,
    pub(super) roots: Vec<Certificates>,
    pub(super) pinned: Vec<Certificates>,
    pub(super) mutual: bool,
}

/// Both sides, made at one time.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) client: Arc<ClientConfig>,
    /// None without an identity.
    pub(super) server: Option<Arc<ServerConfig>>,
}

impl Plan {
    pub(super) fn read(&self) -> Result<Configs, TlsError> {
        let read = self.identity.as_ref().map(Identity::read).transpose()?;
        let mut client = self.client()?.with_no_client_auth();
        let server = match self.identity.as_ref().zip(read) {
            None => None,
            Some((identity, (chain, key))) => {
                client = self
                    .client()?
                    .with_client_auth_cert(chain.clone(), key.clone_key())
                    .map_err(|source| identity.unusable(source))?;
                let mut server = self
                    .server()?
                    .with_single_cert(chain, key)
                    .map_err(|source| identity.unusable(source))?;
                server.alpn_protocols = vec![INSIDE.to_vec()];
                Some(Arc::new(server))
            }
        };
        client.alpn_protocols = vec![INSIDE.to_vec()];
        Ok(Configs {
            client: Arc::new(client),
            server,
        })
    }

    fn client(
        &self,
    ) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError>
    {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::unusable("provider"))?;
        if self.pinned.is_empty() {
            let roots = Arc::new(store("roots", &self.roots)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
                    .build()
                    .map_err(|error| {
                        TlsError::unusable("roots")(rustls::Error::General(error.to_string()))
                    })?;
            return Ok(builder.with_webpki_verifier(verifier));
        }
        let mut certificates = Vec::new();
        for pinned in &self.pinned {
            certificates.extend(pinned.read_whole("pinned")?);
        }
        let verifier = Pinned {
            certificates,
            provider: self.provider.clone(),
        };
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)))
    }

    fn server(
        &self,
    ) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>, TlsError>
    {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::unusable("provider"))?;
        if !self.mutual {
            return Ok(builder.with_no_client_auth());
        }
        let roots = Arc::new(store("roots", &self.roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| {
                TlsError::unusable("mutual")(rustls::Error::General(error.to_string()))
            })?;
        Ok(builder.with_client_cert_verifier(verifier))
    }
}
