//! How many bytes may be held or wait.

use std::{future::IntoFuture, time::Duration};

use grid_proto::{
    conn::QUEUED_COST,
    wire::{Message, MuxConnectError, Op},
};
use grid_transport::{CallError, LinkStats, Refusal};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};

use crate::{
    around,
    hostile::{STUCK, call, dialers, dialing, let_in, serving},
    node::{self, A},
    raw::PATIENCE,
};

/// More than the buffers of a socket hold, at both its ends.
const LARGE: usize = 32 * 1024 * 1024;

/// Waits until the numbers of a link are as they should be.
async fn until(stats: impl Fn() -> LinkStats, wanted: impl Fn(&LinkStats) -> bool) {
    let found = async {
        while !wanted(&stats()) {
            yield_now().await;
        }
    };
    if timeout(PATIENCE, found).await.is_err() {
        panic!("still {:?}", stats());
    }
}

#[tokio::test]
async fn max_inbound_of_a_link() {
    let limit = 100_000;
    for held in around(limit) {
        let (address, manager) = serving(node::settings().max_inbound(limit), &[]).await;
        let mut raw = let_in(address, A).await;
        raw.send_message(&call(Op::Request, STUCK, 1, vec![0; held]))
            .await;
        raw.send_message(&call(Op::Request, STUCK, 2, "x")).await;
        let refused = raw.round_trip().await;
        assert_eq!(refused.len(), usize::from(held >= limit), "{held}");
        if let Some(refused) = refused.first() {
            assert_eq!(refused.op, Op::MuxConnectError);
            MuxConnectError::decode(&refused.payload).unwrap();
        }
        // What it holds is held over a reconnect.
        let mut again = let_in(address, A).await;
        again.send_message(&call(Op::Request, STUCK, 3, "x")).await;
        let refused = again.round_trip().await;
        assert_eq!(refused.len(), usize::from(held + 1 >= limit), "{held}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn h17_max_inbound_of_a_node() {
    let limit = 100_000;
    let names = dialers(2);
    // A quarter is kept for the four links that there are, for each its part.
    let share = limit / 4 / 4;
    let most = limit - 3 * share;
    for held in around(most) {
        let (address, manager) = serving(node::settings().max_inbound_node(limit), &names).await;
        let mut one = let_in(address, &names[0]).await;
        let mut two = let_in(address, &names[1]).await;
        one.send_message(&call(Op::Request, STUCK, 1, vec![0; held]))
            .await;
        assert!(one.round_trip().await.is_empty());
        one.send_message(&call(Op::Request, STUCK, 2, "x")).await;
        let refused = one.round_trip().await;
        assert_eq!(refused.len(), usize::from(held >= most), "{held}");
        for (mux, bytes, refusals) in [(1, share, 0), (2, 1, 1)] {
            two.send_message(&call(Op::Request, STUCK, mux, vec![0; bytes]))
                .await;
            let refused = two.round_trip().await;
            assert_eq!(refused.len(), refusals, "{held}, {bytes}");
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_queued_of_a_link_and_of_a_node() {
    let limit = 100_000;
    let patient = || {
        node::settings()
            .write_timeout(Duration::from_secs(600))
            .room_timeout(Duration::from_millis(50))
    };
    for of_node in [false, true] {
        for queued in around(limit) {
            let settings = match of_node {
                false => patient().max_queued(limit),
                true => patient().max_queued_node(limit),
            };
            let (raw, manager, link) = dialing(settings).await;
            // The writer has this in hand, and the peer reads nothing.
            let first = tokio::spawn(IntoFuture::into_future(link.request(STUCK, vec![0; LARGE])));
            until(
                || link.stats(),
                |stats| stats.open_requests == 1 && stats.queued_bytes == 0,
            )
            .await;
            let second = tokio::spawn(IntoFuture::into_future(
                link.request(STUCK, vec![0; queued - QUEUED_COST]),
            ));
            until(|| link.stats(), |stats| stats.open_requests == 2).await;
            let third = link
                .request(STUCK, "x")
                .timeout(Duration::from_millis(1_500))
                .await
                .unwrap_err();
            if queued < limit {
                assert!(matches!(third, CallError::Deadline), "{queued}: {third:?}");
            } else {
                let refused = matches!(third, CallError::Refused(Refusal::Overloaded));
                assert!(refused, "{queued}: {third:?}");
            }
            drop(raw);
            manager.shutdown(Duration::ZERO).await;
            assert!(first.await.unwrap().is_err() && second.await.unwrap().is_err());
        }
    }
}

/// Of what a node may have waiting a part is kept for each link, whatever waits for a peer that reads nothing.
#[tokio::test]
async fn h17_what_one_peer_does_not_read_holds_up_no_other() {
    let limit = 1_000_000;
    let names = dialers(1);
    // For the three links that there are a quarter is kept, for each its part.
    let share = limit / 4 / 3;
    let most = limit - 2 * share;
    let settings = node::settings()
        .write_timeout(Duration::from_secs(600))
        .room_timeout(Duration::from_millis(50))
        .max_queued_node(limit);
    let (address, manager) = serving(settings, &names).await;
    let _reads_nothing = let_in(address, A).await;
    let mut reads = let_in(address, &names[0]).await;
    let silent = manager.connection(A).unwrap();
    let mut calls = JoinSet::new();
    // The writer has this in hand, and the rest waits.
    calls.spawn(silent.request(STUCK, vec![0; LARGE]).into_future());
    until(
        || silent.stats(),
        |stats| stats.open_requests == 1 && stats.queued_bytes == 0,
    )
    .await;
    for _ in 0..20 {
        calls.spawn(silent.request(STUCK, vec![0; 100_000]).into_future());
    }
    let refused = calls.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(Refusal::Overloaded)),
        "{refused:?}"
    );
    let waits = silent.stats().queued_bytes;
    assert!((most..most + 150_000).contains(&waits), "{waits}");
    let link = manager.connection(&names[0]).unwrap();
    for _ in 0..5 {
        let call = tokio::spawn(link.request(STUCK, vec![1; share]).into_future());
        let request = reads.read_message().await.unwrap();
        assert_eq!((request.op, request.payload.len()), (Op::Request, share));
        let answer = call_answer(request.mux.get());
        reads.send_message(&answer).await;
        assert_eq!(call.await.unwrap().unwrap().as_slice(), b"done");
    }
    assert!(
        silent.stats().queued_bytes >= most,
        "it reads nothing still"
    );
    calls.abort_all();
    manager.shutdown(Duration::ZERO).await;
}

fn call_answer(mux: u64) -> Message {
    call(Op::Response, STUCK, mux, "done")
}
