//! Length-prefixed frames on a bare TCP connection, one at a time: what a round trip costs at least.

use std::{net::SocketAddr, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use peer_harness::{Client, Peer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinSet,
};

struct PingPong;

struct Socket {
    stream: TcpStream,
    read: BytesMut,
    write: BytesMut,
}

impl Socket {
    fn new(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: BytesMut::new(),
            write: BytesMut::new(),
        })
    }

    async fn send(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        self.write.clear();
        self.write.put_u32_le(u32::try_from(payload.len())?);
        self.write.put_slice(payload);
        self.stream.write_all(&self.write).await?;
        Ok(())
    }

    /// None where the other side has closed.
    async fn receive(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if let Some((head, rest)) = self.read.split_first_chunk::<4>() {
                let len = usize::try_from(u32::from_le_bytes(*head))?;
                if rest.len() >= len {
                    return Ok(Some(self.read.split_to(4 + len).freeze().slice(4..)));
                }
            }
            self.read.reserve(64 * 1024);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[derive(Clone)]
struct Connection(Arc<Mutex<Socket>>);

impl Client for Connection {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        let mut socket = self.0.lock().await;
        socket.send(payload).await?;
        let answer = socket.receive().await?;
        Ok(answer.map_or(0, |answer| answer.len()))
    }
}

impl Peer for PingPong {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let mut socket = Socket::new(listener.accept().await?.0)?;
            connections.spawn(async move {
                while let Some(payload) = socket.receive().await? {
                    socket.send(&payload).await?;
                }
                anyhow::Ok(())
            });
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let socket = Socket::new(TcpStream::connect(addr).await?)?;
        Ok(Connection(Arc::new(Mutex::new(socket))))
    }
}

fn main() -> anyhow::Result<()> {
    peer_harness::main::<PingPong>()
}
