//! tarpc over its TCP transport, bincode, payloads as bytes and not as a sequence of numbers.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use peer_harness::{Client, Peer};
use tarpc::{
    client, context,
    server::{BaseChannel, Channel as _},
    tokio_serde::formats::Bincode,
    tokio_util::codec::LengthDelimitedCodec,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

#[tarpc::service]
trait Echo {
    async fn echo(payload: Bytes) -> Bytes;
}

#[derive(Clone)]
struct Server;

impl Echo for Server {
    async fn echo(self, _: context::Context, payload: Bytes) -> Bytes {
        payload
    }
}

struct Tarpc;

#[derive(Clone)]
struct Connection(EchoClient);

impl Client for Connection {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        Ok(self
            .0
            .echo(context::current(), payload.clone())
            .await?
            .len())
    }
}

impl Peer for Tarpc {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let framed = LengthDelimitedCodec::builder().new_framed(stream);
            let transport = tarpc::serde_transport::new(framed, Bincode::default());
            connections.spawn(
                BaseChannel::with_defaults(transport)
                    .execute(Server.serve())
                    .for_each(async |answered| {
                        tokio::spawn(answered);
                    }),
            );
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let framed = LengthDelimitedCodec::builder().new_framed(stream);
        let transport = tarpc::serde_transport::new(framed, Bincode::default());
        let client = EchoClient::new(client::Config::default(), transport).spawn();
        Ok(Connection(client))
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<Tarpc>()
}
