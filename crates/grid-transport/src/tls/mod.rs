//! TLS between nodes, by rustls; whose cryptography is the application's choice.

mod accept;
mod configs;
mod dial;
mod error;
mod files;
mod names;
mod pinned;

use std::{fmt, path::PathBuf, sync::Arc};

use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) use self::{accept::Greeting, names::Proof};
pub use self::{accept::TlsAccept, dial::TlsDialer, error::TlsError};
use self::{
    configs::{Configs, Plan},
    files::{Certificates, Identity},
};

/// Certificates, keys and roots of a node, for both sides of its links.
///
/// Remotes with an `https` name are dialed by its [`dialer`](Self::dialer), which verifies their certificates by the
/// given roots and the host in their names, or takes those that are [pinned](TlsBuilder::pinned). A socket for links
/// goes through its [`accept`](Self::accept). With [mutual TLS](TlsBuilder::mutual) a remote's certificate is bound to
/// its name: it can't connect in another one.
///
/// What it was made from is read again by [`reload`](Self::reload): connections that are made afterwards use it, and
/// those that are there stay.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use grid_transport::{Manager, SharedSecret, tls::Tls};
///
/// let tls = Tls::builder()
///     .identity_files("/etc/grid/node.pem", "/etc/grid/node.key")
///     .roots_file("/etc/grid/ca.pem")
///     .mutual()
///     .build()?;
/// let manager = Manager::builder("https://node1:9000")
///     .peers(["https://node1:9000", "https://node2:9000"])
///     .auth(SharedSecret::new("open sesame"))
///     .dialer(tls.dialer())
///     .build()?;
/// let socket = tokio::net::TcpListener::bind("[::]:9000").await?;
/// manager.serve_on(tls.accept(socket)?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    current: RwLock<Arc<Configs>>,
}

impl Tls {
    /// Nothing is set; at least an identity or roots are needed.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// A dialer for remotes with `https` names; those with `http` names it dials without TLS.
    #[must_use]
    pub fn dialer(&self) -> TlsDialer {
        TlsDialer::new(self.clone())
    }

    /// Speaks TLS on all that `source` accepts. A handshake takes place within the
    /// [`handshake_timeout`](crate::Settings#structfield.handshake_timeout), beside those of others.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoIdentity`]
    pub fn accept<A: crate::Accept>(&self, source: A) -> Result<TlsAccept<A>, TlsError> {
        match self.current().server {
            Some(_) => Ok(TlsAccept::new(self.clone(), source)),
            None => Err(TlsError::NoIdentity),
        }
    }

    /// Reads all files again, and the roots of the platform. Connections that are made from now on use what was read;
    /// those that are there go on with what they began with.
    ///
    /// It reads files where it is called: from asynchronous code through `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// What can't be read or used. All stays as it was then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = Arc::new(self.shared.plan.read()?);
        *self.shared.current.write() = read;
        Ok(())
    }

    fn current(&self) -> Arc<Configs> {
        self.shared.current.read().clone()
    }
}

/// Says nothing of keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What a [`Tls`] is made from.
#[derive(Default)]
#[must_use]
pub struct TlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    identity: Option<Identity>,
    roots: Vec<Certificates>,
    pinned: Vec<Certificates>,
    mutual: bool,
}

impl TlsBuilder {
    /// Whose cryptography is used, such as that of rustls' features `ring` or `aws_lc_rs`. Without it, the one that the
    /// application has installed for the process.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The node's certificate, with those behind it, and its key, in two PEM files. The node shows it where it listens,
    /// and where a remote that it dials asks for one.
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity::Files {
            chain: chain.into(),
            key: key.into(),
        });
        self
    }

    /// As [`identity_files`](Self::identity_files), from memory.
    pub fn identity(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.identity = Some(Identity::Given { chain, key });
        self
    }

    /// Certificates of authorities in a PEM file, besides those that were given already.
    pub fn roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Certificates::File(path.into()));
        self
    }

    /// As [`roots_file`](Self::roots_file), from memory.
    pub fn roots(mut self, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.roots
            .push(Certificates::Given(roots.into_iter().collect()));
        self
    }

    /// The authorities that the operating system trusts, besides those that were given already; what is none of them is
    /// passed over. Needs the feature `tls-platform-roots`.
    #[cfg(feature = "tls-platform-roots")]
    pub fn platform_roots(mut self) -> Self {
        self.roots.push(Certificates::Platform);
        self
    }

    /// Remotes that are dialed are known by these certificates, in a PEM file, and by nothing else: neither by roots, nor
    /// by the name or the dates in them.
    pub fn pinned_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pinned.push(Certificates::File(path.into()));
        self
    }

    /// As [`pinned_file`](Self::pinned_file), from memory.
    pub fn pinned(mut self, pinned: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.pinned
            .push(Certificates::Given(pinned.into_iter().collect()));
        self
    }

    /// Whoever connects has to show a certificate by the same roots, and may use only the name of a host that is in it.
    pub fn mutual(mut self) -> Self {
        self.mutual = true;
        self
    }

    /// Reads what was given.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the setting and the file.
    pub fn build(self) -> Result<Tls, TlsError> {
        let provider = self
            .provider
            .or_else(|| CryptoProvider::get_default().cloned())
            .ok_or(TlsError::NoProvider)?;
        let plan = Plan {
            provider,
            identity: self.identity,
            roots: self.roots,
            pinned: self.pinned,
            mutual: self.mutual,
        };
        let current = RwLock::new(Arc::new(plan.read()?));
        Ok(Tls {
            shared: Arc::new(Shared { plan, current }),
        })
    }
}

impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder").finish_non_exhaustive()
    }
}
