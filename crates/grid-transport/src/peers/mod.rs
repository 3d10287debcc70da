//! Lists of peers in the forms that operators have, followed as they change.
//!
//! A node has the names of all nodes. Where they stand in a [file](PeersFile), or behind a name that DNS resolves (feature
//! `dns`: `DnsPeers`), [`Manager::follow`](crate::Manager::follow) asks for the list again and again and applies what has
//! changed: links to those that are new are made, those to others that are gone are
//! [removed](crate::Manager::remove_peer). One line that stands for many names is expanded by [`pattern`](crate::pattern).
//!
//! # What is not taken
//!
//! A list that can't be had, or that looks like a mistake, changes nothing: the last good one stays, a warning (target
//! `grid::peers`) says what is wrong with which line or value, and [`Following::state`] has it until it is mended. The
//! same warning comes once in [`Settings::warn_interval`](crate::Settings#structfield.warn_interval), and sixteen different
//! ones at the most. Besides what can't be
//! read that is
//!
//! - a list without this node's own name. A file that is half written looks so, or one of another grid, or names in
//!   another spelling. A node that really is to leave is shut down; until then it keeps its links, and the others have
//!   ended theirs to it.
//! - a list with nobody but this node while it has links: who wants that removes them one by one.
//!
//! Each node follows its own list, and a link comes up once the lists of both nodes have each other's names.

#[cfg(feature = "dns")]
mod dns;
mod error;
mod file;
mod follow;
#[cfg(feature = "dns")]
mod hickory;
mod lines;

use std::time::Duration;

use futures_util::future::BoxFuture;

#[cfg(feature = "dns")]
pub use self::{
    dns::{DnsAnswer, DnsClient, DnsHost, DnsPeers, DnsRecord},
    hickory::SystemDns,
};
pub use self::{
    error::{FollowError, LineError, SourceError},
    file::PeersFile,
    follow::{FollowState, Following},
};

/// A list of peers that may change: a [file](PeersFile), a name in DNS, a service of the application.
///
/// ```
/// use std::time::Duration;
///
/// use futures_util::future::BoxFuture;
/// use grid_transport::peers::{PeerList, PeerSource, SourceError};
///
/// /// A list that some other part of the program holds.
/// struct Held(tokio::sync::watch::Receiver<Vec<String>>);
///
/// impl PeerSource for Held {
///     fn label(&self) -> String {
///         "the list of the operator".to_owned()
///     }
///
///     fn interval(&self) -> Duration {
///         Duration::from_secs(1)
///     }
///
///     fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
///         Box::pin(async { Ok(PeerList::new(self.0.borrow().clone(), self.interval())) })
///     }
/// }
/// ```
pub trait PeerSource: Send + 'static {
    /// What it is, for logs and errors: a path, a name.
    fn label(&self) -> String;

    /// The pause after an answer that was none. Below 100 ms it is taken as that, so that nobody asks without end.
    fn interval(&self) -> Duration;

    /// How long an answer may take: 10 s where nothing else is said.
    fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// All names as they are now, this node's own among them.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being known. It is asked again after the [interval](Self::interval).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when it takes longer than the [timeout](Self::timeout), and when the node shuts down. It is
    /// asked again after the former.
    fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>>;
}

/// What a [`PeerSource`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerList {
    /// All names, this node's own among them, in any order; what is there twice counts once.
    pub names: Vec<String>,
    /// When to ask again. Below 100 ms it is taken as that.
    pub again: Duration,
}

impl PeerList {
    /// These names, to be asked for again after this time.
    #[must_use]
    pub fn new(names: Vec<String>, again: Duration) -> Self {
        Self { names, again }
    }
}
