//! What a node does beyond the protocol, and only towards those who say that they know it (protocol section 10).

#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::future::IntoFuture;

use bytes::Bytes;
use grid_proto::{
    MuxId,
    wire::{ConnectRequest, Extra, Flags, Message, Op, encode_merged, unfold},
};
use grid_transport::{Capacity, HandlerId, Manager};
use node::{A, B, builder};
use raw::{Frame, Next, Raw, request};
use tokio::net::TcpListener;

const TAKES: HandlerId = HandlerId::new(200);
const ITEMS: u32 = 10;

/// A node, and a peer of it that says this of itself.
async fn let_in(extra: Option<Extra>) -> (Manager, Raw) {
    let manager = builder(B, &[A])
        .stream(TAKES, Capacity::new(ITEMS, 1), |mut call| async move {
            while let Some(item) = call.recv().await {
                drop(item?);
            }
            Ok(())
        })
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let request = ConnectRequest {
        extra,
        ..request(A, "debug")
    };
    let (raw, response) = Raw::connect(address, &request).await;
    assert!(response.accepted);
    node::connected(&manager.connection(A).unwrap()).await;
    (manager, raw)
}

/// What a peer may say of itself, with whether it cancels requests and whether it counts credit.
fn extras() -> [(Option<Extra>, bool, bool); 6] {
    let extra = |capabilities, cancels, counts| {
        let extra = Extra {
            version: 1,
            capabilities,
        };
        (Some(extra), cancels, counts)
    };
    [
        (None, false, false),
        extra(0, false, false),
        extra(1, true, false),
        extra(2, false, true),
        extra(3, true, true),
        extra(u64::MAX - 1, false, true),
    ]
}

async fn messages(raw: &mut Raw) -> Vec<Message> {
    let Next::Frame(frame) = raw.next().await else {
        panic!("it was closed")
    };
    unfold(Bytes::from(frame.payload))
        .map(Result::unwrap)
        .collect()
}

#[tokio::test]
async fn credit_is_counted_only_towards_who_counts_it() {
    for (extra, _, counts) in extras() {
        let (manager, mut raw) = let_in(extra).await;
        let message = |op, seq| Message {
            seq,
            handler: TAKES,
            ..Message::new(op, MuxId::new(7))
        };
        raw.send_message(&message(Op::ConnectMux, 0)).await;
        let mut items = Vec::new();
        for seq in 1..=ITEMS {
            let mut item = message(Op::MuxClientMsg, seq);
            item.payload = Bytes::from_static(b"x");
            items.push(item);
        }
        let mut together = Vec::new();
        encode_merged(&items, &mut together);
        raw.send_frame(&Frame::binary(together, true)).await;

        let (mut returned, mut seqs) = (Vec::new(), Vec::new());
        while returned.iter().sum::<u32>() < ITEMS {
            for message in messages(&mut raw).await {
                seqs.push(message.seq);
                match message.op {
                    Op::AckMux => assert_eq!(message.deadline_ms, 0),
                    Op::UnblockClMux if counts => returned.push(message.deadline_ms.max(1)),
                    Op::UnblockClMux => {
                        assert_eq!(message.deadline_ms, 0, "{extra:?}");
                        returned.push(1);
                    }
                    other => panic!("{other} comes"),
                }
            }
        }
        assert_eq!(returned.iter().sum::<u32>(), ITEMS, "{extra:?}");
        assert_eq!(
            returned.len() < ITEMS as usize,
            counts,
            "{extra:?}: {returned:?}"
        );
        assert!(seqs.into_iter().eq(0..=returned.len() as u32), "{extra:?}");
        manager.shutdown(std::time::Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_dropped_request_is_told_only_to_who_cancels_it() {
    for (extra, cancels, _) in extras() {
        let (manager, mut raw) = let_in(extra).await;
        let peer = manager.connection(A).unwrap();
        let mut call = peer.request(TAKES, "x").into_future();
        assert!(futures_util::poll!(&mut call).is_pending());
        let asked = messages(&mut raw).await.remove(0);
        assert_eq!(
            (asked.op, asked.flags.contains(Flags::CRC)),
            (Op::Request, true)
        );
        drop(call);
        let told = raw.round_trip().await;
        let ops: Vec<_> = told
            .iter()
            .map(|message| (message.op, message.mux))
            .collect();
        let wanted: &[_] = match cancels {
            true => &[(Op::DisconnectServerMux, asked.mux)],
            false => &[],
        };
        assert_eq!(ops, wanted, "{extra:?}");
        manager.shutdown(std::time::Duration::ZERO).await;
    }
}
