//! A peer that speaks HTTP and websocket by hand, byte by byte.

#![allow(dead_code, reason = "each test target uses its own part")]

#[path = "frame.rs"]
mod frame;

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use grid_proto::{
    InstanceId, MuxId,
    wire::{ConnectRequest, ConnectResponse, Flags, Message, Op, Timestamp, unfold},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

#[allow(unused_imports, reason = "each test target uses its own part")]
pub(crate) use frame::{BINARY, CLOSE, CONTINUE, Frame, PING, PONG, TEXT};

/// Far longer than anything here takes; so that a test that fails says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PATH: &str = "/minio/grid/v1";

/// The key of the example in RFC 6455, and the answer to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    Frame(Frame),
    /// The other end closed its direction, or reset the connection.
    End,
}

/// One end of a connection, over TCP where nothing else is said.
pub(crate) struct Raw<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    /// Whether this end plays the client, and so masks.
    client: bool,
}

impl Raw {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .expect("dial")
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = timeout(PATIENCE, listener.accept())
            .await
            .expect("no dial came")
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            client: false,
        }
    }

    /// Dials and upgrades.
    pub(crate) async fn upgrade(address: SocketAddr, path: &str) -> Self {
        let raw = Self::dial(address).await;
        raw.upgraded(path).await
    }

    /// Dials, upgrades, and asks to be let in.
    pub(crate) async fn connect(
        address: SocketAddr,
        request: &ConnectRequest,
    ) -> (Self, ConnectResponse) {
        let raw = Self::upgrade(address, PATH).await;
        raw.greeted(request).await
    }

    /// Cuts the connection with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Plays the client over a stream of any kind.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            client: true,
        }
    }

    pub(crate) async fn upgraded(mut self, path: &str) -> Self {
        self.send_head(&upgrade_request(path)).await;
        let answer = self.read_head().await;
        assert_eq!(answer[0], "HTTP/1.1 101 Switching Protocols", "{answer:?}");
        assert_eq!(
            header(&answer, "Sec-WebSocket-Accept"),
            Some(ACCEPT),
            "{answer:?}"
        );
        self
    }

    /// Once it is upgraded, asks to be let in.
    pub(crate) async fn greeted(mut self, request: &ConnectRequest) -> (Self, ConnectResponse) {
        let response = self
            .greet(request)
            .await
            .expect("the connection ended without an answer");
        (self, response)
    }

    /// Asks to be let in; `None` when the other end just closes the connection.
    pub(crate) async fn greet(&mut self, request: &ConnectRequest) -> Option<ConnectResponse> {
        let mut payload = Vec::new();
        request.encode(&mut payload);
        let message = Message {
            payload: payload.into(),
            ..Message::new(Op::Connect, MuxId::CONNECTION)
        };
        self.send_message(&message).await;
        self.read_response().await
    }

    pub(crate) async fn read_response(&mut self) -> Option<ConnectResponse> {
        let message = self.read_message().await?;
        assert_eq!(
            (message.op, message.flags),
            (Op::ConnectResponse, Flags::empty())
        );
        Some(ConnectResponse::decode(&message.payload).unwrap())
    }

    /// Plays the acceptor's part of the upgrade; returns the request's head.
    pub(crate) async fn serve_upgrade(&mut self) -> Vec<String> {
        self.serve_upgrade_with(&[]).await
    }

    /// As [`serve_upgrade`](Self::serve_upgrade), with more lines in the answer.
    pub(crate) async fn serve_upgrade_with(&mut self, more: &[&str]) -> Vec<String> {
        let request = self.read_head().await;
        let key = header(&request, "Sec-WebSocket-Key").unwrap().to_owned();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let accept = format!("Sec-WebSocket-Accept: {accept}");
        let lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            &accept,
        ];
        self.send_head(&[&lines, more].concat()).await;
        request
    }

    /// Plays the acceptor's part of the handshake up to its answer; returns what the dialer says.
    pub(crate) async fn serve_request(&mut self) -> ConnectRequest {
        self.serve_upgrade().await;
        let message = self.read_message().await.expect("no connect request");
        assert_eq!((message.op, message.flags), (Op::Connect, Flags::empty()));
        ConnectRequest::decode(&message.payload).unwrap()
    }

    pub(crate) async fn send_response(&mut self, accepted: bool, reason: &str) {
        let mut payload = Vec::new();
        let id = InstanceId::new([0xb0; 16]);
        ConnectResponse {
            id,
            accepted,
            rejected_reason: reason.into(),
            extra: None,
        }
        .encode(&mut payload);
        let message = Message {
            payload: payload.into(),
            ..Message::new(Op::ConnectResponse, MuxId::CONNECTION)
        };
        self.send_message(&message).await;
    }

    pub(crate) async fn send_head(&mut self, lines: &[impl AsRef<str>]) {
        let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
        self.send_bytes(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())
            .await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        // An end that has closed already is found by who reads.
        let _ = timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("write stalled");
    }

    pub(crate) async fn send_frame(&mut self, frame: &Frame) {
        self.send_bytes(&frame.encode()).await;
    }

    pub(crate) async fn send_message(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let masked = self.client;
        self.send_frame(&Frame::binary(bytes, masked)).await;
    }

    /// The lines of an HTTP head.
    pub(crate) async fn read_head(&mut self) -> Vec<String> {
        loop {
            if let Some(end) = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                return head.trim_end().split("\r\n").map(str::to_owned).collect();
            }
            assert!(
                self.fill().await,
                "the connection ended inside a head: {:?}",
                self.buffer
            );
        }
    }

    pub(crate) async fn read_body(&mut self, len: usize) -> Vec<u8> {
        while self.buffer.len() < len {
            assert!(self.fill().await, "the connection ended inside a body");
        }
        self.buffer.drain(..len).collect()
    }

    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(frame) = self.take_frame() {
                return Next::Frame(frame);
            }
            if !self.fill().await {
                assert!(
                    self.buffer.is_empty(),
                    "the connection ended inside a frame"
                );
                return Next::End;
            }
        }
    }

    /// The next message, which has to be a plain binary one; `None` at the end.
    pub(crate) async fn read_message(&mut self) -> Option<Message> {
        match self.next().await {
            Next::Frame(frame) => {
                assert_eq!((frame.opcode, frame.fin), (BINARY, true), "{frame:?}");
                Some(Message::decode(frame.payload.into()).unwrap())
            }
            Next::End => None,
        }
    }

    /// Waits for the end, and returns what came before it.
    pub(crate) async fn read_to_end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Next::Frame(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Sends pings of the connection and waits for their pongs; returns the messages that came meanwhile. So what isn't
    /// among them was not sent before. A pong may overtake what is queued, so it takes two.
    pub(crate) async fn round_trip(&mut self) -> Vec<Message> {
        let mut before = Vec::new();
        for number in [77, 78] {
            let ping = Message {
                deadline_ms: number,
                ..Message::new(Op::Ping, MuxId::CONNECTION)
            };
            self.send_message(&ping).await;
            let mut answered = false;
            while !answered {
                let Next::Frame(frame) = self.next().await else {
                    panic!("no pong, but the end")
                };
                assert_eq!((frame.opcode, frame.fin), (BINARY, true), "{frame:?}");
                for message in unfold(Bytes::from(frame.payload)) {
                    let message = message.unwrap();
                    if message.op == Op::Pong && message.deadline_ms == number {
                        answered = true;
                    } else {
                        before.push(message);
                    }
                }
            }
        }
        before
    }

    /// Ends this direction.
    pub(crate) async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        match read.expect("nothing came") {
            Ok(read) => read > 0,
            Err(error) => {
                assert!(is_end(&error), "{error}");
                false
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (frame, len) = Frame::decode(&self.buffer)?;
        self.buffer.drain(..len);
        assert_eq!(frame.masked, !self.client, "only a client masks");
        Some(frame)
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

pub(crate) fn upgrade_request(path: &str) -> Vec<String> {
    vec![
        format!("GET {path} HTTP/1.1"),
        "Host: node-b:9000".to_owned(),
        "Upgrade: websocket".to_owned(),
        "Connection: Upgrade".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
        format!("Sec-WebSocket-Key: {KEY}"),
    ]
}

pub(crate) fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().skip(1).find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A connect request of now.
pub(crate) fn request(host: &str, token: &str) -> ConnectRequest {
    ConnectRequest {
        id: InstanceId::new([0xa0; 16]),
        host: host.into(),
        time: Timestamp::from(std::time::SystemTime::now()),
        token: token.into(),
        extra: None,
    }
}
