//! How much that means nothing a peer may send.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};
use grid_transport::LinkCause;

use crate::{
    around,
    hostile::{ECHO, call, let_in, merged, numbered, read_until, serving},
    node::{self, A},
};

const UNKNOWN: usize = 7;
const LEFTOVERS: usize = 5;

/// Sends so many of them; the link has to live on or be closed for abuse.
async fn sent(message: impl Fn(u32) -> Message, count: usize, lives: bool) {
    let settings = node::settings()
        .max_unknown(UNKNOWN as u32)
        .max_leftovers(LEFTOVERS as u32);
    let (address, manager) = serving(settings, &[]).await;
    let mut raw = let_in(address, A).await;
    let messages: Vec<Message> = (0..count as u32).map(message).collect();
    raw.send_frame(&merged(&messages)).await;
    if lives {
        // No ping, which would count.
        raw.send_message(&call(Op::Request, ECHO, 1, "x")).await;
        read_until(&mut raw, |came| came.iter().any(|m| m.op == Op::Response)).await;
    } else {
        raw.read_to_end().await;
        let link = manager.connection(A).unwrap();
        let abuse = |cause: &LinkCause| matches!(cause, LinkCause::Abuse(_)).then_some(());
        node::down_because(&link, abuse).await;
    }
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn max_unknown() {
    for op in [Op::Ping, Op::Unknown(99), Op::Connect, Op::Merged] {
        for count in around(UNKNOWN) {
            let message = |_| Message::new(op, MuxId::CONNECTION);
            sent(message, count, count <= UNKNOWN).await;
        }
    }
}

#[tokio::test]
async fn max_leftovers() {
    for op in [
        Op::MuxClientMsg,
        Op::MuxServerMsg,
        Op::UnblockSrvMux,
        Op::AckMux,
    ] {
        // None of them counts as long as they may be leftovers, and then each does.
        for count in around(LEFTOVERS)
            .into_iter()
            .chain(around(LEFTOVERS + UNKNOWN))
        {
            let message = |seq| numbered(op, 1 << 40, seq, "");
            sent(message, count, count <= LEFTOVERS + UNKNOWN).await;
        }
    }
}
