//! What we write, tungstenite reads as it was meant.

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use tungstenite::{
    Error, Message, WebSocket,
    protocol::{Role as TheirRole, WebSocketConfig},
};

use super::{feed::Feed, run};
use crate::{
    config::Settings,
    ws::{Role, Ws},
};

/// Messages of lengths that `data` says, written in pieces by us and read by tungstenite.
pub fn ws_written(data: &[u8]) {
    let [mode, piece, rest @ ..] = data else {
        return;
    };
    let (role, their_role) = if mode & 1 == 0 {
        (Role::Server, TheirRole::Client)
    } else {
        (Role::Client, TheirRole::Server)
    };
    let messages: Vec<Bytes> = rest.chunks(2).map(message).collect();
    // In a thousand pieces or so at most: byte by byte a large message takes longer than all else together.
    let total: usize = messages.iter().map(Bytes::len).sum();
    let feed = Feed::new(&[], (1 + usize::from(*piece) * 64).max(total / 1_024));
    let written = feed.written();
    let ws = Ws::new(Box::new(feed), BytesMut::new(), role, &Settings::new());
    let (_reader, mut writer) = ws.split();
    for message in &messages {
        // Masked in place only where nobody else holds it.
        let message = if mode & 2 == 0 {
            message.clone()
        } else {
            Bytes::from(message.to_vec())
        };
        run(writer.send(message)).unwrap();
    }
    let written = written.lock().unwrap();
    let memory = Cursor::new(written.clone());
    let mut socket =
        WebSocket::from_raw_socket(memory, their_role, Some(WebSocketConfig::default()));
    for wanted in messages {
        match socket.read() {
            Ok(Message::Binary(read)) => assert_eq!(read, wanted),
            other => panic!("{other:?} in place of {} bytes", wanted.len()),
        }
    }
    assert!(matches!(socket.read(), Err(Error::Protocol(_))), "more");
}

/// Two bytes are a length around where headers and ways of writing change, and the contents.
fn message(description: &[u8]) -> Bytes {
    let (kind, fill) = match description {
        [kind, fill] => (*kind, *fill),
        [kind] => (*kind, 0),
        _ => (0, 0),
    };
    let few = usize::from(kind >> 3);
    let len = match kind & 7 {
        0 => few,
        1 => 110 + few,
        2 => 16 * 1_024 - 16 + few,
        3 => 65_520 + few,
        _ => few * usize::from(fill),
    };
    let bytes: [u8; 256] = std::array::from_fn(|at| fill.wrapping_add(at as u8));
    let mut message = BytesMut::with_capacity(len);
    while message.len() < len {
        let left = len - message.len();
        message.extend_from_slice(bytes.get(..left).unwrap_or(&bytes));
    }
    message.freeze()
}
