//! A raw peer over a byte stream in memory, under a clock that stands still: nothing in here waits for itself.

use std::io;

use futures_util::future::BoxFuture;
use grid_proto::{
    InstanceId, MuxId,
    wire::{ConnectRequest, ConnectResponse, Message, Op},
};
use grid_transport::{Accept, BoxIo, Dialer, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{Mutex, mpsc},
    time::{Duration, sleep},
};

use crate::raw::{Frame, KEY, PATH, upgrade_request};

pub(crate) struct Wire {
    stream: DuplexStream,
    buffer: Vec<u8>,
    client: bool,
}

impl Wire {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn send_message(&mut self, message: &Message) -> bool {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let frame = Frame::binary(bytes, self.client);
        self.send(&frame.encode()).await
    }

    /// One byte, if there is one still.
    pub(crate) async fn byte(&mut self) -> Option<u8> {
        self.stream.read_u8().await.ok()
    }

    /// A head, up to its empty line.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// The next message; `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            if let Some((frame, len)) = Frame::decode(&self.buffer) {
                self.buffer.drain(..len);
                if frame.opcode == crate::raw::BINARY {
                    return Some(Message::decode(frame.payload.into()).unwrap());
                }
                continue;
            }
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// Waits for the end.
    pub(crate) async fn ends(&mut self) {
        while self.byte().await.is_some() {}
    }

    /// Asks for the upgrade as a client.
    pub(crate) async fn upgrade(&mut self) {
        let head = format!("{}\r\n\r\n", upgrade_request(PATH).join("\r\n"));
        self.send(head.as_bytes()).await;
        assert!(self.head().await.contains(" 101 "));
    }

    /// Asks to be let in; whether it was, if there was an answer.
    pub(crate) async fn greet(&mut self, request: &ConnectRequest) -> Option<ConnectResponse> {
        self.ask(request).await;
        self.answer().await
    }

    /// Asks to be let in, and goes on.
    pub(crate) async fn ask(&mut self, request: &ConnectRequest) {
        let mut payload = Vec::new();
        request.encode(&mut payload);
        self.send_message(&Message {
            payload: payload.into(),
            ..Message::new(Op::Connect, MuxId::CONNECTION)
        })
        .await;
    }

    /// The answer to what was asked; `None` where the connection is closed instead.
    pub(crate) async fn answer(&mut self) -> Option<ConnectResponse> {
        let message = self.message().await?;
        Some(ConnectResponse::decode(&message.payload).unwrap())
    }

    /// Grants the upgrade as a server, and reads what the dialer says of itself.
    pub(crate) async fn serve_request(&mut self) {
        let request = self.head().await;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap_or(KEY);
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.send(head.as_bytes()).await;
        assert_eq!(self.message().await.unwrap().op, Op::Connect);
    }

    /// Lets the dialer in.
    pub(crate) async fn accept(&mut self) {
        let id = InstanceId::new([7; 16]);
        let accept = grid_proto::conn::handshake::accept(id, None);
        self.send(&Frame::binary(accept, false).encode()).await;
    }
}

/// Connections out of memory.
pub(crate) struct Memory(mpsc::UnboundedReceiver<(DuplexStream, String)>);

/// Makes them.
pub(crate) struct Dial(mpsc::UnboundedSender<(DuplexStream, String)>);

pub(crate) fn memory() -> (Dial, Memory) {
    let (dial, dialed) = mpsc::unbounded_channel();
    (Dial(dial), Memory(dialed))
}

impl Dial {
    /// A connection that holds so many bytes on their way.
    pub(crate) fn connect(&self, buffer: usize) -> Wire {
        self.connect_from(buffer, "memory")
    }

    /// As one of that address.
    pub(crate) fn connect_from(&self, buffer: usize, address: &str) -> Wire {
        let (ours, theirs) = duplex(buffer);
        self.0.send((theirs, address.to_owned())).unwrap();
        Wire {
            stream: ours,
            buffer: Vec::new(),
            client: true,
        }
    }
}

impl Accept for Memory {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            match self.0.recv().await {
                Some((stream, from)) => Ok((Box::new(stream) as BoxIo, from)),
                None => std::future::pending().await,
            }
        })
    }
}

/// Dials into memory, and takes its time.
pub(crate) struct Slow {
    pub(crate) takes: Duration,
    dialed: mpsc::UnboundedSender<DuplexStream>,
}

/// Where the dials arrive.
pub(crate) struct Dialed(Mutex<mpsc::UnboundedReceiver<DuplexStream>>);

pub(crate) fn slow(takes: Duration) -> (Slow, Dialed) {
    let (dialed, arrived) = mpsc::unbounded_channel();
    (Slow { takes, dialed }, Dialed(Mutex::new(arrived)))
}

impl Dialer for Slow {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            // tidy: sleep: this dialer is slow, under paused time
            sleep(self.takes).await;
            let (ours, theirs) = duplex(1 << 16);
            self.dialed.send(theirs).unwrap();
            Ok(Box::new(ours) as BoxIo)
        })
    }
}

impl Dialed {
    pub(crate) async fn next(&self) -> Wire {
        Wire {
            stream: self.0.lock().await.recv().await.unwrap(),
            buffer: Vec::new(),
            client: false,
        }
    }
}
