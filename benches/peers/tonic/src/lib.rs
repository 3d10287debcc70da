//! tonic: unary calls, server streaming, and both ways. Items come through a channel that a task fills, as in its guide, or
//! with `DIRECT` from the stream that makes them, which is quicker and has no capacity.

use std::{
    iter::{RepeatN, repeat_n},
    net::SocketAddr,
};

use anyhow::ensure;
use bytes::Bytes;
use futures_util::future::Either;
use peer_harness::{Ask, Client, Peer};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Iter, StreamExt as _, wrappers::ReceiverStream};
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

/// A server and its client.
pub struct Tonic<const DIRECT: bool>;

/// The one connection.
#[derive(Clone)]
pub struct Connection<const DIRECT: bool>(PeerClient<Channel>);

struct Echo<const DIRECT: bool>;

type Item = Result<Payload, Status>;
type Made = Either<Iter<RepeatN<Item>>, Streaming<Payload>>;
type Items = Either<ReceiverStream<Item>, Made>;

#[tonic::async_trait]
impl<const DIRECT: bool> Service for Echo<DIRECT> {
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
        if DIRECT {
            let items = repeat_n(
                Ok(Payload { data }),
                usize::try_from(count).unwrap_or(usize::MAX),
            );
            let items = Either::Left(tokio_stream::iter(items));
            return Ok(Response::new(Either::Right(items)));
        }
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
        Ok(Response::new(Either::Left(ReceiverStream::new(receiver))))
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
        if DIRECT {
            return Ok(Response::new(Either::Right(Either::Right(items))));
        }
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        tokio::spawn(async move {
            while let Some(item) = items.next().await {
                if sender.send(item).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Either::Left(ReceiverStream::new(receiver))))
    }
}

impl<const DIRECT: bool> Client for Connection<DIRECT> {
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
            let items = if DIRECT {
                let items = repeat_n(Payload { data }, usize::try_from(ask.count)?);
                Either::Left(tokio_stream::iter(items))
            } else {
                let (sender, receiver) = mpsc::channel(ask.capacity.max(1) as usize);
                tokio::spawn(async move {
                    for _ in 0..ask.count {
                        if sender.send(Payload { data: data.clone() }).await.is_err() {
                            return;
                        }
                    }
                });
                Either::Right(ReceiverStream::new(receiver))
            };
            let mut request = Request::new(items);
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

impl<const DIRECT: bool> Peer for Tonic<DIRECT> {
    type Client = Connection<DIRECT>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .add_service(PeerServer::new(Echo::<DIRECT>))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Client> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?
            .tcp_nodelay(true)
            .connect()
            .await?;
        Ok(Connection(PeerClient::new(channel)))
    }
}
