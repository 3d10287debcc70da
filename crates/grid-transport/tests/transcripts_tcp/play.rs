//! Plays a recorded conversation: our node is one end, a raw peer the other, which sends what was recorded, byte by byte.
//!
//! What our node sends is compared with the recording: all of it, in the same order within a mux. Free are ids, times,
//! masks, the order of headers, and how messages are gathered into frames.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use grid_proto::{
    InstanceId,
    wire::{ConnectRejection, ConnectRequest, ConnectResponse, Message, Op, Timestamp},
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    differences::{OPEN_REASONS, differs},
    raw::{self, Frame, Next, Raw},
    recording::{Recording, frame, lines, messages},
};

/// Where the raw peer finds our node, or is found by it.
pub(crate) enum Peer {
    /// The peer dials our node here.
    Dials(SocketAddr),
    /// Our node dials the peer here.
    Listens(TcpListener),
}

pub(crate) struct Play {
    recording: Recording,
    position: usize,
    peer: Peer,
    connections: BTreeMap<u64, Connection>,
    /// The ids that our node gave itself.
    ids: BTreeSet<InstanceId>,
    clock: SystemTime,
}

struct Connection {
    raw: Raw,
    /// The key of the upgrade that our node asked for.
    key: Option<String>,
    /// What our node sent and was not compared yet.
    messages: VecDeque<Message>,
    controls: VecDeque<Frame>,
    upgraded: bool,
    /// Our node has ended it.
    ended: bool,
    /// The peer has.
    left: bool,
}

impl Play {
    /// `clock` is that of our node.
    pub(crate) fn new(recording: Recording, peer: Peer, clock: SystemTime) -> Self {
        Self {
            recording,
            position: 0,
            peer,
            connections: BTreeMap::new(),
            ids: BTreeSet::new(),
            clock,
        }
    }

    /// Plays so many entries.
    pub(crate) async fn play(&mut self, entries: usize) {
        for _ in 0..entries {
            let entry = self.recording.entries[self.position].clone();
            self.play_entry(&entry).await;
            self.position += 1;
        }
    }

    /// Plays what is left, and makes sure that our node has sent no more than that.
    pub(crate) async fn play_to_end(mut self) {
        let left = self.recording.entries.len() - self.position;
        self.play(left).await;
        self.finish().await;
    }

    /// Passes over a message that the recorded node sent and ours must not: the end of the play proves that it didn't.
    pub(crate) fn leave_out(&mut self, op: Op, point: u32) {
        let entry = &self.recording.entries[self.position];
        assert!(
            self.is_ours(entry),
            "{} {} is the peer's",
            self.recording.file,
            self.position
        );
        let [message] = &messages(&frame(entry))[..] else {
            panic!("more than one message")
        };
        assert_eq!(message.op, op);
        assert!(
            differs(self.recording.file, point),
            "not among the differences"
        );
        self.position += 1;
    }

    /// Makes sure that our node has sent nothing that was not recorded.
    pub(crate) async fn finish(&mut self) {
        for (number, connection) in &mut self.connections {
            if connection.left {
                // Our node sees the end, and ends too.
                while connection.receive().await {}
            } else if connection.upgraded && !connection.ended {
                let more = connection.raw.round_trip().await;
                connection.messages.extend(more);
            }
            let left = (&connection.messages, &connection.controls);
            assert!(left.0.is_empty() && left.1.is_empty(), "{number}: {left:?}");
        }
        assert!(self.ids.len() <= 1, "a node keeps its id: {:?}", self.ids);
    }

    fn is_ours(&self, entry: &Value) -> bool {
        let ours = match self.peer {
            Peer::Dials(_) => "s2c",
            Peer::Listens(_) => "c2s",
        };
        entry["dir"] == ours
    }

    async fn play_entry(&mut self, entry: &Value) {
        let kind = entry["kind"].as_str().unwrap();
        if kind == "tcp_killed_by_proxy" {
            for (_, connection) in mem::take(&mut self.connections) {
                assert!(connection.messages.is_empty(), "{:?}", connection.messages);
                connection.raw.reset();
            }
            return;
        }
        let number = entry["conn"].as_u64().unwrap();
        if !self.connections.contains_key(&number) {
            let raw = match &self.peer {
                Peer::Dials(address) => Raw::dial(*address).await,
                Peer::Listens(listener) => Raw::accept(listener).await,
            };
            self.connections.insert(number, Connection::new(raw));
        }
        let ours = self.is_ours(entry);
        let clock = self.clock;
        let connection = self.connections.get_mut(&number).unwrap();
        match (kind, ours) {
            ("http", true) => connection.expect_head(&lines(entry), clock).await,
            ("http", false) => connection.send_head(lines(entry)).await,
            ("http_body", true) => {
                let text = entry["text"].as_str().unwrap();
                assert_eq!(connection.raw.read_body(text.len()).await, text.as_bytes());
            }
            ("ws", true) => {
                let ids = connection
                    .expect(&frame(entry), self.recording.file, clock)
                    .await;
                self.ids.extend(ids);
            }
            ("ws", false) => connection.raw.send_frame(&frame(entry)).await,
            ("tcp_eof" | "tcp_error", true) => connection.expect_end(self.recording.file).await,
            ("tcp_eof", false) => {
                connection.raw.shutdown().await;
                connection.left = true;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Says where a play that fails has come to.
impl Drop for Play {
    #[allow(
        clippy::print_stderr,
        reason = "the test harness shows it beside the panic"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: at entry {}", self.recording.file, self.position);
        }
    }
}

impl Connection {
    fn new(raw: Raw) -> Self {
        Self {
            raw,
            key: None,
            messages: VecDeque::new(),
            controls: VecDeque::new(),
            upgraded: false,
            ended: false,
            left: false,
        }
    }

    async fn send_head(&mut self, mut lines: Vec<String>) {
        if let Some(key) = &self.key {
            // The recorded answer belongs to the recorded key.
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            for line in &mut lines {
                if line.starts_with("Sec-WebSocket-Accept: ") {
                    *line = format!("Sec-WebSocket-Accept: {accept}");
                }
            }
            self.upgraded = lines[0].contains("101");
        }
        self.raw.send_head(&lines).await;
    }

    async fn expect_head(&mut self, recorded: &[String], clock: SystemTime) {
        let head = self.raw.read_head().await;
        assert_eq!(head[0], recorded[0]);
        let request = head[0].starts_with("GET ");
        self.upgraded = head[0].contains("101");
        if request {
            self.key = raw::header(&head, "Sec-WebSocket-Key").map(str::to_owned);
        }
        let names = |lines: &[String]| -> BTreeSet<String> {
            let names = lines
                .iter()
                .skip(1)
                .map(|line| line.split_once(':').unwrap().0.to_ascii_lowercase());
            names.filter(|name| name != "date").collect()
        };
        let mut given = names(&head);
        if !request && !self.upgraded && raw::header(&head, "Connection") == Some("close") {
            given.remove("connection");
        }
        assert_eq!(given, names(recorded));
        for name in given {
            let value = raw::header(&head, &name).unwrap();
            match name.as_str() {
                "sec-websocket-key" => assert_eq!(value.len(), 24, "{value}"),
                "x-minio-time" => {
                    let since = clock.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                    assert_eq!(value, since.as_nanos().to_string());
                }
                _ => assert_eq!(Some(value), raw::header(recorded, &name), "{name}"),
            }
        }
    }

    /// Compares with what our node sends; returns the ids that it gives itself.
    async fn expect(&mut self, recorded: &Frame, file: &str, clock: SystemTime) -> Vec<InstanceId> {
        if recorded.opcode != raw::BINARY {
            while self.controls.is_empty() {
                assert!(
                    self.receive().await,
                    "{file}: the end, instead of {recorded:?}"
                );
            }
            assert_eq!(self.controls.pop_front().as_ref(), Some(recorded));
            return Vec::new();
        }
        let mut ids = Vec::new();
        for wanted in messages(recorded) {
            let at = loop {
                match self
                    .messages
                    .iter()
                    .position(|message| message.mux == wanted.mux)
                {
                    Some(at) => break at,
                    None => assert!(
                        self.receive().await,
                        "{file}: the end, instead of {wanted:?}"
                    ),
                }
            };
            let got = self.messages.remove(at).unwrap();
            ids.extend(compare(&wanted, &got, file, clock));
        }
        ids
    }

    async fn expect_end(&mut self, file: &str) {
        while self.receive().await {}
        if file == "scripted_merged_count_too_large.json" {
            // The two requests before the damage were passed on; their answers may be lost or not.
            self.messages
                .retain(|message| message.op != Op::Response || message.payload != "x");
        }
        self.ended = true;
    }

    /// Reads a frame; false at the end.
    async fn receive(&mut self) -> bool {
        match self.raw.next().await {
            Next::End => false,
            Next::Frame(frame) if frame.opcode == raw::BINARY => {
                assert!(frame.fin && frame.rsv == 0, "{frame:?}");
                self.messages.extend(messages(&frame));
                true
            }
            Next::Frame(frame) => {
                self.controls.push_back(frame);
                true
            }
        }
    }
}

/// Equal in all but ids, times and what is only for our own nodes.
fn compare(wanted: &Message, got: &Message, file: &str, clock: SystemTime) -> Option<InstanceId> {
    let without_payload = |message: &Message| Message {
        payload: Bytes::new(),
        ..message.clone()
    };
    assert_eq!(without_payload(wanted), without_payload(got), "{file}");
    match wanted.op {
        Op::Connect => {
            let wanted = ConnectRequest::decode(&wanted.payload).unwrap();
            let got = ConnectRequest::decode(&got.payload).unwrap();
            assert_eq!((wanted.host, wanted.token), (got.host, got.token), "{file}");
            // The clock stands still here, and no two requests of a node have the same time.
            let ahead = got.time.abs_diff(Timestamp::from(clock));
            assert!(ahead < Duration::from_micros(1), "{file}: {ahead:?}");
            Some(got.id)
        }
        Op::ConnectResponse => {
            let wanted = ConnectResponse::decode(&wanted.payload).unwrap();
            let got = ConnectResponse::decode(&got.payload).unwrap();
            assert_eq!(wanted.accepted, got.accepted, "{file}: {got:?}");
            if OPEN_REASONS.contains(&file) {
                let kind = |response: &ConnectResponse| {
                    let reason = ConnectRejection::from_text(response.rejected_reason.as_bytes());
                    assert!(
                        !matches!(reason, ConnectRejection::Other(_)),
                        "{file}: {reason}"
                    );
                    mem::discriminant(&reason)
                };
                assert_eq!(kind(&wanted), kind(&got), "{file}: {got:?}");
                assert_ne!(
                    wanted.rejected_reason, got.rejected_reason,
                    "{file} doesn't differ"
                );
            } else {
                assert_eq!(wanted.rejected_reason, got.rejected_reason, "{file}");
            }
            Some(got.id)
        }
        _ => {
            assert_eq!(wanted.payload, got.payload, "{file}");
            None
        }
    }
}
