//! Building a node, and refusing one that can't work.

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use grid_proto::{HandlerId, InstanceId, Payload, conn::Capacity};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    auth::Auth,
    build_error::{BuildError, RegisterError},
    config::{NameFault, Settings},
    error::HandlerError,
    handler::Request,
    io::{Dialer, Target, TcpDialer},
    link::shared::{NodeParts, NodeShared, WallClock},
    manager::{LAST_WORD, Manager},
    registration::{Registration, SingleHandler, StreamHandler},
    registry::Registry,
    socket::RECEIVE_BUFFERS,
    stream::StreamCall,
    worker::Worker,
};

/// The route path of a grid where none is given.
const DEFAULT_PATH: &str = "/minio/grid/v1";

/// What a [`Manager`] is built from; see [`Manager::builder`].
#[must_use = "a node is built with `build`"]
pub struct Builder {
    local: String,
    peers: Vec<String>,
    path: String,
    settings: Settings,
    auth: Option<Arc<dyn Auth>>,
    dialer: Arc<dyn Dialer>,
    registry: Registry,
    refused: Option<RegisterError>,
    clock: WallClock,
    held: bool,
}

impl Builder {
    pub(crate) fn new(local: String) -> Self {
        Self {
            local,
            peers: Vec::new(),
            path: DEFAULT_PATH.to_owned(),
            settings: Settings::new(),
            auth: None,
            dialer: Arc::new(TcpDialer::new()),
            registry: Registry::new(),
            refused: None,
            clock: Arc::new(SystemTime::now),
            held: false,
        }
    }

    /// Nothing connects before [`Manager::start`]: for applications that have to load what their handlers need first.
    /// Until then this node does not dial, and whoever dials it is refused with status 503 and tries again; calls that
    /// [wait](crate::RequestBuilder::wait_ready) for the link wait for the start too. By default a node starts as soon as it is built.
    pub fn hold(mut self) -> Self {
        self.held = true;
        self
    }

    /// The names of all nodes, the local one among them. May be called more than once.
    pub fn peers<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.peers.extend(names.into_iter().map(Into::into));
        self
    }

    /// How this node shows who it is, and how it checks others. There is no default: a grid that is
    /// open to all says [`NoAuth`](crate::NoAuth).
    pub fn auth(mut self, auth: impl Auth) -> Self {
        self.auth = Some(Arc::new(auth));
        self
    }

    /// The route path under which the grid is found (protocol section 2). Default
    /// `/minio/grid/v1`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Limits and intervals.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How remotes are dialed. Default [`TcpDialer`].
    pub fn dialer(mut self, dialer: impl Dialer) -> Self {
        self.dialer = Arc::new(dialer);
        self
    }

    /// The wall clock, which is compared with that of others in a handshake. For tests; the
    /// default is the system's.
    pub fn wall_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Serves the handlers of this registry, in place of those registered so far.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = registry.clone();
        self
    }

    /// Registers a handler of single requests.
    ///
    /// **A single request is an action: once begun, its handler runs to its end**, also when its
    /// caller has gone, its deadline has passed or the connection was lost; its token tells it.
    /// For other ways to run it see [`SingleHandler`] and [`register`](Self::register).
    pub fn single<F, Fut>(self, id: HandlerId, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, HandlerError>> + Send + 'static,
    {
        self.register(SingleHandler::new(id, handler))
    }

    /// Registers a handler of streams.
    ///
    /// **A stream is a conversation: its handler's future is dropped at its await point** when its
    /// caller goes, its deadline passes or the connection ends. For other ways to run it see
    /// [`StreamHandler`] and [`register`](Self::register).
    pub fn stream<F, Fut>(self, id: HandlerId, capacity: Capacity, handler: F) -> Self
    where
        F: Fn(StreamCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.register(StreamHandler::new(id, capacity, handler))
    }

    /// Registers a handler of either kind, with the options that it was given. Single handlers
    /// run to their end and those of streams are dropped with their caller, unless they say
    /// otherwise. A handler that can't be registered makes [`build`](Self::build) fail.
    pub fn register(mut self, handler: impl Into<Registration>) -> Self {
        if let Err(error) = self.registry.register(handler) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Starts the node: links are dialed from now on, unless it is to [hold](Self::hold), and its handlers are frozen.
    ///
    /// # Errors
    ///
    /// When there is no [`auth`](Self::auth); when the local name is not among the peers; when a
    /// name is there twice or is none (no `http://` or `https://`, a path or slash at its end,
    /// capital letters); when a handler can't be registered or a setting can't work; where it can't
    /// have a worker of its own; and outside of a tokio runtime. Each quotes the value, and the list where there is one.
    pub fn build(self) -> Result<Manager, BuildError> {
        let targets = self.check_names()?;
        if let Some(error) = self.refused {
            return Err(error.into());
        }
        check_path(&self.path)?;
        check_settings(&self.settings)?;
        let Some(auth) = self.auth else {
            return Err(BuildError::NoAuth {
                local: self.local.into(),
            });
        };
        let handlers = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let tasks = TaskTracker::new();
        let worker = match self.settings.own_worker {
            true => {
                let patience = self.settings.teardown + LAST_WORD;
                let worker = Worker::start(tasks.clone(), patience);
                Some(worker.map_err(|error| BuildError::NoWorker(Arc::new(error)))?)
            }
            false => None,
        };
        let runtime = match &worker {
            Some(worker) => worker.handle().clone(),
            None => handlers.clone(),
        };
        let registry = self.registry.freeze();
        let node = NodeShared::new(NodeParts {
            local: self.local.into(),
            path: self.path.into(),
            id: InstanceId::new(rand::random()),
            settings: self.settings,
            auth,
            dialer: self.dialer,
            registry: Arc::downgrade(&registry),
            clock: self.clock,
            tasks,
            worker,
            runtime,
            handlers,
        });
        #[cfg(feature = "metrics")]
        node.measure.handlers(&registry);
        if !self.held {
            node.started.cancel();
        }
        if let Some(worker) = &node.worker {
            worker.end_with(&node.handlers, &node.tasks, &node.shutdown);
        }
        let manager = Manager::new(node, registry);
        for target in targets {
            manager.start_link(target);
        }
        Ok(manager)
    }

    /// The remotes, which are all names but the local one.
    fn check_names(&self) -> Result<Vec<Target>, BuildError> {
        let bad = |name: &str, fault: NameFault| BuildError::BadName {
            name: name.into(),
            reason: fault.text(),
            peers: self.peers.clone(),
        };
        let local = Target::new(&self.local).map_err(|fault| bad(&self.local, fault))?;
        let mut seen = BTreeSet::new();
        let mut remotes = Vec::new();
        for name in &self.peers {
            let target = Target::new(name).map_err(|fault| bad(name, fault))?;
            if !seen.insert(name) {
                let (name, peers) = (name.as_str().into(), self.peers.clone());
                return Err(BuildError::Twice { name, peers });
            }
            if target.name() != local.name() {
                remotes.push(target);
            }
        }
        if !seen.contains(&self.local) {
            let (local, peers) = (self.local.as_str().into(), self.peers.clone());
            return Err(BuildError::LocalMissing { local, peers });
        }
        Ok(remotes)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("local", &self.local)
            .field("peers", &self.peers)
            .field("path", &self.path)
            .field("settings", &self.settings)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

fn check_path(path: &str) -> Result<(), BuildError> {
    let plain = path
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    if path.starts_with('/') && plain {
        Ok(())
    } else {
        Err(BuildError::BadPath { path: path.into() })
    }
}

/// Periods are added to times; what is longer than this is a mistake, and may be past all clocks.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Limits of nothing let nothing through, and periods of nothing are always due.
fn check_settings(settings: &Settings) -> Result<(), BuildError> {
    let bad = |setting: &'static str, value: String| {
        Err(BuildError::BadSetting {
            setting,
            value: value.into(),
        })
    };
    for (setting, value) in [
        ("max_message", settings.max_message),
        ("max_handshake_message", settings.max_handshake_message),
        ("max_head", settings.max_head),
        ("max_handshakes", settings.max_handshakes),
        ("max_requests", settings.max_requests),
        ("max_handlers", settings.max_handlers),
        ("max_streams", settings.max_streams),
        ("max_blocking", settings.max_blocking),
        ("max_queued", settings.max_queued),
        ("max_queued_node", settings.max_queued_node),
        ("max_control", settings.max_control),
        ("max_inbound", settings.max_inbound),
        ("max_inbound_node", settings.max_inbound_node),
        ("read_chunk", settings.read_chunk),
    ] {
        if value == 0 {
            return bad(setting, value.to_string());
        }
    }
    if let Some(bytes) = settings.receive_buffer
        && !RECEIVE_BUFFERS.contains(&bytes)
    {
        return bad("receive_buffer", bytes.to_string());
    }
    for (setting, value) in [
        ("handshake_timeout", settings.handshake_timeout),
        ("dial_timeout", settings.dial_timeout),
        ("write_timeout", settings.write_timeout),
        ("ping_interval", settings.ping_interval),
        ("stream_ping_interval", settings.stream_ping_interval),
        ("default_deadline", settings.default_deadline),
    ] {
        if value.as_millis() == 0 {
            return bad(setting, format!("{value:?}"));
        }
    }
    for (setting, value) in [
        ("room_timeout", settings.room_timeout),
        ("teardown", settings.teardown),
        ("ping_interval", settings.ping_interval),
        ("stream_ping_interval", settings.stream_ping_interval),
        ("default_deadline", settings.default_deadline),
        ("redial_jitter", settings.redial_jitter),
        ("redial_interval", settings.redial_interval),
        ("redial_max", settings.redial_max),
        ("replace_after", settings.replace_after),
    ] {
        if value > LONGEST {
            return bad(setting, format!("{value:?}"));
        }
    }
    Ok(())
}
