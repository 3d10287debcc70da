//! jsonrpsee over a websocket. JSON has no bytes: the payload is a string of as many letters.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use bytes::Bytes;
use jsonrpsee::{
    RpcModule,
    core::client::ClientT as _,
    rpc_params,
    server::Server,
    types::ErrorObjectOwned,
    ws_client::{WsClient, WsClientBuilder},
};
use peer_harness::{Client, Peer};
use tokio::net::TcpListener;

struct JsonRpsee;

#[derive(Clone)]
struct Connection(Arc<WsClient>);

impl Client for Connection {
    type Payload = Arc<str>;

    fn payload(bytes: Bytes) -> Arc<str> {
        String::from_utf8_lossy(&bytes).into()
    }

    async fn echo(&self, payload: &Arc<str>) -> anyhow::Result<usize> {
        let answer: String = self.0.request("echo", rpc_params![&**payload]).await?;
        Ok(answer.len())
    }
}

impl Peer for JsonRpsee {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let mut module = RpcModule::new(());
        module.register_method("echo", |params, (), _| {
            let payload: String = params.one()?;
            Ok::<_, ErrorObjectOwned>(payload)
        })?;
        let server = Server::builder().build_from_tcp(listener.into_std()?)?;
        server.start(module).stopped().await;
        Ok(())
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let client = WsClientBuilder::default()
            .build(format!("ws://{addr}"))
            .await?;
        ensure!(client.is_connected(), "the connection is gone");
        Ok(Connection(Arc::new(client)))
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<JsonRpsee>()
}
