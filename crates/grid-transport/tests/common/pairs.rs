//! Two nodes over TCP.

use std::time::Duration;

use grid_transport::{Builder, Connection, Manager, NoAuth, Serving};
use tokio::net::TcpListener;

/// Two nodes that are connected over loopback.
pub(crate) struct TcpPair {
    a: Manager,
    b: Manager,
    serving: Vec<Serving>,
}

/// Both are configured alike.
pub(crate) async fn tcp(configure: impl Fn(Builder) -> Builder) -> TcpPair {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        sockets.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let names: Vec<_> = sockets
        .iter()
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()))
        .collect();
    let mut serving = Vec::new();
    let mut nodes = names.iter().zip(sockets).map(|(name, socket)| {
        let node = Manager::builder(name).peers(names.clone()).auth(NoAuth);
        let node = configure(node).build().unwrap();
        serving.push(node.serve(socket).unwrap());
        node
    });
    let (a, b) = (nodes.next().unwrap(), nodes.next().unwrap());
    drop(nodes);
    let pair = TcpPair { a, b, serving };
    pair.a_to_b().connected().await.unwrap();
    pair.b_to_a().connected().await.unwrap();
    pair
}

impl TcpPair {
    pub(crate) fn a_to_b(&self) -> Connection {
        self.a.connection(self.b.local()).unwrap()
    }

    pub(crate) fn b_to_a(&self) -> Connection {
        self.b.connection(self.a.local()).unwrap()
    }

    pub(crate) async fn shutdown(self, grace: Duration) {
        tokio::join!(self.a.shutdown(grace), self.b.shutdown(grace));
        for mut serving in self.serving {
            serving.stopped().await;
        }
    }
}
