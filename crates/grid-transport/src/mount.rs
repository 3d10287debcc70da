//! Connections that an HTTP server of the application has upgraded.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit, time::timeout};

use crate::{
    auth::UpgradeHeaders,
    io::BoxIo,
    link::{
        accept::{self, Origin},
        shared::NodeShared,
    },
    listener::KEEPALIVE,
    manager::Manager,
    socket::tune,
    trace::Cut,
    ws::{RequestHead, Role, Status, Ws},
};

impl Manager {
    /// Takes a connection that an HTTP server of the application has upgraded to a websocket, so that a grid can stand
    /// under a path of it. Returns at once; the handshake goes on in the background.
    ///
    /// The application looks at the request: its path, its headers as far as they matter to it (nobody asks
    /// [`Auth::check_headers`](crate::Auth::check_headers) here), and whether it asks for a websocket of version 13. It
    /// answers with 101, `Upgrade: websocket`, `Connection: Upgrade` and the `Sec-WebSocket-Accept` of the request's
    /// key, without extensions. Then it takes the byte stream back and hands it in, with what the server has read behind
    /// the request (`ahead`). Nothing of the server's may act on the stream from then on, least of all an idle timeout.
    ///
    /// `from` says where the connection comes from, for the log: an address without its port. The handshake counts
    /// among [`max_handshakes`](crate::Settings#structfield.max_handshakes), and ends in its
    /// [`handshake_timeout`](crate::Settings#structfield.handshake_timeout).
    ///
    /// False when the connection was closed at once: the node has not started or is shutting down, or too many are at
    /// their handshake.
    pub fn serve_upgraded(&self, io: BoxIo, ahead: Bytes, from: &str) -> bool {
        let node = self.node();
        if !node.is_open() {
            return false;
        }
        let Some(permit) = permit(node, from) else {
            return false;
        };
        let (node, from) = (node.clone(), from.to_owned());
        node.clone().spawn(async move {
            greet(&node, io, ahead, from, node.settings.handshake_timeout).await;
            drop(permit);
        });
        true
    }
}

/// To be at the handshake, unless too many are.
pub(crate) fn permit(node: &NodeShared, from: &str) -> Option<OwnedSemaphorePermit> {
    let permit = node.handshakes.clone().try_acquire_owned().ok();
    if permit.is_none()
        && let Some(suppressed) = node.strangers.allow(from, "too many handshakes")
    {
        tracing::warn!(target: "grid::accept", from, suppressed, "too many handshakes at once");
    }
    permit
}

/// The handshake with whoever has been granted the upgrade; within that time.
pub(crate) async fn greet(
    node: &Arc<NodeShared>,
    io: BoxIo,
    ahead: Bytes,
    from: String,
    limit: Duration,
) {
    // The servers of others leave a socket as it comes, and small writes would wait for the answers to others.
    if let Some(stream) = (*io).as_any().downcast_ref::<TcpStream>()
        && let Err(error) = tune(stream, Some(KEEPALIVE))
    {
        tracing::debug!(target: "grid::accept", from, %error, "a socket can't be tuned");
    }
    let origin = Origin {
        address: from.clone(),
        names: (*io).peer_names().cloned(),
    };
    let ws = Ws::new(io, BytesMut::from(ahead), Role::Server, &node.settings);
    let late = tokio::select! {
        biased;
        () = node.shutdown.closing().cancelled() => false,
        greeted = timeout(limit, accept::accept(node, ws, origin)) => greeted.is_err(),
    };
    if late {
        turned_away(
            node,
            &from,
            "handshake timed out",
            &format_args!("{limit:?}"),
        );
    }
}

/// Tells of a connection that did not become one of this grid: once an interval for each host and kind, whatever it sends.
pub(crate) fn turned_away(
    node: &NodeShared,
    from: &str,
    what: &'static str,
    why: &dyn fmt::Display,
) {
    if let Some(suppressed) = node.strangers.allow(from, what) {
        tracing::warn!(
            target: "grid::accept",
            local = %node.local,
            from,
            suppressed,
            reason = %Cut(why),
            "{what}"
        );
    }
}

/// Whether a node takes whoever sends such a head.
pub(crate) async fn look_at(
    node: &NodeShared,
    head: &RequestHead,
    from: &str,
) -> Result<(), Status> {
    if !node.is_open() {
        return Err(Status::Unavailable);
    }
    let headers = UpgradeHeaders::new(head.bearer.as_deref(), head.time, node.wall_clock());
    if let Err(reason) = node.auth.check_headers(headers).await {
        turned_away(node, from, "upgrade refused", &reason);
        return Err(Status::Forbidden);
    }
    Ok(())
}
