//! remoc: a remote trait, and channels that carry items. The room of a channel is a part of its type: 100 items here.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{anyhow, ensure};
use bytes::Bytes;
use peer_harness::{Ask, Client, Peer};
use remoc::{codec, prelude::*, rch::mpsc, rtc::CallError};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const ROOM: usize = 100;

type Items = mpsc::Receiver<Bytes, codec::Default, ROOM>;

#[rtc::remote]
trait Echo {
    async fn echo(&self, payload: Bytes) -> Result<Bytes, CallError>;
    async fn items(&self, count: u64, size: u32) -> Result<Items, CallError>;
    async fn echo_items(&self, items: Items) -> Result<Items, CallError>;
}

struct Service;

impl Echo for Service {
    async fn echo(&self, payload: Bytes) -> Result<Bytes, CallError> {
        Ok(payload)
    }

    async fn items(&self, count: u64, size: u32) -> Result<Items, CallError> {
        let (sender, receiver) = channel();
        let item = Bytes::from(vec![b'x'; size as usize]);
        tokio::spawn(async move {
            for _ in 0..count {
                if sender.send(item.clone()).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn echo_items(&self, mut items: Items) -> Result<Items, CallError> {
        let (sender, receiver) = channel();
        tokio::spawn(async move {
            while let Ok(Some(item)) = items.recv().await {
                if sender.send(item).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

fn channel() -> (mpsc::Sender<Bytes, codec::Default, ROOM>, Items) {
    let (sender, receiver) = mpsc::with_local_buffer(ROOM);
    (sender.set_buffer(), receiver.set_buffer())
}

struct Remoc;

#[derive(Clone)]
struct Connection(EchoClient);

impl Client for Connection {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        Ok(self.0.echo(payload.clone()).await?.len())
    }

    async fn stream(&self, ask: Ask) -> anyhow::Result<u64> {
        ensure!(
            ask.capacity as usize == ROOM,
            "a channel has room for {ROOM} items"
        );
        let mut items = if ask.echo {
            let (sender, receiver) = channel();
            let item = Bytes::from(vec![b'x'; ask.size]);
            tokio::spawn(async move {
                for _ in 0..ask.count {
                    if sender.send(item.clone()).await.is_err() {
                        return;
                    }
                }
            });
            self.0.echo_items(receiver).await?
        } else {
            self.0.items(ask.count, u32::try_from(ask.size)?).await?
        };
        let mut count = 0;
        while let Some(item) = items.recv().await? {
            ensure!(item.len() == ask.size, "an item of another size");
            count += 1;
        }
        Ok(count)
    }
}

impl Peer for Remoc {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (reading, writing) = stream.into_split();
            connections.spawn(async move {
                let (server, client) =
                    EchoServerShared::<_, codec::Default>::new(Arc::new(Service));
                remoc::Connect::io(remoc::Cfg::default(), reading, writing)
                    .provide(client)
                    .await?;
                let served = server.serve().await;
                served.map(drop).map_err(|error| anyhow!("{error}"))
            });
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        let client = remoc::Connect::io(remoc::Cfg::default(), reading, writing)
            .consume()
            .await?;
        Ok(Connection(client))
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<Remoc>()
}
