//! Answers that nobody reads: they wait while less than `max_inbound` is held, and beyond that the caller is told.

use std::collections::BTreeMap;

use grid_proto::{
    HandlerId,
    wire::{Flags, Message, Op},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};

use crate::{
    hostile::{call, let_in, merged, read_until},
    logs::Logs,
    node::{self, A, B},
    raw::PATIENCE,
};

/// Answers with as many bytes as it is asked for, once it is let.
const GATED: HandlerId = HandlerId::new(12);
const LARGE: usize = 1 << 20;
const MANY: u64 = 64;

const DROPPED: &[u8] = b"the answer was dropped: too much waits to be read by the caller's node";

/// All requests are let in before one is answered. What answers to them is large is dropped but for a few, and what is
/// small waits, as it always did.
#[tokio::test]
async fn max_inbound_by_answers_that_nobody_reads() {
    let settings = node::settings().max_queued(LARGE).max_inbound(4 * LARGE);
    let (logs, _guard) = Logs::capture();
    let (open, gate) = watch::channel(false);
    let manager = node::builder(B, &[A])
        .settings(settings)
        .single(GATED, move |request| {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await?;
                let size: usize = std::str::from_utf8(request.payload().as_slice())?.parse()?;
                Ok(vec![b's'; size].into())
            }
        })
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let mut raw = let_in(address, A).await;
    let link = manager.connection(A).unwrap();
    let large = (1..=MANY).map(|mux| call(Op::Request, GATED, mux, LARGE.to_string()));
    let small = (MANY + 1..=2 * MANY).map(|mux| call(Op::Request, GATED, mux, "1"));
    let calls: Vec<Message> = large.chain(small).collect();
    raw.send_frame(&merged(&calls)).await;
    // Calls, and how many of them run.
    let handled = || {
        let stats = manager.handler_stats();
        let [gated] = stats.as_slice() else {
            panic!("{stats:?}")
        };
        (gated.calls, gated.running)
    };
    let until = async |all: (u64, u64)| {
        let all = async {
            while handled() != all {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, all).await.expect("not all of them");
    };
    until((2 * MANY, 2 * MANY)).await;
    open.send_replace(true);
    until((2 * MANY, 0)).await;
    let mut answers = BTreeMap::new();
    while answers.len() < calls.len() {
        for answer in read_until(&mut raw, |came| !came.is_empty()).await {
            let is_error = answer.flags.contains(Flags::PAYLOAD_IS_ERR);
            assert_eq!(answer.op, Op::Response);
            let before = answers.insert(answer.mux.get(), (is_error, answer.payload));
            assert!(before.is_none(), "{} is answered twice", answer.mux.get());
        }
    }
    let small = answers.split_off(&(MANY + 1));
    assert!(
        small
            .values()
            .all(|(is_error, text)| !is_error && text == "s")
    );
    let (dropped, whole): (Vec<_>, Vec<_>) = answers.into_values().partition(|(error, _)| *error);
    assert!(dropped.iter().all(|(_, text)| text == DROPPED));
    assert!(whole.iter().all(|(_, answer)| answer.len() == LARGE));
    // In the queue and in the budget are 5, and the rest is what the system takes off the node.
    assert!(whole.len() >= 5, "{} are whole", whole.len());
    assert!(dropped.len() > 16, "{} were dropped", dropped.len());
    assert_eq!(link.stats().dropped_answers, dropped.len() as u64);
    let warnings = logs.warnings_of("grid::session");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("an answer is dropped"), "{warnings:?}");
    // What was held is free again, and the next answer is as good as ever.
    raw.send_message(&call(Op::Request, GATED, 1_000, LARGE.to_string()))
        .await;
    let came = read_until(&mut raw, |came| !came.is_empty()).await;
    assert_eq!(came[0].payload.len(), LARGE);
    assert!(link.state().is_connected());
    manager.shutdown(std::time::Duration::ZERO).await;
}
