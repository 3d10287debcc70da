//! Two nodes over TCP.

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Builder, Connection, Dialer, Manager, NoAuth, Serving, Target};
use tokio::net::TcpSocket;

/// Two nodes that are connected over loopback.
pub(crate) struct TcpPair {
    a: Manager,
    b: Manager,
    serving: Vec<Serving>,
}

/// So much is received at most and not read yet, whatever the system would have.
const RECEIVED: u32 = 256 * 1024;

struct Narrow;

impl Dialer for Narrow {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let address = target.authority().parse().map_err(io::Error::other)?;
            let stream = socket()?.connect(address).await?;
            // What our own dialer sets.
            stream.set_nodelay(true)?;
            #[cfg(target_os = "linux")]
            socket2::SockRef::from(&stream).set_tcp_notsent_lowat(256 * 1024)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVED)?;
    Ok(socket)
}

/// Both are configured alike.
pub(crate) async fn tcp(configure: impl Fn(Builder) -> Builder) -> TcpPair {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        // Accepted sockets have it from their listener.
        let socket = socket().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        sockets.push(socket.listen(16).unwrap());
    }
    let names: Vec<_> = sockets
        .iter()
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()))
        .collect();
    let mut serving = Vec::new();
    let mut nodes = names.iter().zip(sockets).map(|(name, socket)| {
        let node = Manager::builder(name)
            .peers(names.clone())
            .auth(NoAuth)
            .dialer(Narrow);
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
