//! L24: what both nodes count, against what went over the wire.

use std::future::IntoFuture;

use grid_proto::wire::{Message, Op, unfold};
use grid_transport::{LinkStats, Manager, TcpDialer, testing};
use tokio::task::JoinSet;

use crate::{
    node::{self, link},
    probe::*,
    raw::Frame,
    recorded::{Record, Recorder},
};

const CALLS: usize = 1_000;
const BYTES: usize = 1_000;

/// Bytes, messages and websocket frames since the upgrade, of the dialer and then of the acceptor.
fn truth(record: &Record) -> [(u64, u64, usize); 2] {
    record.frames().map(|bytes| {
        let (mut at, mut messages, mut frames) = (0, 0, 0);
        while let Some((frame, len)) = Frame::decode(&bytes[at..]) {
            at += len;
            frames += 1;
            let parts = unfold(frame.payload.into());
            let parts: Vec<Message> = parts.map(Result::unwrap).collect();
            let handshake = |part: &&Message| matches!(part.op, Op::Connect | Op::ConnectResponse);
            messages += parts.len() - parts.iter().filter(handshake).count();
            for part in parts.iter().filter(|part| !handshake(part)) {
                assert!(part.payload.len() >= BYTES, "{part:?}");
            }
        }
        assert_eq!(at, bytes.len(), "half a frame");
        (bytes.len() as u64, messages as u64, frames)
    })
}

/// So many calls over a new link, all at once or one after the other; then the counters against the truth.
async fn count(a: &Manager, b: &Manager, record: &Record, merged: bool) {
    let peer = link(a, b);
    node::connected(&peer).await;
    let call = |number: usize| peer.request(ECHO, vec![number as u8; BYTES]).timeout(LONG);
    if merged {
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            calls.spawn(call(number).into_future());
        }
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer.unwrap().unwrap().len(), BYTES);
        }
    } else {
        for number in 0..CALLS {
            assert_eq!(call(number).await.unwrap().len(), BYTES);
        }
    }
    let [out, back] = truth(record);
    let counted = |stats: &LinkStats| {
        [
            (stats.bytes_out, stats.messages_out),
            (stats.bytes_in, stats.messages_in),
        ]
    };
    let ours = counted(&peer.stats());
    let mut theirs = counted(&link(b, a).stats());
    theirs.reverse();
    assert_eq!(ours, theirs, "the nodes agree, merged: {merged}");
    assert_eq!(ours, [(out.0, out.1), (back.0, back.1)], "merged: {merged}");
    assert_eq!((out.1, back.1), (CALLS as u64, CALLS as u64));
    // One frame of the handshake, and one for each message unless they were merged.
    for frames in [out.2, back.2] {
        assert_eq!(frames < CALLS / 2, merged, "{frames} frames");
        assert_eq!(frames == CALLS + 1, !merged, "{frames} frames");
    }
}

#[tokio::test(start_paused = true)]
async fn l24_counters_agree_with_the_wire_pair() {
    ends(async {
        for merged in [true, false] {
            let net = testing::Net::new();
            let record = Record::default();
            let [name_a, name_b] = testing::NAMES;
            let dialer = Recorder {
                dialer: net.dialer(name_a),
                record: record.clone(),
            };
            let b = testing::node_on(&net, name_b, &testing::NAMES, probe).unwrap();
            let a = testing::node_on(&net, name_a, &testing::NAMES, |builder| {
                probe(builder).dialer(dialer)
            })
            .unwrap();
            count(&a, &b, &record, merged).await;
        }
    })
    .await;
}

#[tokio::test]
async fn l24_counters_agree_with_the_wire() {
    ends(async {
        for merged in [true, false] {
            let record = Record::default();
            let [a, b] = node::pair(|index, builder| match index {
                0 => probe(builder).dialer(Recorder {
                    dialer: TcpDialer::new(),
                    record: record.clone(),
                }),
                _ => probe(builder),
            })
            .await;
            count(&a, &b, &record, merged).await;
            a.shutdown(std::time::Duration::ZERO).await;
            b.shutdown(std::time::Duration::ZERO).await;
        }
    })
    .await;
}
