//! A peer that breaks the rules of a stream: H06 to H09.

use std::{future::IntoFuture, time::Duration};

use futures_util::FutureExt;
use grid_proto::wire::{Message, Op};
use grid_transport::{CallError, Capacity};
use tokio::time::timeout;

use crate::{
    hostile::{
        NEVER_READS, NO_INPUT, STUCK, TWO_WAY, a_thousand_calls, call, dialing, ended, errors,
        has_end, let_in, numbered, read_until, serving,
    },
    node::{self, A},
    raw::{PATIENCE, Raw},
};

/// Opens a stream at the node, which acknowledges it.
async fn open(raw: &mut Raw, handler: grid_transport::HandlerId, mux: u64) {
    raw.send_message(&call(Op::ConnectMux, handler, mux, "s"))
        .await;
    let came = read_until(raw, |came| !came.is_empty()).await;
    assert_eq!((came.len(), came[0].op), (1, Op::AckMux), "{came:?}");
}

/// Whether the link goes on, with that many streams.
async fn lives_on(raw: &mut Raw, manager: &grid_transport::Manager, streams: usize) {
    a_thousand_calls(raw, true).await;
    let stats = manager.connection(A).unwrap().stats();
    assert_eq!(stats.serving_streams, streams, "{stats:?}");
    assert_eq!((stats.reconnects, stats.state.is_connected()), (0, true));
}

#[tokio::test]
async fn h06_credit_that_nobody_gave_is_ignored() {
    let (mut raw, manager, link) = dialing(node::settings()).await;
    let capacity = Capacity::new(2, 4);
    let mut stream = link.stream(STUCK, capacity, "s").await.unwrap();
    let opened = raw.read_message().await.unwrap();
    assert_eq!(opened.op, Op::ConnectMux);
    let mux = opened.mux.get();
    // Before the ack, far above the capacity, and acknowledged twice.
    for seq in 0..100 {
        raw.send_message(&numbered(Op::UnblockClMux, mux, seq, ""))
            .await;
    }
    assert!(raw.round_trip().await.is_empty());
    assert!(
        stream.send("early").now_or_never().is_none(),
        "there is no credit yet"
    );
    raw.send_message(&numbered(Op::AckMux, mux, 100, "")).await;
    for seq in 101..200 {
        raw.send_message(&numbered(Op::UnblockClMux, mux, seq, ""))
            .await;
    }
    raw.send_message(&numbered(Op::AckMux, mux, 200, "")).await;
    assert!(raw.round_trip().await.is_empty());
    for item in ["one", "two"] {
        timeout(PATIENCE, stream.send(item)).await.unwrap().unwrap();
    }
    assert!(
        stream.send("three").now_or_never().is_none(),
        "more than its capacity"
    );
    let came = raw.round_trip().await;
    let items: Vec<&[u8]> = came.iter().map(|item| &item.payload[..]).collect();
    assert_eq!(items, [&b"one"[..], b"two"]);
    // It goes on in order, and so does the link.
    raw.send_message(&numbered(Op::MuxServerMsg, mux, 201, "item"))
        .await;
    raw.send_message(&ended(numbered(Op::MuxServerMsg, mux, 202, "")))
        .await;
    assert_eq!(stream.recv().await.unwrap().unwrap().as_slice(), b"item");
    assert!(stream.recv().await.is_none());
    a_thousand_calls(&mut raw, false).await;
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h06_a_caller_that_gives_more_credit_than_there_is_gets_no_more_items() {
    let (address, manager) = serving(node::settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    open(&mut raw, TWO_WAY, 7).await;
    for seq in 1..=100 {
        raw.send_message(&numbered(Op::UnblockSrvMux, 7, seq, ""))
            .await;
    }
    let items = |came: &[Message]| came.iter().filter(|m| m.op == Op::MuxServerMsg).count();
    // The handler gives back what it gets: its fifth item has no credit, whatever was returned before.
    for seq in 101..=104 {
        raw.send_message(&numbered(Op::MuxClientMsg, 7, seq, "x"))
            .await;
    }
    let came = read_until(&mut raw, |came| items(came) == 4).await;
    assert_eq!(items(&came), 4);
    raw.send_message(&numbered(Op::MuxClientMsg, 7, 105, "x"))
        .await;
    let came = raw.round_trip().await;
    assert_eq!(items(&came), 0, "{came:?}");
    raw.send_message(&numbered(Op::UnblockSrvMux, 7, 106, ""))
        .await;
    let came = read_until(&mut raw, |came| items(came) == 1).await;
    assert_eq!(items(&came), 1);
    lives_on(&mut raw, &manager, 1).await;
    manager.shutdown(Duration::ZERO).await;
}

/// What breaks a stream, and the reason that comes back.
#[tokio::test]
async fn h07_a_broken_rule_ends_that_stream_with_the_reason() {
    let (address, manager) = serving(node::settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    open(&mut raw, TWO_WAY, 1_000).await;
    let item = |mux, seq| numbered(Op::MuxClientMsg, mux, seq, "x");
    let wrong = "receive sequence number mismatch. want 1, got 5";
    let cases: [(_, Vec<Message>, _); 5] = [
        (TWO_WAY, vec![item(1, 5)], wrong),
        (TWO_WAY, vec![numbered(Op::UnblockSrvMux, 2, 5, "")], wrong),
        (TWO_WAY, vec![numbered(Op::Ping, 3, 5, "")], wrong),
        (NO_INPUT, vec![item(4, 1)], "did not expect inbound message"),
        (
            NEVER_READS,
            (1..=5).map(|seq| item(5, seq)).collect(),
            "handler blocked",
        ),
    ];
    for (mux, (handler, messages, reason)) in (1..).zip(cases) {
        open(&mut raw, handler, mux).await;
        for message in &messages {
            raw.send_message(message).await;
        }
        let came = read_until(&mut raw, |came| has_end(came, mux)).await;
        let told = errors(&came, mux);
        assert!(told.contains(&reason.to_owned()), "{reason}: {told:?}");
        lives_on(&mut raw, &manager, 1).await;
    }
    // The neighbour has not noticed.
    raw.send_message(&item(1_000, 1)).await;
    let came = read_until(&mut raw, |came| {
        came.iter().any(|m| m.op == Op::MuxServerMsg)
    })
    .await;
    assert!(errors(&came, 1_000).is_empty());
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h07_a_handlers_side_that_breaks_a_rule_fails_that_stream() {
    let (mut raw, manager, link) = dialing(node::settings()).await;
    let capacity = Capacity::new(1, 2);
    let beside = tokio::spawn(
        link.request(STUCK, "beside")
            .timeout(PATIENCE)
            .into_future(),
    );
    let beside_mux = raw.read_message().await.unwrap().mux;
    for broken in ["sequence", "capacity"] {
        let mut stream = link.stream(STUCK, capacity, "s").await.unwrap();
        let mux = raw.read_message().await.unwrap().mux.get();
        raw.send_message(&numbered(Op::AckMux, mux, 0, "")).await;
        let first = if broken == "sequence" { 5 } else { 1 };
        for seq in first..first + 3 {
            raw.send_message(&numbered(Op::MuxServerMsg, mux, seq, "x"))
                .await;
        }
        // Told to stop, once.
        let came = read_until(&mut raw, |came| !came.is_empty()).await;
        assert_eq!(
            (came.len(), came[0].op),
            (1, Op::DisconnectServerMux),
            "{came:?}"
        );
        let mut items = 0;
        let error = loop {
            match timeout(PATIENCE, stream.recv()).await.unwrap() {
                Some(Ok(_)) => items += 1,
                Some(Err(error)) => break error,
                None => panic!("a clean end"),
            }
        };
        if broken == "sequence" {
            assert!(matches!(error, CallError::Protocol(_)), "{error:?}");
            assert_eq!(items, 0);
        } else {
            assert!(
                matches!(error, CallError::CapacityMismatch { .. }),
                "{error:?}"
            );
            assert_eq!(items, 2);
        }
        a_thousand_calls(&mut raw, false).await;
    }
    raw.send_message(&ended(Message {
        mux: beside_mux,
        ..numbered(Op::Response, 0, 0, "answer")
    }))
    .await;
    assert_eq!(beside.await.unwrap().unwrap().as_slice(), b"answer");
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h08_what_follows_the_end_of_input_ends_the_stream_once() {
    let (address, manager) = serving(node::settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    for (mux, twice) in [(1, true), (2, false)] {
        open(&mut raw, NEVER_READS, mux).await;
        raw.send_message(&ended(numbered(Op::MuxClientMsg, mux, 1, "")))
            .await;
        let second = numbered(Op::MuxClientMsg, mux, 2, "x");
        raw.send_message(&if twice { ended(second) } else { second })
            .await;
        let mut came = read_until(&mut raw, |came| has_end(came, mux)).await;
        raw.send_message(&numbered(Op::MuxClientMsg, mux, 3, "x"))
            .await;
        let late = raw.round_trip().await;
        // One stray answer to what came after the end, and nothing else.
        assert!(
            late.iter()
                .all(|late| late.op == Op::DisconnectClientMux && late.payload.is_empty())
        );
        came.extend(late);
        assert_eq!(errors(&came, mux), ["did not expect inbound message"]);
        let ends = came.iter().filter(|m| m.op == Op::MuxServerMsg).count();
        assert_eq!(ends, 1, "{came:?}");
        lives_on(&mut raw, &manager, 0).await;
    }
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h09_the_same_number_opened_twice_is_ignored_and_the_first_goes_on() {
    let (address, manager) = serving(node::settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    open(&mut raw, TWO_WAY, 7).await;
    for handler in [TWO_WAY, NO_INPUT, STUCK] {
        raw.send_message(&call(Op::ConnectMux, handler, 7, "again"))
            .await;
    }
    assert!(
        raw.round_trip().await.is_empty(),
        "no answer: it would end the first"
    );
    let stats = manager.connection(A).unwrap().stats();
    assert_eq!((stats.ignored, stats.serving_streams), (3, 1));
    raw.send_message(&numbered(Op::MuxClientMsg, 7, 1, "item"))
        .await;
    let came = read_until(&mut raw, |came| {
        came.iter().any(|m| m.op == Op::MuxServerMsg)
    })
    .await;
    let item = came.iter().find(|m| m.op == Op::MuxServerMsg).unwrap();
    assert_eq!(item.payload, "item");
    raw.send_message(&ended(numbered(Op::MuxClientMsg, 7, 2, "")))
        .await;
    let came = read_until(&mut raw, |came| has_end(came, 7)).await;
    assert!(errors(&came, 7).is_empty());
    lives_on(&mut raw, &manager, 0).await;
    manager.shutdown(Duration::ZERO).await;
}
