//! How much that means nothing a peer may send.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Message, Op, unfold},
};
use grid_transport::LinkCause;

use crate::{
    around,
    hostile::{ECHO, call, let_in, merged, numbered, serving},
    node::{self, A},
    raw::{BINARY, CONTINUE, Frame, Next, PING, PONG, TEXT},
};

const UNKNOWN: usize = 7;
const LEFTOVERS: usize = 5;

/// Sends so many of them; the link has to live on or be closed for abuse.
async fn sent(message: impl Fn(u32) -> Message, count: usize, lives: bool) {
    let messages: Vec<Message> = (0..count as u32).map(message).collect();
    frames_sent(&[merged(&messages)], lives).await;
}

async fn frames_sent(frames: &[Frame], lives: bool) {
    let settings = node::settings()
        .max_unknown(UNKNOWN as u32)
        .max_leftovers(LEFTOVERS as u32);
    let (address, manager) = serving(settings, &[]).await;
    let mut raw = let_in(address, A).await;
    for frame in frames {
        raw.send_frame(frame).await;
    }
    if lives {
        // No ping, which would count.
        raw.send_message(&call(Op::Request, ECHO, 1, "x")).await;
        // Pongs may come before its answer.
        loop {
            let Next::Frame(frame) = raw.next().await else {
                panic!("the connection ended after {frames:?}");
            };
            if frame.opcode == BINARY
                && unfold(frame.payload.into()).any(|came| came.unwrap().op == Op::Response)
            {
                break;
            }
        }
    } else {
        raw.read_to_end().await;
        let link = manager.connection(A).unwrap();
        let abuse = |cause: &LinkCause| matches!(cause, LinkCause::Abuse(_)).then_some(());
        node::down_because(&link, abuse).await;
    }
    manager.shutdown(Duration::ZERO).await;
}

/// One frame of the websocket that carries no message of ours.
fn frame(opcode: u8, fin: bool, payload: &str) -> Frame {
    Frame {
        opcode,
        fin,
        ..Frame::binary(payload, true)
    }
}

#[tokio::test]
async fn max_unknown_of_frames_without_a_message() {
    for (opcode, payload) in [(TEXT, "text"), (PING, "ping"), (PONG, "")] {
        for count in around(UNKNOWN) {
            let frames = vec![frame(opcode, true, payload); count];
            frames_sent(&frames, count <= UNKNOWN).await;
        }
    }
    // A text in pieces is one text, and a piece with nothing in it counts besides.
    for count in around(UNKNOWN - 1) {
        let mut frames = vec![frame(TEXT, false, "in ")];
        frames.extend(vec![frame(CONTINUE, false, ""); count]);
        frames.push(frame(CONTINUE, true, "pieces"));
        frames_sent(&frames, count < UNKNOWN).await;
    }
    // All kinds together, with messages that mean nothing.
    for count in around(UNKNOWN - 3) {
        let senseless = vec![Message::new(Op::Unknown(99), MuxId::CONNECTION); count];
        let frames = [
            frame(TEXT, true, "x"),
            merged(&senseless),
            frame(PING, true, "x"),
            frame(PONG, true, "x"),
        ];
        frames_sent(&frames, count + 3 <= UNKNOWN).await;
    }
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
