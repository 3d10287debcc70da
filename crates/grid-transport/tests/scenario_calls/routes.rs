//! Handlers and subroutes that are not there (C02, C03).

use std::time::Duration;

use grid_proto::{
    SubrouteId,
    wire::{Flags, Message, Op},
};
use grid_transport::{
    Builder, CallError, Capacity, Connection, HandlerError, HandlerId, Payload, SingleHandler,
    StreamHandler,
};

use crate::{
    nodes::{Nodes, memory, recv, tcp},
    peer::{Peer, call, caller, numbered},
    probe::{BOTH_1, ECHO, LONG, TWO_WAY},
};

const MINUTE: Duration = Duration::from_secs(60);

/// The error of a request to a handler that is not there.
async fn request_fails(peer: &Connection, handler: HandlerId) -> CallError {
    peer.request(handler, "x")
        .timeout(MINUTE)
        .await
        .unwrap_err()
}

/// The error of a stream to a handler that is not there.
async fn stream_fails(peer: &Connection, handler: HandlerId) -> CallError {
    let open = peer.stream(handler, BOTH_1, "x").timeout(MINUTE);
    let mut stream = open.await.unwrap();
    let error = recv(&mut stream).await.unwrap().unwrap_err();
    assert!(recv(&mut stream).await.is_none());
    error
}

#[track_caller]
fn unknown(error: &CallError) -> &str {
    let CallError::UnknownHandler(text) = error else {
        panic!("{error:?}")
    };
    assert!(!error.may_have_executed() && !error.is_retryable());
    text
}

async fn a_subroute_that_is_not_there(nodes: Nodes) {
    for peer in nodes.both() {
        let nowhere = peer.subroute("disk1");
        let watch = nodes.watch();
        // Both are there without a subroute, and under another one.
        let error = request_fails(&nowhere, ECHO).await;
        watch.within_a_second();
        unknown(&error);
        let watch = nodes.watch();
        let error = stream_fails(&nowhere, TWO_WAY).await;
        watch.within_a_second();
        unknown(&error);
        nodes.calls_work(100).await;
    }
    // It never lost the link either.
    nodes.settled().await;
}

#[tokio::test]
async fn c02_a_subroute_that_is_not_there_hurts_only_its_call() {
    a_subroute_that_is_not_there(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c02_a_subroute_that_is_not_there_hurts_only_its_call_pair() {
    a_subroute_that_is_not_there(memory().await).await;
}

const OK: HandlerId = HandlerId::new(201);
const FAILS: HandlerId = HandlerId::new(202);
const PANICS: HandlerId = HandlerId::new(203);
const NOT_THERE: HandlerId = HandlerId::new(204);
const STREAM: HandlerId = HandlerId::new(211);
const STREAM_FAILS: HandlerId = HandlerId::new(212);
const NO_STREAM: HandlerId = HandlerId::new(213);

/// Handlers that end in all ways, under a subroute only.
fn routed(builder: Builder) -> Builder {
    let disk1 = |single: SingleHandler| single.subroute("disk1");
    let capacity = Capacity::new(2, 4);
    builder
        .register(disk1(SingleHandler::new(OK, |_| async {
            Ok(Payload::from("fine"))
        })))
        .register(disk1(SingleHandler::new(FAILS, |_| async {
            Err(HandlerError::new("no luck"))
        })))
        .register(disk1(SingleHandler::new(PANICS, |_| async {
            panic!("oh no")
        })))
        .register(
            StreamHandler::new(STREAM, capacity, |mut call| async move {
                let item = call.recv().await.transpose()?.unwrap_or_default();
                call.send(item).await?;
                Ok(())
            })
            .subroute("disk1"),
        )
        .register(
            StreamHandler::new(STREAM_FAILS, capacity, |_| async {
                Err(HandlerError::new("no luck"))
            })
            .subroute("disk1"),
        )
}

fn routed_call(op: Op, handler: HandlerId, mux: u64) -> Message {
    Message {
        subroute: Some(SubrouteId::new(handler, "disk1")),
        ..call(op, handler, mux)
    }
}

async fn next_answer(peer: &mut Peer) -> (u64, Op, bool) {
    let answer = peer.message().await;
    assert!(!answer.flags.contains(Flags::SUBROUTE), "{answer:?}");
    assert_eq!(answer.subroute, None, "{answer:?}");
    let failed = answer.flags.contains(Flags::PAYLOAD_IS_ERR);
    (answer.mux.get(), answer.op, failed)
}

#[tokio::test]
async fn c02_no_answer_carries_the_subroute_flag() {
    let (manager, mut peer) = caller(routed).await;
    for (mux, handler, op, failed) in [
        (1, OK, Op::Response, false),
        (2, FAILS, Op::Response, true),
        (3, PANICS, Op::Response, true),
        (4, NOT_THERE, Op::MuxConnectError, false),
    ] {
        peer.send(&routed_call(Op::Request, handler, mux)).await;
        assert_eq!(next_answer(&mut peer).await, (mux, op, failed));
    }

    peer.send(&routed_call(Op::ConnectMux, STREAM, 5)).await;
    let stateless = Message {
        flags: Flags::STATELESS,
        ..routed_call(Op::ConnectMux, STREAM, 6)
    };
    assert_eq!(next_answer(&mut peer).await, (5, Op::AckMux, false));
    peer.send(&stateless).await;
    assert_eq!(
        next_answer(&mut peer).await,
        (6, Op::MuxConnectError, false)
    );
    // Also where the caller goes on to flag what belongs to it.
    let subroute = Some(SubrouteId::new(STREAM, "disk1"));
    for (seq, op) in [(1, Op::Ping), (2, Op::MuxClientMsg)] {
        let message = numbered(op, 5, seq, Flags::empty(), "");
        peer.send(&Message {
            subroute,
            ..message
        })
        .await;
    }
    let mut ops = Vec::new();
    while ops.last() != Some(&Op::DisconnectClientMux) {
        let (mux, op, failed) = next_answer(&mut peer).await;
        assert_eq!((mux, failed), (5, false));
        ops.push(op);
    }
    ops.sort_unstable();
    let mut expected = [
        Op::Pong,
        Op::UnblockClMux,
        Op::MuxServerMsg,
        Op::MuxServerMsg,
        Op::DisconnectClientMux,
    ];
    expected.sort_unstable();
    assert_eq!(ops, expected);

    peer.send(&routed_call(Op::ConnectMux, STREAM_FAILS, 7))
        .await;
    for (op, failed) in [
        (Op::AckMux, false),
        (Op::MuxServerMsg, true),
        (Op::DisconnectClientMux, false),
    ] {
        assert_eq!(next_answer(&mut peer).await, (7, op, failed));
    }
    peer.send(&routed_call(Op::ConnectMux, NO_STREAM, 8)).await;
    assert_eq!(
        next_answer(&mut peer).await,
        (8, Op::MuxConnectError, false)
    );
    manager.shutdown(LONG).await;
}

const SEVEN: HandlerId = HandlerId::new(7);

fn only_echo(builder: Builder) -> Builder {
    builder.single(ECHO, |request| async move { Ok(request.into_payload()) })
}

async fn a_handler_that_nobody_has(nodes: Nodes) {
    for peer in nodes.both() {
        // The second names it by the id that stands for both.
        for (peer, name) in [
            (peer.clone(), "Invalid Handler for type: handler 7"),
            (peer.subroute("disk1"), "Invalid Handler for type: [7 0 "),
        ] {
            let watch = nodes.watch();
            let error = request_fails(&peer, SEVEN).await;
            watch.within_a_second();
            assert!(unknown(&error).starts_with(name), "{error}");
            let watch = nodes.watch();
            let error = stream_fails(&peer, SEVEN).await;
            watch.within_a_second();
            assert!(unknown(&error).starts_with(name), "{error}");
        }
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c03_a_handler_that_nobody_has_is_named() {
    a_handler_that_nobody_has(Nodes::tcp(only_echo).await).await;
}

#[tokio::test(start_paused = true)]
async fn c03_a_handler_that_nobody_has_is_named_pair() {
    a_handler_that_nobody_has(Nodes::memory(only_echo).await).await;
}
