//! Opening a connection: who gets in, and who gives up on whom.

#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use grid_proto::wire::{Extra, Op};
use grid_proto::{MuxId, wire::Message};
use grid_transport::{
    Auth, AuthError, Connection, HandlerId, LinkCause, Manager, Payload, TokenContext,
};
use node::{A, B, Redirect, builder, link};
use raw::{Frame, Next, Raw, request};
use tokio::net::TcpListener;

const ECHO: HandlerId = HandlerId::new(9);

/// A node that dials a raw acceptor.
async fn dialing(
    configure: impl FnOnce(grid_transport::Builder) -> grid_transport::Builder,
) -> (TcpListener, Manager, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Redirect(listener.local_addr().unwrap());
    let manager = configure(builder(A, &[B]).dialer(redirect))
        .build()
        .unwrap();
    let link = manager.connection(B).unwrap();
    (listener, manager, link)
}

/// A node that a raw dialer reaches.
async fn accepting() -> (std::net::SocketAddr, Manager) {
    let manager = builder(B, &[A, node::C]).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

#[tokio::test]
async fn both_nodes_can_call_whoever_dialed() {
    let [a, b] = node::pair(|_, builder| {
        builder.single(ECHO, |request| async move { Ok(request.into_payload()) })
    })
    .await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let link = link(from, to);
        node::connected(&link).await;
        let answer = link.request(ECHO, from.local().to_owned()).await.unwrap();
        assert_eq!(answer, Payload::from(from.local().to_owned()));
    }
    assert!(link(&a, &b).stats().dials && !link(&b, &a).stats().dials);
}

#[tokio::test]
async fn l02_clocks_may_differ_by_less_than_five_minutes() {
    let at = SystemTime::now();
    for (skew, accepted) in [(299, true), (301, false)] {
        for late in [0, 1] {
            let [a, b] = node::pair(|index, builder| {
                let skew = Duration::from_secs(if index == late { skew } else { 0 });
                builder.wall_clock(move || at + skew)
            })
            .await;
            let link = link(&a, &b);
            if accepted {
                node::connected(&link).await;
            } else {
                let reason = node::down_because(&link, |cause| match cause {
                    LinkCause::Rejected(reason) => Some(reason.to_string()),
                    _ => None,
                })
                .await;
                assert_eq!(reason, "time difference too large between servers: 5m1s");
            }
        }
    }
}

/// The acceptor never answers: the dialer gives up, closes, and tries again.
#[tokio::test]
async fn l14_a_silent_acceptor_is_given_up() {
    let limit = Duration::from_millis(200);
    let (listener, _manager, link) =
        dialing(|builder| builder.settings(node::settings().handshake_timeout(limit))).await;
    for stage in ["silent", "upgraded", "silent"] {
        let mut raw = Raw::accept(&listener).await;
        if stage == "upgraded" {
            raw.serve_request().await;
            assert!(raw.read_to_end().await.is_empty());
        } else {
            raw.read_head().await;
            assert!(matches!(raw.next().await, Next::End));
        }
    }
    node::down_because(&link, |cause| {
        matches!(cause, LinkCause::HandshakeTimeout { after } if *after == limit).then_some(())
    })
    .await;
}

/// The dialer never asks: the acceptor gives up, and others are served meanwhile.
#[tokio::test]
async fn l14_a_silent_dialer_is_given_up() {
    let limit = Duration::from_millis(500);
    let manager = builder(B, &[A])
        .settings(node::settings().handshake_timeout(limit))
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let began = Instant::now();
    let mut silent = Raw::upgrade(address, raw::PATH).await;
    let mut one_byte = Raw::upgrade(address, raw::PATH).await;
    one_byte.send_bytes(&[0x82]).await;
    let (mut other, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    assert!(silent.read_to_end().await.is_empty());
    let took = began.elapsed();
    assert!(took >= limit, "{took:?}");
    assert!(took < limit + Duration::from_secs(1), "{took:?}");
    assert!(one_byte.read_to_end().await.is_empty());
    let took = began.elapsed();
    assert!(took < limit + Duration::from_secs(1), "{took:?}");
    assert!(other.round_trip().await.is_empty());
}

#[tokio::test]
async fn what_is_no_answer_is_told_as_the_cause() {
    let (listener, _manager, link) = dialing(|builder| builder).await;
    let ping = {
        let mut bytes = Vec::new();
        Message::new(Op::Ping, MuxId::CONNECTION).encode(&mut bytes);
        bytes
    };
    let text = Frame {
        opcode: raw::TEXT,
        ..Frame::binary(&b"hello"[..], false)
    };
    for (answer, words) in [
        (
            Frame::binary(ping, false),
            "handshake failed: the answer is a Ping, not a ConnectResponse",
        ),
        (
            Frame::binary(&b"\x93"[..], false),
            "handshake failed: the answer is no message",
        ),
        (text, "handshake failed: the answer is text"),
        (
            Frame {
                opcode: raw::CLOSE,
                ..Frame::binary(&b"\x03\xe9bye"[..], false)
            },
            "1001: bye",
        ),
        (
            Frame {
                rsv: 4,
                ..Frame::binary(&b"x"[..], false)
            },
            "reserved bits",
        ),
        (
            Frame::binary(vec![0; 70_000], false),
            "above the limit of 65536",
        ),
    ] {
        let mut raw = Raw::accept(&listener).await;
        raw.serve_request().await;
        raw.send_frame(&answer).await;
        let left = raw.read_to_end().await;
        drop(raw);
        match words {
            "1001: bye" => assert_eq!(left[0].payload, b"\x03\xe9"),
            "above the limit of 65536" => assert_eq!(left[0].payload, b"\x03\xf1"),
            _ => assert!(left.is_empty(), "{words}: {left:?}"),
        }
        let told = |cause: &LinkCause| cause.to_string().contains(words).then_some(());
        node::down_because(&link, told).await;
    }
    // And when it just leaves.
    let mut raw = Raw::accept(&listener).await;
    raw.serve_request().await;
    drop(raw);
    node::down_because(&link, |cause| {
        let left = "handshake failed: the remote left without an answer";
        (cause.to_string() == left || matches!(cause, LinkCause::Lost(_))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_as_the_cause() {
    let (listener, _manager, link) = dialing(|builder| builder).await;
    let switching = "HTTP/1.1 101 Switching Protocols";
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    for (lines, words) in [
        (&["HTTP/1.1 404 Not Found"][..], "status 404"),
        (&[switching], "upgrades to something else"),
        (
            &[switching, upgrade, connection],
            "belongs to another request",
        ),
        (
            &[switching, upgrade, connection, "Sec-WebSocket-Accept: x"],
            "belongs to another request",
        ),
        (&["SSH-2.0-OpenSSH"], "no HTTP"),
    ] {
        let mut raw = Raw::accept(&listener).await;
        raw.read_head().await;
        raw.send_head(lines).await;
        let told = |cause: &LinkCause| cause.to_string().contains(words).then_some(());
        node::down_because(&link, told).await;
    }
    let mut raw = Raw::accept(&listener).await;
    raw.read_head().await;
    raw.send_bytes(b"HTTP/1.1 101 Switching Protocols\r\n")
        .await;
    raw.send_bytes(format!("X: {}\r\n", "x".repeat(20_000)).as_bytes())
        .await;
    let told = |cause: &LinkCause| cause.to_string().contains("too long").then_some(());
    node::down_because(&link, told).await;
}

/// Bytes right behind the answer belong to the session.
#[tokio::test]
async fn what_comes_with_the_answer_is_not_lost() {
    let (listener, _manager, link) = dialing(|builder| builder).await;
    let mut raw = Raw::accept(&listener).await;
    raw.serve_request().await;
    let id = grid_proto::InstanceId::new([7; 16]);
    let accept = grid_proto::conn::handshake::accept(id, None);
    let mut ping = Vec::new();
    let message = Message {
        deadline_ms: 77,
        ..Message::new(Op::Ping, MuxId::CONNECTION)
    };
    message.encode(&mut ping);
    let both = [
        Frame::binary(accept, false).encode(),
        Frame::binary(ping, false).encode(),
    ]
    .concat();
    raw.send_bytes(&both).await;
    assert_eq!(raw.read_message().await.unwrap().op, Op::Pong);
    node::state(&link, |state| match state {
        grid_transport::LinkState::Connected { peer, .. } => {
            assert_eq!(*peer, id);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_handshake_is_short() {
    let (address, _manager) = accepting().await;
    let mut raw = Raw::upgrade(address, raw::PATH).await;
    raw.send_frame(&Frame::binary(vec![0; 65_537], true)).await;
    let left = raw.read_to_end().await;
    assert_eq!(
        (left[0].opcode, &left[0].payload[..]),
        (raw::CLOSE, &b"\x03\xf1"[..])
    );

    // As long as it may be: it is read, and found to be no message.
    let mut raw = Raw::upgrade(address, raw::PATH).await;
    raw.send_frame(&Frame::binary(vec![0; 65_536], true)).await;
    let response = raw.read_response().await.unwrap();
    let reason = response.rejected_reason.to_string();
    assert!(
        reason.starts_with("error parsing grid connect: "),
        "{reason}"
    );

    // Once it is over messages may be longer.
    let (mut raw, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    let long = Message {
        payload: vec![0; 70_000].into(),
        ..Message::new(Op::Response, MuxId::new(1))
    };
    raw.send_message(&long).await;
    assert!(raw.round_trip().await.is_empty());
}

/// Nodes of this project tell each other so, under a key that others skip.
#[tokio::test]
async fn our_nodes_know_each_other() {
    let (address, _manager) = accepting().await;
    let (_raw, response) = Raw::connect(address, &request(A, "debug")).await;
    assert_eq!(
        response.extra,
        Some(Extra {
            version: 1,
            capabilities: 3
        })
    );

    let (listener, _manager, _link) = dialing(|builder| builder).await;
    let asked = Raw::accept(&listener).await.serve_request().await;
    assert_eq!(
        asked.extra,
        Some(Extra {
            version: 1,
            capabilities: 3
        })
    );
}

/// Has no token, or one that no header can hold.
struct Tokenless(Option<&'static str>);

impl Auth for Tokenless {
    fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        assert_eq!((context.local, context.remote), (A, B));
        Box::pin(async {
            self.0
                .map(str::to_owned)
                .ok_or_else(|| AuthError::new("the vault is closed"))
        })
    }

    fn check<'a>(
        &'a self,
        _: &'a [u8],
        _: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_dialer_without_a_token_says_so() {
    for (auth, words) in [
        (
            Tokenless(None),
            "no token to dial with: the vault is closed",
        ),
        (
            Tokenless(Some("two\r\nlines")),
            "the token can't stand in a header",
        ),
    ] {
        let (_listener, _manager, link) = dialing(|builder| builder.auth(auth)).await;
        let told = |cause: &LinkCause| cause.to_string().contains(words).then_some(());
        node::down_because(&link, told).await;
    }
}
