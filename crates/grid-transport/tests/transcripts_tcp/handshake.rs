//! Dialers that are let in, and those that never ask.

use std::time::{Duration, SystemTime};

use grid_transport::{LinkCause, Manager};
use tokio::net::TcpListener;

use crate::{
    node::{self, A, B, C, DEBUG, Debug, Redirect},
    play::{Peer, Play},
    probe::Probe,
    recording::Recording,
};

pub(crate) const FILES: &[&str] = &[
    "accept_clock_skew_4_minutes.json",
    "connect.json",
    "connect_close_before_message.json",
    "connect_with_crc.json",
    "http_not_an_upgrade.json",
    "reject_http_auth.json",
];

/// Our node accepts, as `http://node-b:9000`.
pub(crate) async fn accepting(
    recording: Recording,
    clock: SystemTime,
    auth: Debug,
) -> (Play, Manager, std::sync::Arc<Probe>) {
    let probe = Probe::new();
    let builder = node::builder(B, &[A, C])
        .auth(auth)
        .wall_clock(move || clock);
    let manager = probe.register(builder).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = manager.serve(socket).unwrap();
    let address = serving.local_addr().unwrap();
    (
        Play::new(recording, Peer::Dials(address), clock),
        manager,
        probe,
    )
}

/// Our node dials `http://node-b:9000`, under the name of the recorded dialer.
pub(crate) async fn dialing(
    recording: Recording,
    local: &str,
    auth: Debug,
) -> (Play, Manager, std::sync::Arc<Probe>) {
    let clock = recording.dialer_clock();
    let probe = Probe::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let builder = node::builder(local, &[B])
        .auth(auth)
        .wall_clock(move || clock)
        .dialer(Redirect(listener.local_addr().unwrap()));
    let manager = probe.register(builder).build().unwrap();
    (
        Play::new(recording, Peer::Listens(listener), clock),
        manager,
        probe,
    )
}

#[tokio::test]
async fn a_connection_is_accepted() {
    for file in ["connect.json", "connect_with_crc.json"] {
        let recording = Recording::load(file);
        let clock = recording.dialer_clock();
        let (mut play, manager, _) = accepting(recording, clock, DEBUG).await;
        play.play(4).await;
        node::connected(&manager.connection(A).unwrap()).await;
        play.finish().await;
    }
}

#[tokio::test]
async fn a_connection_is_dialed() {
    let (mut play, manager, _) = dialing(Recording::load("connect.json"), A, DEBUG).await;
    play.play(4).await;
    node::connected(&manager.connection(B).unwrap()).await;
    play.finish().await;
}

#[tokio::test]
async fn clocks_four_minutes_apart_are_accepted() {
    let recording = Recording::load("accept_clock_skew_4_minutes.json");
    let clock = recording.dialer_clock() + Duration::from_secs(240);
    let (play, _manager, _) = accepting(recording, clock, DEBUG).await;
    play.play_to_end().await;
}

#[tokio::test]
async fn a_dialer_that_leaves_without_a_word_gets_none() {
    let recording = Recording::load("connect_close_before_message.json");
    let clock = recording.dialer_clock();
    let (play, _manager, _) = accepting(recording, clock, DEBUG).await;
    play.play_to_end().await;
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_gets_400() {
    let recording = Recording::load("http_not_an_upgrade.json");
    let clock = recording.dialer_clock();
    let (play, _manager, _) = accepting(recording, clock, DEBUG).await;
    play.play_to_end().await;
}

#[tokio::test]
async fn headers_that_are_refused_get_403() {
    let recording = Recording::load("reject_http_auth.json");
    let clock = recording.dialer_clock();
    let auth = Debug {
        token: "debug",
        refuse_headers: true,
    };
    let (play, _manager, _) = accepting(recording, clock, auth).await;
    play.play_to_end().await;
}

#[tokio::test]
async fn a_dialer_that_gets_403_says_so() {
    let recording = Recording::load("reject_http_auth.json");
    // The recorded dialer's clock, in its header.
    let (play, manager, _) = dialing(recording, A, DEBUG).await;
    play.play_to_end().await;
    node::down_because(&manager.connection(B).unwrap(), |cause| {
        matches!(cause, LinkCause::Refused { status: 403 }).then_some(())
    })
    .await;
}
