//! Nodes of ours for tests over raw TCP.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::BoxFuture;
use grid_transport::{
    Auth, AuthError, BoxIo, Builder, Connection, Dialer, LinkCause, LinkState, Manager, MuxId,
    Settings, Target, TcpDialer, TokenContext, UpgradeHeaders,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use super::raw::PATIENCE;

/// Of this pair `A` dials.
pub(crate) const A: &str = "http://node-a:9000";
pub(crate) const B: &str = "http://node-b:9000";
/// `B` dials this one.
pub(crate) const C: &str = "http://node-c0:9000";

/// Dials one address, whatever the name.
pub(crate) struct Redirect(pub(crate) SocketAddr);

impl Dialer for Redirect {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async { Ok(Box::new(TcpStream::connect(self.0).await?) as BoxIo) })
    }
}

/// Reaches nobody, at once. A name that doesn't resolve may take its time to.
pub(crate) struct Nobody;

impl Dialer for Nobody {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

/// Shows `token`, and finds only `debug` valid. Its words are those of the recorded node.
pub(crate) struct Debug {
    pub(crate) token: &'static str,
    pub(crate) refuse_headers: bool,
}

pub(crate) const DEBUG: Debug = Debug {
    token: "debug",
    refuse_headers: false,
};

impl Auth for Debug {
    fn token<'a>(&'a self, _: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        Box::pin(async { Ok(self.token.to_owned()) })
    }

    fn check<'a>(
        &'a self,
        token: &'a [u8],
        _: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async move {
            match token {
                b"debug" => Ok(()),
                other => {
                    let other = String::from_utf8_lossy(other);
                    Err(AuthError::new(&format!(
                        "invalid token. want empty, got {other}"
                    )))
                }
            }
        })
    }

    fn check_headers<'a>(&'a self, _: UpgradeHeaders<'a>) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async {
            if self.refuse_headers {
                Err(AuthError::new("not with these headers"))
            } else {
                Ok(())
            }
        })
    }
}

/// Quick to redial, slow to ping, and counting its calls from 1.
pub(crate) fn settings() -> Settings {
    Settings::new()
        .redial_at_once_after(Duration::ZERO)
        .redial_jitter(Duration::ZERO)
        .redial_interval(Duration::from_millis(50))
        .replace_after(Duration::ZERO)
        .ping_interval(Duration::from_secs(3_600))
        .stream_ping_interval(Duration::from_secs(3_600))
        .first_mux(Some(MuxId::new(1)))
}

/// A node that waits to be dialed.
pub(crate) fn builder(local: &str, remotes: &[&str]) -> Builder {
    let names = remotes.iter().copied().chain([local]);
    Manager::builder(local)
        .peers(names)
        .auth(DEBUG)
        .settings(settings())
        .dialer(Nobody)
}

pub(crate) async fn connected(connection: &Connection) {
    timeout(PATIENCE, connection.connected())
        .await
        .expect("not connected")
        .unwrap();
}

/// Waits for a state that has what is looked for.
pub(crate) async fn state<T>(connection: &Connection, find: impl Fn(&LinkState) -> Option<T>) -> T {
    let mut states = connection.watch();
    let found = async {
        loop {
            if let Some(found) = find(&states.borrow_and_update()) {
                return found;
            }
            states.changed().await.unwrap();
        }
    };
    match timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("still {}", connection.state()),
    }
}

/// Waits until the link is down for a reason that `wanted` knows.
pub(crate) async fn down_because<T>(
    connection: &Connection,
    wanted: impl Fn(&LinkCause) -> Option<T>,
) -> T {
    state(connection, |state| {
        state.last_cause().and_then(|cause| wanted(cause))
    })
    .await
}

/// A listening socket, and the name of a node that listens there.
pub(crate) async fn named_socket() -> (TcpListener, String) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("http://{}", socket.local_addr().unwrap());
    (socket, name)
}

/// A port where nobody listens and that nobody else is given: connections are refused until it is told to listen.
pub(crate) fn dead_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

/// Two nodes over TCP, of which the first dials. `configure` finishes the builder of the node of that index.
pub(crate) async fn pair(configure: impl Fn(usize, Builder) -> Builder) -> [Manager; 2] {
    let (mut dialer, mut acceptor) = (named_socket().await, named_socket().await);
    if !grid_proto::local_dials(&dialer.1, &acceptor.1) {
        std::mem::swap(&mut dialer, &mut acceptor);
    }
    let node = |index: usize, local: &str, remote: &str| {
        configure(index, builder(local, &[remote]).dialer(TcpDialer::new()))
            .build()
            .unwrap()
    };
    let managers = [
        node(0, &dialer.1, &acceptor.1),
        node(1, &acceptor.1, &dialer.1),
    ];
    managers[0].serve(dialer.0).unwrap();
    managers[1].serve(acceptor.0).unwrap();
    managers
}

/// The link from the first of a pair to the second.
pub(crate) fn link(from: &Manager, to: &Manager) -> Connection {
    from.connection(to.local()).unwrap()
}
