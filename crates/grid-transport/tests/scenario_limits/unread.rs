//! Bytes of items that nobody takes: when there are too many, the stream that holds most ends with its reason.

use std::{future::IntoFuture, time::Duration};

use futures_util::FutureExt;
use grid_proto::{
    conn::ITEM_COST,
    wire::{Message, Op},
};
use grid_transport::{CallError, Capacity};

use crate::{
    around,
    hostile::{
        ECHO, NEVER_READS, STUCK, call, dialing, errors, has_end, let_in, numbered, read_until,
        serving,
    },
    node::{self, A},
    raw::PATIENCE,
};

const LIMIT: usize = 100_000;
const REASON: &str = "too many bytes were held unread";

/// Items of two streams that hold `held` in all, the second one most of it, and then one more of the first.
fn items(op: Op, muxes: [u64; 2], held: usize) -> [Message; 3] {
    let [little, much] = muxes;
    let most = held - 10_000;
    [
        numbered(op, little, 1, vec![0; 10_000 - ITEM_COST]),
        numbered(op, much, 1, vec![0; most - ITEM_COST]),
        numbered(op, little, 2, ""),
    ]
}

#[tokio::test]
async fn h17_max_inbound_by_items_for_handlers() {
    for of_node in [false, true] {
        // This node has a second link, for which half of a quarter is kept.
        let limit = if of_node { LIMIT - LIMIT / 8 } else { LIMIT };
        for held in around(limit) {
            let settings = match of_node {
                false => node::settings().max_inbound(LIMIT),
                true => node::settings().max_inbound_node(LIMIT),
            };
            let (address, manager) = serving(settings, &[]).await;
            let mut raw = let_in(address, A).await;
            for mux in [1, 2] {
                raw.send_message(&call(Op::ConnectMux, NEVER_READS, mux, ""))
                    .await;
                assert_eq!(raw.read_message().await.unwrap().op, Op::AckMux);
            }
            let [first, second, third] = items(Op::MuxClientMsg, [1, 2], held);
            for item in [first, second] {
                raw.send_message(&item).await;
                assert!(raw.round_trip().await.is_empty(), "{held} is no reason yet");
            }
            raw.send_message(&third).await;
            let came = raw.round_trip().await;
            if held < limit {
                assert!(came.is_empty(), "{held}: {came:?}");
            } else {
                assert!(has_end(&came, 2) || came.iter().any(|m| m.mux.get() == 2));
                assert_eq!(errors(&came, 2), [REASON], "{held}");
                assert!(
                    came.iter().all(|message| message.mux.get() == 2),
                    "{came:?}"
                );
            }
            let stats = manager.connection(A).unwrap().stats();
            assert_eq!(stats.serving_streams, 2 - usize::from(held >= limit));
            assert!(stats.state.is_connected());
            manager.shutdown(Duration::ZERO).await;
        }
    }
}

#[tokio::test]
async fn h17_max_inbound_by_items_for_callers() {
    for of_node in [false, true] {
        for held in around(LIMIT) {
            let settings = match of_node {
                false => node::settings().max_inbound(LIMIT),
                true => node::settings().max_inbound_node(LIMIT),
            };
            let (mut raw, manager, link) = dialing(settings).await;
            let (mut streams, mut muxes) = (Vec::new(), [0; 2]);
            for mux in &mut muxes {
                let opened = link.stream(STUCK, Capacity::new(0, 4), "").await;
                streams.push(opened.unwrap());
                *mux = raw.read_message().await.unwrap().mux.get();
                raw.send_message(&numbered(Op::AckMux, *mux, 0, "")).await;
            }
            let [first, second, third] = items(Op::MuxServerMsg, muxes, held);
            for item in [first, second] {
                raw.send_message(&item).await;
                assert!(raw.round_trip().await.is_empty(), "{held} is no reason yet");
            }
            raw.send_message(&third).await;
            let came = raw.round_trip().await;
            let shed = held >= LIMIT;
            assert_eq!(came.len(), usize::from(shed), "{held}: {came:?}");
            assert_eq!(link.stats().open_streams, 2 - usize::from(shed));
            let [little, much] = &mut streams[..] else {
                unreachable!()
            };
            if let Some(told) = came.first() {
                assert_eq!(
                    (told.op, told.mux.get()),
                    (Op::DisconnectServerMux, muxes[1])
                );
                let mut end = much.recv().now_or_never();
                if let Some(Some(Ok(_))) = end {
                    end = much.recv().now_or_never();
                }
                let end = end.unwrap().unwrap().unwrap_err();
                assert!(matches!(end, CallError::Overrun), "{end:?}");
            } else {
                assert!(much.recv().now_or_never().unwrap().unwrap().is_ok());
            }
            for _ in 0..2 {
                assert!(little.recv().now_or_never().unwrap().unwrap().is_ok());
            }
            manager.shutdown(Duration::ZERO).await;
        }
    }
}

/// What a peer answers belongs to who asked, and counts for nobody else while it is not taken.
#[tokio::test]
async fn h18_answers_that_nobody_takes_yet_end_no_stream_and_refuse_nobody() {
    for of_node in [false, true] {
        let settings = match of_node {
            false => node::settings().max_inbound(LIMIT),
            true => node::settings().max_inbound_node(LIMIT),
        };
        let (mut raw, manager, link) = dialing(settings).await;
        let mut stream = link.stream(STUCK, Capacity::new(0, 4), "").await.unwrap();
        let mux = raw.read_message().await.unwrap().mux.get();
        raw.send_message(&numbered(Op::AckMux, mux, 0, "")).await;
        let mut calls = Vec::new();
        for _ in 0..3 {
            let mut asking = Box::pin(link.request(STUCK, "").timeout(PATIENCE).into_future());
            assert!((&mut asking).now_or_never().is_none());
            let asked = raw.read_message().await.unwrap();
            assert_eq!(asked.op, Op::Request);
            let answer = Message {
                mux: asked.mux,
                ..numbered(Op::Response, 0, 0, vec![0; LIMIT])
            };
            raw.send_message(&answer).await;
            calls.push(asking);
        }
        raw.send_message(&numbered(Op::MuxServerMsg, mux, 1, "item"))
            .await;
        raw.send_message(&call(Op::Request, ECHO, 1, "theirs"))
            .await;
        let came = read_until(&mut raw, |came| !came.is_empty()).await;
        assert_eq!((came[0].op, came[0].mux.get()), (Op::Response, 1));
        assert_eq!(came[0].payload, "theirs");
        let stats = link.stats();
        assert_eq!((stats.open_streams, stats.refused), (1, 0));
        let item = stream.recv().now_or_never().unwrap().unwrap();
        assert_eq!(item.unwrap().as_slice(), b"item");
        for asking in calls {
            let answer = asking.now_or_never().expect("its answer was there");
            assert_eq!(answer.unwrap().len(), LIMIT);
        }
        manager.shutdown(Duration::ZERO).await;
    }
}
