//! Nodes in memory, for tests: dialing by name, and cutting, freezing and refusing connections at
//! will. Works under a paused clock. Needs the feature `test-util`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use grid_transport::{HandlerId, testing};
//!
//! const ECHO: HandlerId = HandlerId::new(200);
//! let pair = testing::pair(|node| {
//!     node.single(ECHO, |request| async move { Ok(request.into_payload()) })
//! })
//! .await?;
//! let answer = pair.a_to_b().request(ECHO, "hello").await?;
//! assert_eq!(answer.as_slice(), b"hello");
//! # Ok(()) }
//! ```

mod net;

use std::time::Duration;

pub use self::net::{Net, NetAcceptor, NetDialer};
use crate::{BuildError, Builder, CallError, Connection, Manager, NoAuth, Serving};

/// The names of the two nodes of a [`Pair`].
pub const NAMES: [&str; 2] = ["http://a:9000", "http://b:9000"];

/// Two connected nodes on a [`Net`] of their own.
#[derive(Debug)]
pub struct Pair {
    /// Their network.
    pub net: Net,
    /// One node.
    pub a: Manager,
    /// The other.
    pub b: Manager,
    serving: Vec<Serving>,
}

impl Pair {
    /// How `a` calls `b`.
    #[must_use]
    pub fn a_to_b(&self) -> Connection {
        peer(&self.a, self.b.local())
    }

    /// How `b` calls `a`.
    #[must_use]
    pub fn b_to_a(&self) -> Connection {
        peer(&self.b, self.a.local())
    }

    /// Breaks their connection; both ends get a reset.
    pub fn cut(&self) {
        self.net.cut(NAMES[0], NAMES[1]);
    }

    /// Waits until both see the link as up.
    ///
    /// # Errors
    ///
    /// When one of them has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn connected(&self) -> Result<(), CallError> {
        self.a_to_b().connected().await?;
        self.b_to_a().connected().await
    }

    /// Shuts both down.
    ///
    /// # Cancel safety
    ///
    /// As of [`Manager::shutdown`].
    pub async fn shutdown(self, grace: Duration) {
        tokio::join!(self.a.shutdown(grace), self.b.shutdown(grace));
        for mut serving in self.serving {
            serving.stopped().await;
        }
    }
}

fn peer(from: &Manager, to: &str) -> Connection {
    match from.connection(to) {
        Ok(connection) => connection,
        Err(error) => panic!("a pair knows its two nodes: {error}"),
    }
}

/// Two nodes of the same kind, connected. `configure` gets the builder of each, which has names,
/// network and [`NoAuth`] set.
///
/// # Errors
///
/// When a node can't be built.
///
/// # Cancel safety
///
/// Dropping the future drops both nodes.
pub async fn pair(configure: impl Fn(Builder) -> Builder) -> Result<Pair, BuildError> {
    pair_of(&configure, &configure).await
}

/// As [`pair`], with a configuration for each.
///
/// # Errors
///
/// When a node can't be built.
///
/// # Cancel safety
///
/// Dropping the future drops both nodes.
pub async fn pair_of(
    configure_a: impl FnOnce(Builder) -> Builder,
    configure_b: impl FnOnce(Builder) -> Builder,
) -> Result<Pair, BuildError> {
    let net = Net::new();
    let mut serving = Vec::new();
    let a = node(&net, NAMES[0], &NAMES, configure_a, &mut serving)?;
    let b = node(&net, NAMES[1], &NAMES, configure_b, &mut serving)?;
    let pair = Pair { net, a, b, serving };
    match pair.connected().await {
        Ok(()) => Ok(pair),
        Err(error) => panic!("nobody shuts a new pair down: {error}"),
    }
}

/// One node on `net`, which serves under its name. `configure` gets a builder that has names,
/// network and [`NoAuth`] set.
///
/// # Errors
///
/// When it can't be built.
pub fn node_on(
    net: &Net,
    local: &str,
    names: &[&str],
    configure: impl FnOnce(Builder) -> Builder,
) -> Result<Manager, BuildError> {
    node(net, local, names, configure, &mut Vec::new())
}

fn node(
    net: &Net,
    local: &str,
    names: &[&str],
    configure: impl FnOnce(Builder) -> Builder,
    serving: &mut Vec<Serving>,
) -> Result<Manager, BuildError> {
    let builder = Manager::builder(local)
        .peers(names.iter().copied())
        .auth(NoAuth)
        .dialer(net.dialer(local));
    let acceptor = net.acceptor(local);
    let manager = configure(builder).build()?;
    match manager.serve_on(acceptor) {
        Ok(served) => serving.push(served),
        Err(error) => panic!("a single grid is served anywhere: {error}"),
    }
    Ok(manager)
}
