//! Two nodes over TCP.

use grid_transport::{Builder, Connection, Manager, NoAuth};
use grid_typed::ManagerBuilderExt as _;
use tokio::net::TcpListener;

use crate::common::{FENCE, LONG, soon};

pub(crate) struct Nodes {
    pub(crate) a: Manager,
    pub(crate) b: Manager,
}

impl Nodes {
    /// `configure` gets the builder of each, which has the fence already.
    pub(crate) async fn tcp(configure: impl Fn(Builder) -> Builder) -> Self {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            sockets.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let names: Vec<String> = sockets
            .iter()
            .map(|socket| format!("http://{}", socket.local_addr().unwrap()))
            .collect();
        let mut nodes = Vec::new();
        for (socket, local) in sockets.into_iter().zip(&names) {
            let builder = Manager::builder(local).peers(&names).auth(NoAuth);
            let builder = builder.typed(&FENCE, |number, _| async move { Ok(number) });
            let node = configure(builder).build().unwrap();
            node.serve(socket).unwrap();
            nodes.push(node);
        }
        let [a, b] = <[Manager; 2]>::try_from(nodes).unwrap();
        let nodes = Self { a, b };
        for peer in nodes.both() {
            soon(peer.connected()).await.unwrap();
        }
        nodes
    }

    /// How each calls the other.
    pub(crate) fn both(&self) -> [Connection; 2] {
        [
            self.a.connection(self.b.local()).unwrap(),
            self.b.connection(self.a.local()).unwrap(),
        ]
    }

    /// The link works, was never lost, and nothing stays open or running on it.
    pub(crate) async fn well(&self) {
        let mut busy = None;
        for _ in 0..20_000 {
            for peer in self.both() {
                assert_eq!(FENCE.call(&peer, &7).timeout(LONG).await.unwrap(), 7);
            }
            busy = self.both().iter().map(Connection::stats).find(|stats| {
                assert_eq!(stats.reconnects, 0, "{stats:?}");
                (stats.open_requests, stats.open_streams) != (0, 0)
                    || (stats.serving_requests, stats.serving_streams) != (0, 0)
                    || stats.running_handlers != 0
            });
            if busy.is_none() {
                return;
            }
        }
        panic!("never at rest: {busy:#?}");
    }
}
