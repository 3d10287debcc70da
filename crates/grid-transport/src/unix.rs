//! Links over Unix sockets, between nodes of one machine.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tokio::net::{UnixListener, UnixStream};

use crate::{
    io::{BoxIo, Dialer, NEEDS_TLS, Target},
    listener::Accept,
};

/// Dials Unix sockets: nodes of one machine need no ports, and who may connect is a matter of the file system.
///
/// A node's name stays what it is, `http://HOST:PORT`, and only says which socket is its own. For the other side give a
/// `tokio::net::UnixListener` to [`Manager::serve_on`](crate::Manager::serve_on); remove a socket that was left behind
/// before it is bound anew, and mind its mode: whoever may write to it may connect.
///
/// ```
/// use grid_transport::UnixDialer;
///
/// let dialer = UnixDialer::in_folder("/run/grid");
/// assert_eq!(
///     dialer.path("http://node-1:9000")?.to_str(),
///     Some("/run/grid/node-1:9000.sock")
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct UnixDialer {
    path_of: Arc<dyn Fn(&Target) -> PathBuf + Send + Sync>,
}

impl UnixDialer {
    /// Each node's socket is in this folder: its host, a colon, its port, and `.sock`.
    #[must_use]
    pub fn in_folder(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref().to_owned();
        Self::by(move |target| folder.join(format!("{}:{}.sock", target.host(), target.port())))
    }

    /// Where each node's socket is.
    #[must_use]
    pub fn by(path_of: impl Fn(&Target) -> PathBuf + Send + Sync + 'static) -> Self {
        Self {
            path_of: Arc::new(path_of),
        }
    }

    /// Where the socket of the node with this name is: to bind it.
    ///
    /// # Errors
    ///
    /// When it is no name of a node.
    pub fn path(&self, name: &str) -> io::Result<PathBuf> {
        let target = Target::new(name).map_err(|fault| {
            let words = format!("{name:?} is no name of a node: {}", fault.text());
            io::Error::new(io::ErrorKind::InvalidInput, words)
        })?;
        Ok((self.path_of)(&target))
    }
}

impl Dialer for UnixDialer {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            if target.tls() {
                return Err(io::Error::new(io::ErrorKind::Unsupported, NEEDS_TLS));
            }
            let path = (self.path_of)(target);
            let stream = UnixStream::connect(&path).await.map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

impl fmt::Debug for UnixDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDialer").finish_non_exhaustive()
    }
}

/// The log says which user connects.
impl Accept for UnixListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (stream, _) = Self::accept(self).await?;
            let from = match stream.peer_cred() {
                Ok(who) => format!("user {}", who.uid()),
                Err(_) => "a local user".to_owned(),
            };
            Ok((Box::new(stream) as BoxIo, from))
        })
    }
}
