//! A listener of our own: HTTP/1.1 up to the upgrade, then grids, each under its route path.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, select_all};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::{
    config::Settings,
    io::BoxIo,
    link::{
        accept::{self, Origin},
        shared::NodeShared,
    },
    manager::Manager,
    mount, session,
    socket::tune,
    trace::Cut,
    worker,
    ws::{self, HeadError, RequestHead, Role, Status, Ws},
};

/// How long to wait after a failed accept, which is mostly that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long an idle connection is silent before the kernel probes it.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where byte streams come from: a listening socket, or something in memory.
///
/// One that knows who is at the other end returns its streams as [`Identified`](crate::Identified); a connect request in
/// another name is refused then.
pub trait Accept: Send + 'static {
    /// The next stream, and where it comes from: for the log, and to count refusals by. For TCP that is the address
    /// without the port.
    ///
    /// # Errors
    ///
    /// When this one can't be had; the next may.
    ///
    /// # Cancel safety
    ///
    /// No stream may be lost when the future is dropped.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>>;
}

impl Accept for TcpListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (stream, from) = Self::accept(self).await?;
            tune(&stream, Some(KEEPALIVE))?;
            Ok((Box::new(stream) as BoxIo, from.ip().to_string()))
        })
    }
}

/// Serves one or more grids on one listening socket, told apart by their route paths (protocol section 2).
///
/// A single grid needs none: see [`Manager::serve`].
///
/// ```
/// use grid_transport::{Listener, Manager, NoAuth};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (local, remote) = ("http://127.0.0.1:9001", "http://127.0.0.1:9002");
/// let storage = Manager::builder(local).peers([local, remote]).auth(NoAuth).build()?;
/// let locks = Manager::builder(local)
///     .peers([local, remote])
///     .auth(NoAuth)
///     .path("/minio/grid/lock/v1")
///     .build()?;
///
/// let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let serving = Listener::new().route(&storage).route(&locks).serve(socket)?;
/// serving.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Listener {
    nodes: Vec<Arc<NodeShared>>,
}

impl Listener {
    /// Without a grid.
    pub const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// Serves `manager` under its route path. The handshake limits of the first one hold for all.
    pub fn route(mut self, manager: &Manager) -> Self {
        self.nodes.push(manager.node().clone());
        self
    }

    /// Accepts connections until the [`Serving`] is stopped or every manager shuts down.
    ///
    /// # Errors
    ///
    /// When there is no grid to serve, two have the same route path, or the socket has no address or can't be moved.
    pub fn serve(self, socket: TcpListener) -> io::Result<Serving> {
        let address = socket.local_addr()?;
        let socket = worker::adopt(&self.nodes, socket)?;
        let mut serving = self.serve_on(socket)?;
        serving.address = Some(address);
        Ok(serving)
    }

    /// As [`serve`](Self::serve), with streams from anywhere.
    ///
    /// # Errors
    ///
    /// When there is no grid to serve, or two have the same route path.
    pub fn serve_on(self, source: impl Accept) -> io::Result<Serving> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        for (index, node) in self.nodes.iter().enumerate() {
            if self
                .nodes
                .iter()
                .take(index)
                .any(|other| other.path == node.path)
            {
                return Err(invalid(format!(
                    "two grids have the route path {:?}",
                    node.path
                )));
            }
        }
        let Some(first) = self.nodes.first().cloned() else {
            return Err(invalid("there is no grid to serve".to_owned()));
        };
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            settings: first.settings.clone(),
            permits: first.handshakes.clone(),
            nodes: self.nodes,
            stop: stop.clone(),
        });
        let runtime = first.listens_on(shared.nodes.len() == 1);
        let task = runtime.spawn(run(shared, source));
        Ok(Serving {
            address: None,
            stop,
            task,
        })
    }
}

impl Manager {
    /// Accepts connections on `socket`, until the [`Serving`] is stopped or the manager shuts down.
    ///
    /// # Errors
    ///
    /// When the socket has no address, or can't be moved to the node's own worker.
    pub fn serve(&self, socket: TcpListener) -> io::Result<Serving> {
        Listener::new().route(self).serve(socket)
    }

    /// As [`serve`](Self::serve), with streams from anywhere.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn serve_on(&self, source: impl Accept) -> io::Result<Serving> {
        Listener::new().route(self).serve_on(source)
    }
}

/// A listener at work. It goes on when this is dropped, until every manager behind it shuts down.
pub struct Serving {
    address: Option<SocketAddr>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    /// The address of the socket; `None` where there is no socket.
    #[must_use]
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Closes the socket and gives up the handshakes that are under way. Links that are up stay up.
    ///
    /// # Cancel safety
    ///
    /// The listener stops all the same.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }

    /// Returns when it has ended, which it does when every manager shuts down.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

struct Shared {
    settings: Settings,
    permits: Arc<Semaphore>,
    nodes: Vec<Arc<NodeShared>>,
    stop: CancellationToken,
}

/// A grid behind the listener, which waits for it when it shuts down.
struct Route {
    node: Arc<NodeShared>,
    _token: TaskTrackerToken,
}

async fn run(shared: Arc<Shared>, mut source: impl Accept) {
    let stop = shared.stop.clone();
    let _stopped = stop.clone().drop_guard();
    let route = |node: &Arc<NodeShared>| Route {
        node: node.clone(),
        _token: node.tasks.token(),
    };
    let mut routes: Vec<Route> = shared.nodes.iter().map(route).collect();
    let handshakes = TaskTracker::new();
    while !routes.is_empty() {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = any_draining(&routes) => {
                routes.retain(|route| !route.node.shutdown.is_draining());
            }
            accepted = source.accept() => match accepted {
                Ok((io, from)) => admit(&shared, &handshakes, io, from),
                Err(error) => pause(&shared, &stop, &error).await,
            },
        }
    }
    drop(source);
    stop.cancel();
    handshakes.close();
    handshakes.wait().await;
}

async fn any_draining(routes: &[Route]) {
    let draining = routes
        .iter()
        .map(|route| Box::pin(route.node.shutdown.draining().cancelled()));
    select_all(draining).await;
}

async fn pause(shared: &Shared, stop: &CancellationToken, error: &io::Error) {
    let told = shared
        .nodes
        .first()
        .and_then(|node| node.limiter.allow("listener", "accept"));
    if let Some(suppressed) = told {
        tracing::warn!(target: "grid::accept", suppressed, error = %Cut(error), "can't accept a connection");
    }
    if error.kind() == io::ErrorKind::ConnectionAborted {
        // There may be any number of these at once, and others have their turn between.
        session::turn().await;
    } else {
        let _ = timeout(ACCEPT_PAUSE, stop.cancelled()).await;
    }
}

/// Begins the handshake of one connection, unless there are too many at it.
fn admit(shared: &Arc<Shared>, handshakes: &TaskTracker, io: BoxIo, from: String) {
    let Ok(permit) = shared.permits.clone().try_acquire_owned() else {
        if let Some(suppressed) = log_permit(shared, &from, "too many handshakes") {
            tracing::warn!(target: "grid::accept", from, suppressed, "too many handshakes at once");
        }
        return;
    };
    handshakes.spawn(attend(shared.clone(), io, from, permit));
}

async fn attend(shared: Arc<Shared>, io: BoxIo, from: String, _permit: OwnedSemaphorePermit) {
    let limit = shared.settings.handshake_timeout;
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => {}
        outcome = timeout(limit, receive(&shared, io, &from)) => match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => turned_away(&shared, &from, "no upgrade", &error),
            Err(_) => turned_away(&shared, &from, "handshake timed out", &format_args!("{limit:?}")),
        },
    }
}

async fn receive(shared: &Shared, mut io: BoxIo, from: &str) -> Result<(), HeadError> {
    let (head, ahead) = match RequestHead::read(&mut io, shared.settings.max_head).await {
        Ok(read) => read,
        Err(error) => {
            let status = match error {
                HeadError::TooLong => Status::HeadTooLong,
                HeadError::Malformed => Status::BadRequest("malformed request"),
                HeadError::Io(_) => return Err(error),
            };
            ws::respond(&mut io, status).await?;
            return Err(error);
        }
    };
    let node = match route(shared, &head, from).await {
        Ok(node) => node,
        Err(status) => return refuse(shared, &mut io, from, status).await,
    };
    let answer = match head.switching() {
        Ok(answer) => answer,
        Err(status) => return refuse(shared, &mut io, from, status).await,
    };
    io.write_all(answer.as_bytes()).await?;
    io.flush().await?;
    let origin = Origin {
        address: from.to_owned(),
        names: (*io).peer_names().cloned(),
    };
    let ws = Ws::new(io, ahead, Role::Server, &node.settings);
    tokio::select! {
        biased;
        () = node.shutdown.closing().cancelled() => {}
        () = accept::accept(&node, ws, origin) => {}
    }
    Ok(())
}

async fn refuse(
    shared: &Shared,
    io: &mut BoxIo,
    from: &str,
    status: Status,
) -> Result<(), HeadError> {
    // Whoever looked at the headers has told of them.
    if !matches!(status, Status::Forbidden) {
        turned_away(shared, from, "upgrade refused", &status);
    }
    Ok(ws::respond(io, status).await?)
}

/// Tells of a connection that did not become one of a grid: once an interval for each host and
/// kind, whatever it sends.
fn turned_away(shared: &Shared, from: &str, what: &'static str, why: &dyn fmt::Display) {
    if let Some(suppressed) = log_permit(shared, from, what) {
        tracing::warn!(target: "grid::accept", from, suppressed, reason = %Cut(why), "{what}");
    }
}

/// The grid that a request is for, if its headers are good enough.
async fn route(shared: &Shared, head: &RequestHead, from: &str) -> Result<Arc<NodeShared>, Status> {
    let node = shared
        .nodes
        .iter()
        .find(|node| *node.path == *head.path)
        .ok_or(Status::NotFound)?;
    mount::look_at(node, head, from).await?;
    Ok(node.clone())
}

fn log_permit(shared: &Shared, from: &str, kind: &'static str) -> Option<u64> {
    shared
        .nodes
        .first()
        .and_then(|node| node.strangers.allow(from, kind))
}
