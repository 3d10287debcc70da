//! Connections that an HTTP server of the application has upgraded.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use crate::{
    io::BoxIo,
    link::{
        accept::{self, Origin},
        shared::NodeShared,
    },
    manager::Manager,
    ws::{Role, Ws},
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
    /// False when the connection was closed at once: the node is shutting down, or too many are at their handshake.
    pub fn serve_upgraded(&self, io: BoxIo, ahead: Bytes, from: &str) -> bool {
        let node = self.node();
        if node.shutdown.is_draining() {
            return false;
        }
        let Ok(permit) = node.handshakes.clone().try_acquire_owned() else {
            if let Some(suppressed) = node.strangers.allow(from, "too many handshakes") {
                tracing::warn!(target: "grid::accept", from, suppressed, "too many handshakes at once");
            }
            return false;
        };
        let (node, from) = (node.clone(), from.to_owned());
        node.clone().spawn(async move {
            let origin = Origin {
                address: from,
                names: (*io).peer_names().cloned(),
            };
            let ws = Ws::new(io, BytesMut::from(ahead), Role::Server, &node.settings);
            greet(&node, ws, origin).await;
            drop(permit);
        });
        true
    }
}

async fn greet(node: &Arc<NodeShared>, ws: Ws, origin: Origin) {
    let from = origin.address.clone();
    let limit: Duration = node.settings.handshake_timeout;
    let late = tokio::select! {
        biased;
        () = node.shutdown.closing().cancelled() => false,
        greeted = timeout(limit, accept::accept(node, ws, origin)) => greeted.is_err(),
    };
    if late && let Some(suppressed) = node.strangers.allow(&from, "handshake timed out") {
        tracing::warn!(
            target: "grid::accept",
            from,
            suppressed,
            reason = %format_args!("{limit:?}"),
            "handshake timed out"
        );
    }
}
