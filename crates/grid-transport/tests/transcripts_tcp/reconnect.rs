//! Connections that are cut while calls are open. Everything ends at once, and nothing of it appears on the next one.

use std::sync::Arc;

use grid_proto::wire::Op;
use grid_transport::{CallError, Connection, Manager, Payload};
use tokio::time::timeout;

use crate::{
    handshake::{accepting, dialing},
    node::{self, A, B, DEBUG},
    play::Play,
    probe::{BLOCK, BLOCK_CAPACITY, ECHO, Probe, SLOW},
    raw::PATIENCE,
    recording::Recording,
};

pub(crate) const FILES: &[&str] = &[
    "disconnect_during_stream_and_request_by_client.json",
    "disconnect_during_stream_and_request_by_server.json",
    "response_after_reconnect_by_client.json",
    "response_after_reconnect_by_server.json",
];

/// Our node in the place of the recorded dialer, and the link to the other.
async fn as_dialer(file: &'static str) -> (Play, Manager, Connection, Arc<Probe>) {
    let (play, manager, probe) = dialing(Recording::load(file), A, DEBUG).await;
    let link = manager.connection(B).unwrap();
    (play, manager, link, probe)
}

/// Our node in the place of the recorded acceptor.
async fn as_acceptor(file: &'static str) -> (Play, Manager, Connection, Arc<Probe>) {
    let recording = Recording::load(file);
    let clock = recording.dialer_clock();
    let (play, manager, probe) = accepting(recording, clock, DEBUG).await;
    let link = manager.connection(A).unwrap();
    (play, manager, link, probe)
}

fn is_disconnected<T: std::fmt::Debug>(outcome: &Result<T, CallError>) -> bool {
    matches!(outcome, Err(CallError::Disconnected { .. }))
}

/// A request and a stream are open when the connection is cut: our node made both.
async fn caller_is_cut(mut play: Play, link: Connection) {
    play.play(4).await;
    node::connected(&link).await;
    // The request takes mux 1 when it is made, the stream mux 2.
    let request = tokio::spawn(link.request(SLOW, "3000").into_future());
    let numbered = link.clone();
    timeout(PATIENCE, async {
        while numbered.stats().open_requests == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the request was not made");
    let mut stream = link.stream(BLOCK, BLOCK_CAPACITY, "x").await.unwrap();
    play.play(3).await;

    play.play(1).await;
    let request = timeout(PATIENCE, request)
        .await
        .expect("the request hangs")
        .unwrap();
    assert!(is_disconnected(&request), "{request:?}");
    let item = timeout(PATIENCE, stream.recv())
        .await
        .expect("the stream hangs");
    assert!(is_disconnected(&item.expect("a clean end")), "the stream");
    let refused = link.request(ECHO, "while down").await;
    assert!(
        matches!(refused, Err(CallError::NotConnected { .. })),
        "{refused:?}"
    );

    play.play(4).await;
    node::connected(&link).await;
    play.leave_out(Op::DisconnectServerMux, 51);
    let echo = tokio::spawn(link.request(ECHO, "after reconnect").into_future());
    play.play_to_end().await;
    assert_eq!(
        echo.await.unwrap().unwrap(),
        Payload::from("after reconnect")
    );
    assert_eq!(link.stats().reconnects, 1);
}

/// The same, with the handlers on our node.
async fn handler_is_cut(mut play: Play, link: Connection, probe: Arc<Probe>) {
    play.play(7).await;
    probe
        .seen(|seen| seen.block_began == 1 && seen.slow_began == 1)
        .await;
    play.play(1).await;
    // The stream's handler is dropped, that of the single request goes on.
    probe
        .seen(|seen| seen.block_dropped == 1 && seen.slow_ended == 0)
        .await;
    play.play(4).await;
    node::connected(&link).await;
    // A late answer to a call of the lost connection.
    probe.gate.add_permits(1);
    probe.seen(|seen| seen.slow_ended == 1).await;
    play.play_to_end().await;
}

#[tokio::test]
async fn a_dialer_that_calls_is_cut() {
    let (play, _manager, link, _) =
        as_dialer("disconnect_during_stream_and_request_by_client.json").await;
    caller_is_cut(play, link).await;
}

#[tokio::test]
async fn an_acceptor_that_calls_is_cut() {
    let (play, _manager, link, _) =
        as_acceptor("disconnect_during_stream_and_request_by_server.json").await;
    caller_is_cut(play, link).await;
}

#[tokio::test]
async fn a_dialer_that_serves_is_cut() {
    let (play, _manager, link, probe) =
        as_dialer("disconnect_during_stream_and_request_by_server.json").await;
    handler_is_cut(play, link, probe).await;
}

#[tokio::test]
async fn an_acceptor_that_serves_is_cut() {
    let (play, _manager, link, probe) =
        as_acceptor("disconnect_during_stream_and_request_by_client.json").await;
    handler_is_cut(play, link, probe).await;
}

/// A handler outlives its connection: its answer is discarded.
async fn late_answer_is_discarded(mut play: Play, link: Connection, probe: Arc<Probe>) {
    play.play(5).await;
    probe.seen(|seen| seen.slow_began == 1).await;
    play.play(5).await;
    node::connected(&link).await;
    play.leave_out(Op::Response, 53);
    probe.gate.add_permits(1);
    probe.seen(|seen| seen.slow_ended == 1).await;
    // Waits until the answer is counted as discarded.
    timeout(PATIENCE, async {
        while link.stats().discarded_answers == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the answer is not counted");
    play.play_to_end().await;
}

#[tokio::test]
async fn a_dialers_late_answer_is_discarded() {
    let (play, _manager, link, probe) = as_dialer("response_after_reconnect_by_server.json").await;
    late_answer_is_discarded(play, link, probe).await;
}

#[tokio::test]
async fn an_acceptors_late_answer_is_discarded() {
    let (play, _manager, link, probe) =
        as_acceptor("response_after_reconnect_by_client.json").await;
    late_answer_is_discarded(play, link, probe).await;
}

/// The recorded node sends the answer late, on the next connection: nobody takes it for an answer to a later call.
async fn late_answer_hits_nothing(mut play: Play, link: Connection) {
    play.play(4).await;
    node::connected(&link).await;
    let request = tokio::spawn(link.request(SLOW, "300").into_future());
    play.play(2).await;
    let outcome = timeout(PATIENCE, request)
        .await
        .expect("the request hangs")
        .unwrap();
    assert!(is_disconnected(&outcome), "{outcome:?}");
    play.play(4).await;
    node::connected(&link).await;
    play.play_to_end().await;
    assert!(link.state().is_connected());
    assert_eq!(link.stats().open_requests, 0);
}

#[tokio::test]
async fn a_dialer_ignores_a_late_answer() {
    let (play, _manager, link, _) = as_dialer("response_after_reconnect_by_client.json").await;
    late_answer_hits_nothing(play, link).await;
}

#[tokio::test]
async fn an_acceptor_ignores_a_late_answer() {
    let (play, _manager, link, _) = as_acceptor("response_after_reconnect_by_server.json").await;
    late_answer_hits_nothing(play, link).await;
}
