//! tonic: unary calls, server streaming, and both ways.

use std::net::SocketAddr;

use anyhow::ensure;
use bytes::Bytes;
use peer_harness::{Ask, Client, Peer};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

mod generated {
    #![allow(clippy::all, missing_docs)]
    tonic::include_proto!("peer");
}

use generated::{
    Ask as Wanted, Payload,
    peer_client::PeerClient,
    peer_server::{Peer as Service, PeerServer},
};

struct Tonic;

#[derive(Clone)]
struct Connection(PeerClient<Channel>);

struct Echo;

type Items = ReceiverStream<Result<Payload, Status>>;

#[tonic::async_trait]
impl Service for Echo {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type ItemsStream = Items;

    async fn items(&self, request: Request<Wanted>) -> Result<Response<Items>, Status> {
        let Wanted {
            count,
            size,
            capacity,
        } = request.into_inner();
        let data = Bytes::from(vec![b'x'; size as usize]);
        let (sender, receiver) = mpsc::channel(capacity.max(1) as usize);
        tokio::spawn(async move {
            for _ in 0..count {
                if sender
                    .send(Ok(Payload { data: data.clone() }))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    type EchoItemsStream = Items;

    async fn echo_items(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Items>, Status> {
        let capacity = request
            .metadata()
            .get("capacity")
            .and_then(|capacity| capacity.to_str().ok()?.parse().ok())
            .unwrap_or(100_usize);
        let mut items = request.into_inner();
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        tokio::spawn(async move {
            while let Some(item) = items.next().await {
                if sender.send(item).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Client for Connection {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        let payload = Payload {
            data: payload.clone(),
        };
        Ok(self.0.clone().echo(payload).await?.into_inner().data.len())
    }

    async fn stream(&self, ask: Ask) -> anyhow::Result<u64> {
        let mut client = self.0.clone();
        let mut items = if ask.echo {
            let data = Bytes::from(vec![b'x'; ask.size]);
            let (sender, receiver) = mpsc::channel(ask.capacity.max(1) as usize);
            tokio::spawn(async move {
                for _ in 0..ask.count {
                    if sender.send(Payload { data: data.clone() }).await.is_err() {
                        return;
                    }
                }
            });
            let mut request = Request::new(ReceiverStream::new(receiver));
            request
                .metadata_mut()
                .insert("capacity", ask.capacity.to_string().parse()?);
            client.echo_items(request).await?.into_inner()
        } else {
            let wanted = Wanted {
                count: ask.count,
                size: u32::try_from(ask.size)?,
                capacity: ask.capacity,
            };
            client.items(wanted).await?.into_inner()
        };
        let mut count = 0;
        while let Some(item) = items.next().await {
            ensure!(item?.data.len() == ask.size, "an item of another size");
            count += 1;
        }
        Ok(count)
    }
}

impl Peer for Tonic {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .add_service(PeerServer::new(Echo))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?
            .tcp_nodelay(true)
            .connect()
            .await?;
        Ok(Connection(PeerClient::new(channel)))
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<Tonic>()
}
