//! Answers that nobody reads: they wait while less than `max_inbound` is held, and beyond that the caller is told.

use std::collections::BTreeMap;

use grid_proto::wire::{Flags, Message, Op};

use tokio::time::timeout;

use crate::{
    hostile::{LENGTH, SIZED, call, let_in, merged, read_until, serving},
    logs::Logs,
    node::{self, A},
    raw::PATIENCE,
};

const LARGE: usize = 1 << 20;
const MANY: u64 = 64;

const DROPPED: &[u8] = b"the answer was dropped: too much waits to be read by the caller's node";

/// All requests are let in before one is answered. What answers to them is large is dropped but for a few, and what is
/// small waits, as it always did.
#[tokio::test]
async fn max_inbound_by_answers_that_nobody_reads() {
    let settings = node::settings().max_queued(LARGE).max_inbound(4 * LARGE);
    let (logs, _guard) = Logs::capture();
    let (address, manager) = serving(settings, &[]).await;
    let mut raw = let_in(address, A).await;
    let link = manager.connection(A).unwrap();
    let large = (1..=MANY).map(|mux| call(Op::Request, SIZED, mux, LARGE.to_string()));
    let small = (MANY + 1..=2 * MANY).map(|mux| call(Op::Request, LENGTH, mux, "x"));
    let calls: Vec<Message> = large.chain(small).collect();
    raw.send_frame(&merged(&calls)).await;
    let ended = || -> u64 {
        let stats = manager.handler_stats();
        stats.iter().map(|stats| stats.calls - stats.running).sum()
    };
    let all = async {
        while ended() < 2 * MANY {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.expect("all are let in");
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
            .all(|(is_error, text)| !is_error && text == "1")
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
    raw.send_message(&call(Op::Request, SIZED, 1_000, LARGE.to_string()))
        .await;
    let came = read_until(&mut raw, |came| !came.is_empty()).await;
    assert_eq!(came[0].payload.len(), LARGE);
    assert!(link.state().is_connected());
    manager.shutdown(std::time::Duration::ZERO).await;
}
