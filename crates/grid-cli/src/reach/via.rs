//! A command's end of a control socket.

use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, CallError, Connection, Dialer, Manager, NoAuth, Target};
use grid_typed::{NoPayload, TypedError};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    control::{CLIENT, CONNECT, ConnectOrder, NODE, PATH, STATUS, settings},
    failure::Failure,
    fault::{Fault, FaultKind},
    status::{Status, parse_status},
};

/// What the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// The node knows the deadline of what it is asked for. Its word is waited for this much longer, so
/// that it is the node that says what happened.
pub(super) const WORD: Duration = Duration::from_secs(2);
/// How long a node may take to tell of itself.
const STATUS_WITHIN: Duration = Duration::from_secs(10);

/// A connection to the control socket of a running node.
#[derive(Clone, Debug)]
pub(crate) struct ControlLink {
    manager: Manager,
    pub(super) node: Connection,
    path: PathBuf,
}

impl ControlLink {
    /// Connects. A socket that can't be dialed is not tried twice.
    pub(crate) async fn dial(path: &Path, within: Duration) -> Result<Self, Failure> {
        let unreachable = |why: &dyn Display| {
            Failure::NotConnected(format!("no node at 'unix:{}': {why}", path.display()))
        };
        let manager = Manager::builder(CLIENT)
            .peers([CLIENT, NODE])
            .path(PATH)
            .settings(settings())
            .auth(NoAuth)
            .dialer(UnixDialer(path.to_owned()))
            .build()
            .map_err(|error| Failure::failed(error.to_string()))?;
        let node = manager
            .connection(NODE)
            .map_err(|error| Failure::failed(error.to_string()))?;
        let link = Self {
            manager,
            path: path.to_owned(),
            node,
        };
        let mut states = link.node.watch();
        let settled = states.wait_for(|state| state.is_connected() || state.last_cause().is_some());
        let cause = match timeout(within, settled).await {
            Ok(Ok(state)) => state.last_cause().cloned(),
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => {
                return Err(unreachable(&format_args!(
                    "no answer within {}",
                    humantime::format_duration(within)
                )));
            }
        };
        match cause {
            None => Ok(link),
            Some(cause) => {
                link.leave().await;
                Err(unreachable(&cause))
            }
        }
    }

    /// Waits until the node has a link to `to`.
    pub(super) async fn connect(&self, to: &str, within: Duration) -> Result<(), Failure> {
        let order = ConnectOrder {
            to: to.to_owned(),
            timeout_ms: millis(within),
        };
        let answer = CONNECT.call(&self.node, &order).timeout(within + WORD);
        match answer.await {
            Ok(connected) => connected.map_err(|fault| fault.into_failure(to, within)),
            // Whatever became of the node between, nothing was sent to the one that was meant.
            Err(error) => Err(Failure::NotConnected(self.fault(&error).text)),
        }
    }

    /// The node's status.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        status_of(&self.node, &self.path).await
    }

    pub(crate) async fn leave(self) {
        self.manager.shutdown(GOODBYE).await;
    }

    /// What the control socket did instead of answering.
    pub(super) fn fault(&self, error: &TypedError) -> Fault {
        hop_fault(&self.path, error)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The status of a node at the other end of a control socket.
pub(super) async fn status_of(node: &Connection, path: &Path) -> Result<Status, Failure> {
    let call = STATUS.call(node, &NoPayload).timeout(STATUS_WITHIN);
    let failed = |why: &dyn Display| {
        Failure::failed(format!(
            "the status of the node at 'unix:{}': {why}",
            path.display()
        ))
    };
    let json = call.await.map_err(|error| match hop_fault(path, &error) {
        Fault {
            kind: FaultKind::NotConnected | FaultKind::Disconnected,
            text,
        } => Failure::NotConnected(text),
        fault => failed(&fault),
    })?;
    parse_status(&json).map_err(|why| failed(&why))
}

/// The fault of a call that did not get past the control socket.
pub(super) fn hop_fault(path: &Path, error: &TypedError) -> Fault {
    let fault = match error.as_call() {
        // Only a node that goes says so on its control socket.
        Some(CallError::ShuttingDown) => Fault::new(FaultKind::Disconnected, "it shuts down"),
        Some(error) => Fault::from(error.clone()),
        None => Fault::new(FaultKind::Protocol, error.to_string()),
    };
    match fault.kind {
        FaultKind::Deadline => fault,
        kind => Fault::new(
            kind,
            format!("the node at 'unix:{}': {}", path.display(), fault.text),
        ),
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Dials a socket in the file system, whatever the name says.
#[derive(Debug)]
struct UnixDialer(PathBuf);

impl Dialer for UnixDialer {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(UnixStream::connect(&self.0).await?) as BoxIo) })
    }
}
