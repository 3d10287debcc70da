//! What the parts of a node, and of one link of it, share.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use grid_proto::{InstanceId, MuxId, conn::Budget};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Auth,
    config::{Endpoint, Settings, parse_name},
    error::CallError,
    io::{Dialer, Target},
    limiter::LogLimiter,
    link::{
        accept::AcceptHandle,
        backoff::Failing,
        budgets::Budgets,
        counted::Counted,
        links::Links,
        replay::{Admissions, RequestTimes},
        room::NodeRoom,
        tell::Teller,
    },
    measure::{LinkMeasure, NodeMeasure},
    registry::Frozen,
    session::{Permits, Session},
    shutdown::Shutdown,
    state::{LinkCause, LinkState},
    stats::LinkCounters,
    worker::Worker,
};

/// The wall clock of a node; tests give their own.
pub(crate) type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What all links of a node have in common.
pub(crate) struct NodeShared {
    /// Our own name.
    pub(crate) local: Arc<str>,
    /// What it says of where others reach us.
    endpoint: Option<Endpoint>,
    /// The route path, such as `/minio/grid/v1`.
    pub(crate) path: Arc<str>,
    /// Drawn once for each grid and process start.
    pub(crate) id: InstanceId,
    pub(crate) settings: Settings,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) dialer: Arc<dyn Dialer>,
    /// Not ours to keep: handlers hold connections, and these hold us. It belongs to the managers and to the tasks of
    /// the links.
    pub(crate) registry: Weak<Frozen>,
    pub(crate) budgets: Budgets,
    pub(crate) shutdown: Shutdown,
    /// Fires when links may be made.
    pub(crate) started: CancellationToken,
    /// Everything that the node has spawned: links, sessions, handlers, accepted sockets.
    pub(crate) tasks: TaskTracker,
    /// Warnings about the node itself, and about names of its list until their link is up.
    pub(crate) limiter: LogLimiter,
    /// Of what peers do once they are in: to come again does not begin anew.
    pub(crate) violations: LogLimiter,
    /// About whoever has shown no name of the list; by addresses.
    pub(crate) strangers: LogLimiter,
    pub(crate) clock: WallClock,
    /// Where links, sessions and listeners run, whoever spawns them.
    pub(crate) runtime: Handle,
    /// Where handlers run that were not ready at once.
    pub(crate) handlers: Handle,
    /// The thread of `runtime`, where the node has one of its own.
    pub(crate) worker: Option<Worker>,
    /// Wakes those who wait for room in the node's own queue budget.
    pub(crate) room: NodeRoom,
    /// Threads for handlers that block.
    pub(crate) blocking: Arc<Semaphore>,
    /// Connections inside their handshake.
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) links: Links,
    pub(crate) failing: Failing,
    pub(crate) measure: NodeMeasure,
}

/// What a node is made of, before it has links.
pub(crate) struct NodeParts {
    pub(crate) local: Arc<str>,
    pub(crate) path: Arc<str>,
    pub(crate) id: InstanceId,
    pub(crate) settings: Settings,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) registry: Weak<Frozen>,
    pub(crate) clock: WallClock,
    pub(crate) tasks: TaskTracker,
    pub(crate) worker: Option<Worker>,
    pub(crate) runtime: Handle,
    pub(crate) handlers: Handle,
}

impl NodeShared {
    pub(crate) fn new(parts: NodeParts) -> Arc<Self> {
        let settings = parts.settings;
        Arc::new(Self {
            measure: NodeMeasure::new(&parts.local, &parts.path),
            endpoint: parse_name(&parts.local).ok(),
            local: parts.local,
            path: parts.path,
            id: parts.id,
            auth: parts.auth,
            dialer: parts.dialer,
            registry: parts.registry,
            budgets: Budgets::new(&settings),
            shutdown: Shutdown::new(),
            started: CancellationToken::new(),
            tasks: parts.tasks,
            limiter: LogLimiter::of_known(settings.warn_interval),
            violations: LogLimiter::of_known(settings.warn_interval),
            strangers: LogLimiter::of_strangers(settings.warn_interval),
            clock: parts.clock,
            runtime: parts.runtime,
            handlers: parts.handlers,
            worker: parts.worker,
            room: NodeRoom::new(),
            blocking: Arc::new(Semaphore::new(
                settings.max_blocking.clamp(1, Semaphore::MAX_PERMITS),
            )),
            handshakes: Arc::new(Semaphore::new(
                settings.max_handshakes.clamp(1, Semaphore::MAX_PERMITS),
            )),
            links: Links::default(),
            failing: Failing::default(),
            settings,
        })
    }

    /// Runs a task of this node, whose end [`shutdown`](crate::Manager::shutdown) waits for.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn_on(task, &self.runtime)
    }

    /// As [`spawn`](Self::spawn), for what is a handler's.
    pub(crate) fn spawn_handler<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn_on(task, &self.handlers)
    }

    /// Whether connections are taken now.
    pub(crate) fn is_open(&self) -> bool {
        self.started.is_cancelled() && !self.shutdown.is_draining()
    }

    /// Wakes those who wait for room in the node's queue budget, where there is some.
    pub(crate) fn offer_room(&self) {
        self.room.offer(self.budgets.queued.may_admit());
    }

    /// The host and the port of our own name.
    pub(crate) fn address(&self) -> Option<(&str, u16)> {
        self.endpoint.as_ref().map(Endpoint::address)
    }

    /// Now, by the wall clock.
    pub(crate) fn wall_clock(&self) -> SystemTime {
        (self.clock)()
    }
}

impl fmt::Debug for NodeShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeShared")
            .field("local", &self.local)
            .field("path", &self.path)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One relationship with a remote: it lives as long as the node, while sessions come and go.
pub(crate) struct LinkShared {
    /// The remote's name.
    pub(crate) name: Arc<str>,
    /// Where to dial.
    pub(crate) target: Target,
    /// Whether we dial, by the rule of protocol section 1.
    pub(crate) dials: bool,
    pub(crate) node: Arc<NodeShared>,
    /// Where accepted connections are handed in, on the side that doesn't dial.
    pub(crate) accept: Option<AcceptHandle>,
    /// Fires when the link has to end: the node shuts down or the peer was removed.
    pub(crate) stop: CancellationToken,
    /// Fires when nothing of it is left.
    pub(crate) gone: CancellationToken,
    /// The link of the same remote that was removed before, which has to be gone first.
    pub(crate) before: Option<CancellationToken>,
    pub(crate) teller: Teller,
    /// Whether it ends because the peer was taken off the list.
    pub(crate) removed: AtomicBool,
    /// Wakes the pause before the next dial.
    pub(crate) reconnect: Notify,
    pub(crate) counters: LinkCounters,
    /// Handlers that run for this remote, of the live session and of those before.
    pub(crate) handlers: Arc<Permits>,
    /// What the remote was let in with.
    pub(crate) admissions: Admissions,
    /// What we ask to be let in with.
    pub(crate) times: RequestTimes,
    /// Bytes held for handlers and consumers, of the live session and of those before: what a peer
    /// has us hold doesn't double when it comes again.
    pub(crate) inbound: Arc<Budget>,
    /// What waits to be written, within the node's, of which a part is kept for it.
    pub(crate) queued: Arc<Budget>,
    pub(super) state: watch::Sender<LinkState>,
    session: Mutex<Option<Arc<Session>>>,
    /// Whether the remote is a node of this project, as it said last.
    ours: AtomicBool,
    pub(super) counted: Counted,
    next_mux: AtomicU64,
    pub(crate) measure: LinkMeasure,
}

impl LinkShared {
    pub(crate) fn new(
        node: Arc<NodeShared>,
        target: Target,
        name: Arc<str>,
        accept: Option<AcceptHandle>,
        first_mux: MuxId,
        before: Option<CancellationToken>,
    ) -> Arc<Self> {
        let dials = accept.is_none();
        Arc::new(Self {
            target,
            dials,
            accept,
            stop: node.shutdown.closing().child_token(),
            gone: CancellationToken::new(),
            before,
            teller: Teller::new(),
            removed: AtomicBool::new(false),
            reconnect: Notify::new(),
            counters: LinkCounters::new(),
            handlers: Permits::child(&node.budgets.handlers, node.settings.max_requests),
            admissions: Admissions::new(
                node.settings.max_clock_skew.saturating_mul(2),
                node.settings.max_remembered,
            ),
            times: RequestTimes::default(),
            inbound: Budget::child(&node.budgets.inbound, node.settings.max_inbound),
            queued: Budget::child(&node.budgets.queued, node.settings.max_queued_node),
            state: watch::Sender::new(LinkState::initial(dials)),
            session: Mutex::new(None),
            ours: AtomicBool::new(false),
            counted: Counted::default(),
            next_mux: AtomicU64::new(first_mux.get()),
            measure: node.measure.link(&name),
            name,
            node,
        })
    }

    /// The state right after a session.
    pub(crate) fn lost_state(&self, cause: Arc<LinkCause>) -> LinkState {
        if self.dials {
            LinkState::Connecting {
                attempt: 1,
                last: Some(cause),
            }
        } else {
            LinkState::Waiting { last: Some(cause) }
        }
    }

    /// Why the link ends, once [`stop`](Self::stop) has fired.
    pub(crate) fn stop_cause(&self) -> LinkCause {
        if self.removed.load(Ordering::Relaxed) {
            LinkCause::Removed
        } else {
            LinkCause::ShuttingDown
        }
    }

    pub(crate) fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// The live session, if there is one.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.lock().clone()
    }

    /// Whether the remote is a node of this project; not known, and so it is none, where the link is down: another may come
    /// in its place.
    pub(crate) fn is_ours(&self) -> bool {
        self.ours.load(Ordering::Relaxed)
    }

    pub(crate) fn attach(&self, session: Arc<Session>) {
        self.ours.store(session.peer.is_ours(), Ordering::Relaxed);
        let before = self.session.lock().replace(session);
        drop(before);
    }

    pub(crate) fn detach(&self) -> Option<Arc<Session>> {
        self.ours.store(false, Ordering::Relaxed);
        self.session.lock().take()
    }

    /// The error of a call that finds the link down.
    pub(crate) fn not_connected(&self) -> CallError {
        let state = self.state();
        if matches!(
            state.last_cause().map(|cause| &**cause),
            Some(LinkCause::ShuttingDown)
        ) && state.is_closed()
        {
            return CallError::ShuttingDown;
        }
        // Between the end of a session and the state that tells of it, the session knows why.
        let cause = state
            .last_cause()
            .cloned()
            .or_else(|| self.session().and_then(|session| session.cause()))
            // It may be off already; then that is why the link was last down.
            .or_else(|| self.counters.last_cause())
            .unwrap_or_else(|| Arc::new(LinkCause::NotTried));
        CallError::NotConnected { cause }
    }

    /// The number of the next session's first call: one counter a remote, going on over
    /// reconnects (protocol section 3).
    pub(crate) fn next_mux(&self) -> MuxId {
        MuxId::new(self.next_mux.load(Ordering::Relaxed))
    }

    pub(crate) fn set_next_mux(&self, next: MuxId) {
        self.next_mux.store(next.get(), Ordering::Relaxed);
    }
}

impl fmt::Debug for LinkShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkShared")
            .field("local", &self.node.local)
            .field("remote", &self.name)
            .field("dials", &self.dials)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
