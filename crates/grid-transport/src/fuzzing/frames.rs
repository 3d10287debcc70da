//! Frames of a peer, read by us and by tungstenite: both must find the same messages, and the same end.

use std::io::{self, Cursor, Read, Write};

use bytes::{Bytes, BytesMut};
use tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    protocol::{
        Role as TheirRole, WebSocketConfig,
        frame::{FrameHeader, coding::OpCode},
    },
};

use super::{feed::Feed, run};
use crate::{
    config::Settings,
    ws::{Role, Ws, WsError},
};

/// The largest message, so small that inputs reach it.
const MOST: usize = 3_000;

/// How a byte stream of frames ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By a close frame.
    Closed,
    /// In the middle, or without a close frame.
    Eof,
    /// By a message above the limit, or a frame that breaks the rules.
    Broken,
    /// By a text that is no UTF-8. We skip texts, whatever is in them.
    Text,
}

/// Frames that `data` describes, as they come or damaged: read in pieces by us and at once by tungstenite.
pub fn ws_frames(data: &[u8]) {
    let [mode, piece, rest @ ..] = data else {
        return;
    };
    let role = if mode & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let stream = if mode & 2 == 0 {
        frames(rest, role)
    } else {
        rest.to_vec()
    };
    let (ours, our_end) = read_by_us(&stream, role, usize::from(*piece));
    let (theirs, their_end) = read_by_them(&stream, role);
    match (our_end, their_end) {
        // What they refuse and we skip; up to there both have found the same.
        (_, End::Text) => assert!(ours.starts_with(&theirs), "{ours:?} {theirs:?}"),
        // A header tells us enough; they wait for what it announces.
        (End::Broken, End::Eof) => assert_eq!(ours, theirs),
        // They look into close frames, whose contents mean nothing to us.
        (End::Closed, End::Broken) => assert_eq!(ours, theirs),
        (ours_ended, theirs_ended) => {
            assert_eq!(ours, theirs);
            assert_eq!(ours_ended, theirs_ended, "of {stream:02x?}");
        }
    }
}

/// A description becomes frames: most right, some not.
fn frames(mut from: &[u8], role: Role) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [head, how, rest @ ..] = from {
        let len = match how & 7 {
            0 => 0,
            1 => 125,
            2 => 126,
            3 => 1_100,
            4 => MOST,
            _ => usize::from(how >> 3),
        };
        let masked = (role == Role::Server) ^ (head & 0x40 != 0 && how & 0x80 != 0);
        let mut header = FrameHeader {
            is_final: head & 0x80 == 0,
            rsv1: head & 0x20 != 0 && how & 0x40 != 0,
            opcode: OpCode::from(match head & 0x0f {
                // Mostly data, since the rest only ends or interrupts it.
                low @ (0..=2 | 8..=10) => low,
                low => low % 3,
            }),
            mask: masked.then_some([*how, *head, 1, 2]),
            ..FrameHeader::default()
        };
        if head & 0x10 != 0 && how & 0x20 != 0 {
            header.opcode = OpCode::from(head & 0x0f);
        }
        // A few bytes of a long one, so that it does not take all that follows.
        let some = len.min(usize::from(how >> 3)).min(rest.len());
        let (payload, after) = rest.split_at(some);
        let mut payload = payload.to_vec();
        payload.resize(len, *how);
        header.format(len as u64, &mut stream).unwrap();
        if let Some(key) = header.mask {
            let keys = key.into_iter().cycle();
            for (byte, key) in payload.iter_mut().zip(keys) {
                *byte ^= key;
            }
        }
        stream.extend_from_slice(&payload);
        from = after;
    }
    // What is left over is cut off the end: a frame may stop anywhere.
    let cut = from.first().map_or(0, |cut| usize::from(*cut));
    stream.truncate(stream.len().saturating_sub(cut));
    stream
}

fn read_by_us(stream: &[u8], role: Role, piece: usize) -> (Vec<Bytes>, End) {
    let settings = Settings::new().max_message(MOST);
    let io = Box::new(Feed::new(stream, piece * piece));
    let mut ws = Ws::new(io, BytesMut::new(), role, &settings);
    ws.established(&settings);
    let (mut reader, _writer) = ws.split();
    let mut messages = Vec::new();
    let end = loop {
        match run(reader.next()) {
            Ok(message) => messages.push(message),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(run(reader.next()), Err(WsError::Eof)),
        "something follows the end"
    );
    let end = match end {
        WsError::Closed { .. } => End::Closed,
        WsError::Eof => End::Eof,
        WsError::TooLarge { .. } | WsError::Protocol(_) => End::Broken,
        WsError::Io(_) | WsError::Stalled { .. } => unreachable!("a feed has no faults: {end}"),
    };
    (messages, end)
}

/// Reads from memory; what is written goes nowhere.
struct Memory<'a>(Cursor<&'a [u8]>);

impl Read for Memory<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_by_them(stream: &[u8], role: Role) -> (Vec<Bytes>, End) {
    let role = match role {
        Role::Client => TheirRole::Client,
        Role::Server => TheirRole::Server,
    };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST));
    let memory = Memory(Cursor::new(stream));
    let mut socket = WebSocket::from_raw_socket(memory, role, Some(limits));
    let mut messages = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Binary(message)) => messages.push(message),
            Ok(Message::Close(_)) => break End::Closed,
            Ok(_) => {}
            Err(Error::Utf8(_)) => break End::Text,
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break End::Eof,
            Err(Error::Protocol(_) | Error::Capacity(_)) => break End::Broken,
            Err(other) => unreachable!("memory has no faults: {other}"),
        }
    };
    (messages, end)
}
