//! Nodes, each of them a lock server and a caller. In life each has a process of its own.

use std::time::Duration;

use grid_transport::{Manager, SharedSecret};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::locks::{Locks, Timing};
use crate::server::Server;

pub(crate) struct Node {
    manager: Manager,
    pub(crate) locks: Locks,
}

impl Node {
    /// Ends it as a crash would: no call is waited for, and nobody is told anything but that the
    /// connections are closed.
    pub(crate) async fn kill(self) {
        println!("{} is killed", self.manager.local());
        self.manager.shutdown(Duration::ZERO).await;
    }

    pub(crate) async fn end(self) {
        self.manager.shutdown(Duration::from_secs(1)).await;
    }
}

/// So many nodes, all of them connected to all others.
pub(crate) async fn start(count: usize, timing: Timing) -> Outcome<Vec<Node>> {
    // A node is known by its URL, so the ports come first.
    let (mut sockets, mut names) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        names.push(format!("http://{}", socket.local_addr()?));
        sockets.push(socket);
    }
    let mut nodes = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        let server = Server::new(timing.lease);
        let node = Manager::builder(name)
            .peers(&names)
            .auth(SharedSecret::new("open sesame"));
        let manager = server.register(node).build()?;
        manager.serve(socket)?;
        let locks = Locks::new(name, server, manager.connections(), timing);
        nodes.push(Node { manager, locks });
    }
    for node in &nodes {
        for peer in node.manager.connections() {
            peer.connected().await?;
        }
    }
    Ok(nodes)
}
