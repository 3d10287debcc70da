//! The smallest mux over bare TCP.

use std::net::SocketAddr;

use peer_harness::Peer;
use peer_raw::Connection;
use tokio::net::TcpListener;

struct Mux;

impl Peer for Mux {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        peer_raw::serve(listener).await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        Connection::to(addr).await
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<Mux>()
}
