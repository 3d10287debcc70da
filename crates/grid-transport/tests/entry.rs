//! Who gets in, and what those learn who do not.

#[path = "common/logs.rs"]
mod logs;
#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

#[path = "entry/displaced.rs"]
mod displaced;
#[path = "entry/forgotten.rs"]
mod forgotten;
#[path = "entry/names.rs"]
mod names;
#[path = "entry/replayed.rs"]
mod replayed;
#[path = "entry/secrets.rs"]
mod secrets;
#[path = "entry/strict.rs"]
mod strict;

use std::net::SocketAddr;

use grid_transport::{Builder, Manager};
use tokio::net::TcpListener;

/// A node that raw dialers reach.
async fn accepting(
    remotes: &[&str],
    configure: impl FnOnce(Builder) -> Builder,
) -> (SocketAddr, Manager) {
    let manager = configure(node::builder(node::B, remotes)).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// A second name, like `A`, whose node dials `B`.
fn another_dialer() -> String {
    (0..)
        .map(|number| format!("http://node-d{number}:9000"))
        .find(|name| grid_proto::local_dials(name, node::B))
        .unwrap()
}
