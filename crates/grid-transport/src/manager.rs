//! A node: its links, its handlers, and its end.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use grid_proto::{InstanceId, MuxId, local_dials};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    build_error::{BuildError, UnknownPeer},
    builder::Builder,
    config::NameFault,
    connection::Connection,
    io::Target,
    link::{
        self,
        accept::accept_slot,
        shared::{LinkShared, NodeShared},
    },
    registry::Frozen,
    stats::{HandlerStats, LinkStats},
};

/// What the last word to a peer may take, on top of a teardown.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(2);

/// A node of a grid: one link to each of its peers, and the handlers that it serves them.
///
/// Clones are the same node. When the last one is dropped without [`shutdown`](Self::shutdown),
/// its links are closed without waiting for what is under way. A handler that calls others should
/// hold a [`Connection`], as a manager that it holds itself is never the last one.
#[derive(Clone)]
pub struct Manager(Arc<Owner>);

/// Ends the node when nobody holds it any more.
struct Owner {
    node: Arc<NodeShared>,
    registry: Arc<Frozen>,
    /// Whether a list of peers is followed.
    follows: Arc<AtomicBool>,
}

/// A node, for a task that does not keep it.
pub(crate) struct WeakManager(Weak<Owner>);

impl WeakManager {
    /// `None` once the last manager is gone.
    pub(crate) fn upgrade(&self) -> Option<Manager> {
        self.0.upgrade().map(Manager)
    }
}

/// The right to follow a list of peers, until it is dropped.
pub(crate) struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.node.end_all();
        self.node.tasks.close();
        if let Some(worker) = &self.node.worker {
            worker.let_go();
        }
        drop(self.node.links.clear());
        #[cfg(feature = "metrics")]
        crate::metrics::node_is_gone(&self.node.measure);
    }
}

/// How a [shutdown](Manager::shutdown) went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Whether all calls came to their end in the time given.
    pub complete: bool,
    /// Calls of this node that were ended before.
    pub calls: usize,
    /// Handlers that were dropped before their end.
    pub handlers: usize,
}

impl Manager {
    /// Begins a node of this name: a URL without a path, as in `http://10.0.0.1:9000`.
    pub fn builder(local: impl Into<String>) -> Builder {
        Builder::new(local.into())
    }

    pub(crate) fn new(node: Arc<NodeShared>, registry: Arc<Frozen>) -> Self {
        Self(Arc::new(Owner {
            node,
            registry,
            follows: Arc::new(AtomicBool::new(false)),
        }))
    }

    /// The remote of this name.
    ///
    /// # Errors
    ///
    /// When it is none; the error lists those that are.
    pub fn connection(&self, name: &str) -> Result<Connection, UnknownPeer> {
        self.node()
            .links
            .get(name)
            .map(Connection::new)
            .ok_or_else(|| self.unknown(name))
    }

    /// All remotes, sorted by name.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.node()
            .links
            .all()
            .into_iter()
            .map(Connection::new)
            .collect()
    }

    /// Adds a remote while the node runs. Its link is dialed or awaited from now on; where one of that name was
    /// [removed](Self::remove_peer) a moment ago, from when nothing of that is left.
    ///
    /// # Errors
    ///
    /// When the name is no URL of a node, or is there already.
    pub fn add_peer(&self, name: &str) -> Result<Connection, BuildError> {
        let bad = |fault: NameFault| BuildError::BadName {
            name: name.into(),
            reason: fault.text(),
            peers: self.names(),
        };
        let target = Target::new(name).map_err(bad)?;
        let twice = || BuildError::Twice {
            name: name.into(),
            peers: self.names(),
        };
        if name == self.local() {
            return Err(twice());
        }
        self.start_link(target)
            .map(Connection::new)
            .ok_or_else(twice)
    }

    /// Lets links be made, where the node was built to [hold](crate::Builder::hold) them back. Nothing happens otherwise.
    pub fn start(&self) {
        self.node().started.cancel();
    }

    /// Takes a remote off the list while the node runs: its link is closed, and calls that are
    /// open on it fail. The part of
    /// [`Settings::max_inbound_node`](crate::Settings#structfield.max_inbound_node) and of
    /// `max_queued_node` that is kept for it is the others' once nothing of it runs or is held and the last [`Connection`] to it
    /// is dropped.
    ///
    /// # Errors
    ///
    /// When it is none; the error lists those that are.
    pub fn remove_peer(&self, name: &str) -> Result<(), UnknownPeer> {
        let link = self
            .node()
            .links
            .remove(name)
            .ok_or_else(|| self.unknown(name))?;
        link.removed.store(true, Ordering::Relaxed);
        link.stop.cancel();
        Ok(())
    }

    /// Ends the node: takes no new calls and connections, waits until the calls under way have
    /// ended, both ways, but no longer than `grace`; then closes the links. It returns when the
    /// last byte is flushed, all sockets are closed and all tasks are gone. Detached handlers
    /// count as calls under way; what still runs after `grace` is dropped at its await point. A
    /// handler that reaches none within
    /// [`Settings::teardown`](crate::Settings#structfield.teardown) is left behind.
    ///
    /// # Cancel safety
    ///
    /// A shutdown that was begun goes on until nothing new begins; dropping the future leaves the
    /// calls under way to end by themselves. Calling it again goes on.
    pub async fn shutdown(&self, grace: Duration) -> Drained {
        let node = self.node();
        let deadline = Instant::now().checked_add(grace);
        node.shutdown.begin();
        let links = node.links.all();
        let drain = async {
            for link in &links {
                if let Some(session) = link.session() {
                    session.refuse_new();
                    session.drained().await;
                }
            }
            node.budgets.handlers.unused().await;
        };
        // All links refuse what is new before any is waited for.
        for session in links.iter().filter_map(|link| link.session()) {
            session.refuse_new();
        }
        let complete = match deadline {
            Some(deadline) => timeout_at(deadline, drain).await.is_ok(),
            None => {
                drain.await;
                true
            }
        };
        let stats = self.stats();
        let drained = Drained {
            complete,
            calls: stats
                .iter()
                .map(|link| link.open_requests + link.open_streams)
                .sum(),
            handlers: node.budgets.handlers.used(),
        };
        node.end_all();
        node.tasks.close();
        let gone = async {
            if let Some(worker) = &node.worker {
                worker.let_go();
            }
            node.tasks.wait().await;
            if let Some(worker) = &node.worker {
                worker.ended().await;
            }
        };
        // Sessions take a teardown and a last word; nothing else may hold up the end for longer.
        let patience = node.settings.teardown + LAST_WORD;
        if timeout(patience, gone).await.is_err() {
            tracing::warn!(
                target: "grid::node",
                local = %node.local,
                handlers = node.budgets.handlers.used(),
                "handlers did not come out of their poll in time and are left behind"
            );
        }
        drained
    }

    /// The links in numbers, sorted by name.
    #[must_use]
    pub fn stats(&self) -> Vec<LinkStats> {
        self.connections().iter().map(Connection::stats).collect()
    }

    /// The handlers in numbers, in order of registration: single ones, then those of streams.
    #[must_use]
    pub fn handler_stats(&self) -> Vec<HandlerStats> {
        let registry = self.registry();
        let singles = registry.singles().iter().map(|entry| {
            entry
                .counters
                .snapshot(entry.id, entry.subroute.clone(), false)
        });
        let streams = registry.streams().iter().map(|entry| {
            entry
                .counters
                .snapshot(entry.id, entry.subroute.clone(), true)
        });
        singles.chain(streams).collect()
    }

    /// The local name.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.node().local
    }

    /// The route path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.node().path
    }

    /// The id of this node, drawn when it was built.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.node().id
    }

    pub(crate) fn node(&self) -> &Arc<NodeShared> {
        &self.0.node
    }

    pub(crate) fn downgrade(&self) -> WeakManager {
        WeakManager(Arc::downgrade(&self.0))
    }

    /// `None` while somebody else has it.
    pub(crate) fn follow_turn(&self) -> Option<Turn> {
        let follows = &self.0.follows;
        (!follows.swap(true, Ordering::AcqRel)).then(|| Turn(follows.clone()))
    }

    pub(crate) fn registry(&self) -> &Arc<Frozen> {
        &self.0.registry
    }

    /// `None` where there is a link of that name, or the node is ending.
    pub(crate) fn start_link(&self, target: Target) -> Option<Arc<LinkShared>> {
        let node = self.node();
        let name: Arc<str> = target.name().into();
        let (handle, slot) = if local_dials(&node.local, &name) {
            (None, None)
        } else {
            let (handle, slot) = accept_slot(&node.settings);
            (Some(handle), Some(Box::new(slot)))
        };
        let first_mux = node
            .settings
            .first_mux
            .unwrap_or_else(|| MuxId::new(rand::random_range(1 << 16..1 << 31)));
        let link = node.links.insert(&name.clone(), |before| {
            LinkShared::new(node.clone(), target, name, handle, first_mux, before)
        })?;
        drop(node.spawn(link::run(link.clone(), self.registry().clone(), slot)));
        Some(link)
    }

    fn names(&self) -> Vec<String> {
        self.node()
            .links
            .all()
            .iter()
            .map(|link| link.name.to_string())
            .collect()
    }

    fn unknown(&self, name: &str) -> UnknownPeer {
        UnknownPeer {
            name: name.into(),
            known: self.names(),
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager")
            .field("local", &self.node().local)
            .field("path", &self.node().path)
            .field("peers", &self.names())
            .finish()
    }
}
