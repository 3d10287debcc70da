//! A connect request that somebody has recorded opens no second connection.

use std::time::{Duration, SystemTime};

use grid_proto::wire::{ConnectRequest, Timestamp};
use grid_transport::testing;
use tokio::net::TcpListener;

use crate::{
    accepting,
    node::{self, A, B, Redirect, builder, settings},
    raw::{Frame, PATH, Raw, request},
};

const REFUSED: &str = "this connect request was used before";

/// What travels when `request` is sent, byte for byte.
fn recorded(request: &ConnectRequest) -> Vec<u8> {
    Frame::binary(grid_proto::conn::handshake::connect(request), true).encode()
}

/// Sends recorded bytes on a connection of its own; returns why they are turned away.
async fn played(address: std::net::SocketAddr, bytes: &[u8]) -> (Raw, Option<String>) {
    let mut raw = Raw::upgrade(address, PATH).await;
    raw.send_bytes(bytes).await;
    let response = raw.read_response().await.expect("no answer");
    let refused = (!response.accepted).then(|| response.rejected_reason.to_string());
    (raw, refused)
}

#[tokio::test]
async fn a_captured_connect_is_refused_and_its_connection_lives() {
    let (address, _manager) = accepting(&[A], |builder| builder).await;
    let bytes = recorded(&request(A, "debug"));
    let (mut live, refused) = played(address, &bytes).await;
    assert_eq!(refused, None);
    for _ in 0..3 {
        let (mut copy, refused) = played(address, &bytes).await;
        assert_eq!(refused.as_deref(), Some(REFUSED));
        assert!(copy.read_to_end().await.is_empty());
        assert!(
            live.round_trip().await.is_empty(),
            "the copy takes no connection's place"
        );
    }
    // Nor does it get in when the connection that it was copied from is gone.
    drop(live);
    assert_eq!(played(address, &bytes).await.1.as_deref(), Some(REFUSED));
}

/// A node of the reference has one id for as long as it runs, and a new time for each attempt.
#[tokio::test]
async fn the_same_instance_with_a_new_time_is_let_in() {
    let (address, _manager) = accepting(&[A], |builder| builder).await;
    let first = request(A, "debug");
    let later = |nanos: i128| ConnectRequest {
        time: Timestamp::from_unix_nanos(first.time.unix_nanos() + nanos),
        ..first.clone()
    };
    // By the smallest step there is, and by one back, as when its clock is set.
    for nanos in [0, 1, 2, -1, -60_000_000_000] {
        let (mut raw, refused) = played(address, &recorded(&later(nanos))).await;
        assert_eq!(refused, None, "{nanos}");
        assert!(raw.round_trip().await.is_empty());
    }
    assert_eq!(
        played(address, &recorded(&later(1))).await.1.as_deref(),
        Some(REFUSED)
    );
}

/// Only who has the token can have something remembered, so nobody else can have something forgotten.
#[tokio::test]
async fn strangers_cannot_fill_the_memory() {
    let settings = settings().max_remembered(2);
    let (address, _manager) = accepting(&[A], |builder| builder.settings(settings)).await;
    let bytes = recorded(&request(A, "debug"));
    let (_live, refused) = played(address, &bytes).await;
    assert_eq!(refused, None);
    for _ in 0..10 {
        let (_raw, refused) = played(address, &recorded(&request(A, "wrong"))).await;
        assert!(refused.is_some_and(|reason| reason.starts_with("auth token")));
    }
    assert_eq!(played(address, &bytes).await.1.as_deref(), Some(REFUSED));
    // Who has it pushes the oldest out, and is never refused for it.
    for _ in 0..3 {
        let (_raw, refused) = played(address, &recorded(&request(A, "debug"))).await;
        assert_eq!(refused, None);
    }
    assert_eq!(played(address, &bytes).await.1, None);
}

/// A node of ours whose clock stands still makes a new request for each attempt all the same.
#[tokio::test]
async fn our_dialer_never_asks_twice_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Redirect(listener.local_addr().unwrap());
    let now = SystemTime::now();
    let manager = builder(A, &[B])
        .dialer(redirect)
        .wall_clock(move || now)
        .build()
        .unwrap();
    let mut times = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::accept(&listener).await;
        let asked = raw.serve_request().await;
        assert_eq!(asked.id, manager.id());
        raw.send_response(true, "").await;
        times.push(asked.time);
    }
    times.dedup();
    assert_eq!(times.len(), 3);
    let spread = times[2].abs_diff(times[0]);
    assert!(spread < Duration::from_micros(1), "{spread:?}");
}

/// Both ends are ours, and the clocks stand still: each of five reconnects is let in at the first attempt.
#[tokio::test(start_paused = true)]
async fn an_honest_reconnect_is_never_refused_pair() {
    let now = SystemTime::now();
    let pair = testing::pair(|builder| builder.wall_clock(move || now))
        .await
        .unwrap();
    let (a, b) = (pair.a_to_b(), pair.b_to_a());
    for round in 1..=5 {
        pair.cut();
        for link in [&a, &b] {
            node::state(link, |state| (!state.is_connected()).then_some(())).await;
        }
        pair.connected().await.unwrap();
        for link in [&a, &b] {
            assert_eq!(
                (link.stats().reconnects, link.stats().failed_attempts),
                (round, 0)
            );
        }
    }
}
