//! T05: what a peer says is shown, and never looks like a line of the log.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo, LinkCause, Manager};
use tokio::{io::duplex, net::TcpListener};
use tracing::Level;

use crate::{
    logs::Logs,
    node::{self, A, B, Redirect, builder},
    raw::{CLOSE, Frame, Raw, request},
};

/// What would end a line, begin one, wipe one out, color and turn the rest.
const FORGED: &str = "x\n2026-11-26T00:00:00.000000Z  WARN grid::accept: FORGED\r\u{1b}[2K\u{9b}31m\u{2028}\u{202e}\u{61c}\u{200e}\u{200f}\u{2066}FORGED";

/// Each line is one that was logged, and shows the text somewhere.
fn nothing_forged(logs: &Logs, shown: &[&str]) {
    let text = logs.text();
    let turns = |c: char| {
        matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}'
        )
    };
    let speaks = |c: char| {
        (c.is_control() && c != '\n') || ('\u{2028}'..='\u{202e}').contains(&c) || turns(c)
    };
    assert!(!text.contains(speaks), "{text:?}");
    for line in text.lines() {
        assert!(!line.starts_with("2026-11-26T00:00:00.000000Z"), "{text}");
        let level = line.split_whitespace().nth(1).unwrap_or_default();
        assert!(
            ["INFO", "WARN", "DEBUG", "TRACE"].contains(&level),
            "{text}"
        );
    }
    for words in shown {
        let told = |line: &str| line.contains(words) && line.contains("FORGED");
        assert!(text.lines().any(told), "{words}: {text}");
    }
}

async fn accepting() -> (SocketAddr, Manager) {
    let manager = builder(B, &[A]).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

#[tokio::test]
async fn t05_names_tokens_and_addresses_forge_no_line() {
    let (logs, _guard) = Logs::capture_at(Level::DEBUG);
    let (address, manager) = accepting().await;
    let (_, unknown) = Raw::connect(address, &request(FORGED, "debug")).await;
    // The reason of this `Auth` has the token in it.
    let (_, wrong) = Raw::connect(address, &request(A, FORGED)).await;
    assert!(!unknown.accepted && !wrong.accepted);
    let mut raw = Raw::dial(address).await;
    raw.send_head(&[format!(
        "GET /{} HTTP/1.1",
        FORGED.replace(['\r', '\n'], "\u{b}")
    )])
    .await;
    raw.read_head().await;
    // What an application says of where a connection comes from may be a header of somebody's.
    let (ours, theirs) = duplex(64);
    drop(theirs);
    assert!(manager.serve_upgraded(Box::new(ours), Bytes::new(), FORGED));
    while !logs.text().contains("no handshake") {
        tokio::task::yield_now().await;
    }
    manager.shutdown(Duration::ZERO).await;
    nothing_forged(
        &logs,
        &["unknown incoming host", "auth token", "no handshake"],
    );
}

#[tokio::test]
async fn t05_reasons_of_the_remote_forge_no_line() {
    let (logs, _guard) = Logs::capture_at(Level::DEBUG);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Redirect(socket.local_addr().unwrap());
    let manager = builder(A, &[B]).dialer(redirect).build().unwrap();
    let link = manager.connection(B).unwrap();
    for _ in 0..2 {
        let mut raw = Raw::accept(&socket).await;
        raw.serve_request().await;
        raw.send_response(false, FORGED).await;
    }
    let mut raw = Raw::accept(&socket).await;
    raw.serve_request().await;
    raw.send_response(true, "").await;
    node::connected(&link).await;
    let mut payload = 1_000_u16.to_be_bytes().to_vec();
    payload.extend(FORGED.bytes());
    let close = Frame {
        opcode: CLOSE,
        ..Frame::binary(payload, false)
    };
    raw.send_frame(&close).await;
    let closed = |cause: &LinkCause| matches!(cause, LinkCause::ClosedByPeer { .. }).then_some(());
    node::down_because(&link, closed).await;
    drop(raw);
    manager.shutdown(Duration::ZERO).await;
    nothing_forged(
        &logs,
        &[
            "can't connect",
            "rejected by the remote",
            "with status 1000",
        ],
    );
}

/// Fails with a text that came from somewhere.
struct Failing(bool);

impl Accept for Failing {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        match std::mem::replace(&mut self.0, true) {
            false => Box::pin(async { Err(io::Error::other(FORGED)) }),
            true => Box::pin(std::future::pending()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t05_errors_of_a_listener_forge_no_line_pair() {
    let (logs, _guard) = Logs::capture_at(Level::DEBUG);
    let manager = builder(B, &[A]).build().unwrap();
    manager.serve_on(Failing(false)).unwrap();
    while !logs.text().contains("can't accept") {
        tokio::task::yield_now().await;
    }
    manager.shutdown(Duration::ZERO).await;
    nothing_forged(&logs, &["can't accept a connection"]);
}
