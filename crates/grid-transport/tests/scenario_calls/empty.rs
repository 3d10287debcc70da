//! Items without bytes (C09).

use grid_proto::wire::{Flags, Op};
use grid_transport::{Capacity, HandlerId, Payload};

use crate::{
    nodes::{Nodes, drain, memory, tcp},
    peer::{Peer, call, callee, caller, numbered},
    probe::{BOTH_1, BOTH_100, TWO_WAY, TWO_WAY_100, probe},
};

async fn all_arrive(nodes: Nodes) {
    let sent = [
        Payload::from("item"),
        Payload::from(""),
        Payload::Absent,
        Payload::from("item"),
    ];
    for peer in nodes.both() {
        for (handler, capacity) in [(TWO_WAY, BOTH_1), (TWO_WAY_100, BOTH_100)] {
            let (mut sender, mut receiver) =
                peer.stream(handler, capacity, "").await.unwrap().split();
            let sending = async {
                for item in sent.clone() {
                    sender.send(item).await.unwrap();
                }
                sender.finish();
            };
            let receiving = async {
                let mut got = Vec::new();
                while let Some(item) = receiver.recv().await {
                    got.push(item.unwrap());
                }
                got
            };
            let ((), got) = tokio::join!(sending, receiving);
            // Items are always present.
            assert_eq!(got, ["item", "", "", "item"].map(Payload::from));
        }
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c09_empty_items_arrive() {
    all_arrive(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c09_empty_items_arrive_pair() {
    all_arrive(memory().await).await;
}

const ITEMS: [&str; 3] = ["item", "", "item"];

fn flags(item: &str) -> Flags {
    match item {
        "" => Flags::CRC | Flags::PAYLOAD_IS_ZERO,
        _ => Flags::CRC,
    }
}

/// A MinIO caller does not count an item that has neither bytes nor the flag, and trips over the
/// next one.
#[tokio::test]
async fn c09_a_minio_caller_is_told_that_an_item_is_empty() {
    const SENDS: HandlerId = HandlerId::new(200);
    let (_manager, mut peer) = caller(|builder| {
        probe(builder).stream(SENDS, Capacity::new(0, 4), |call| async move {
            for item in ITEMS {
                call.send(item).await?;
            }
            Ok(())
        })
    })
    .await;
    let mut open = call(Op::ConnectMux, SENDS, 1);
    open.flags = Flags::EOF;
    peer.send(&open).await;
    assert_eq!(peer.message().await.op, Op::AckMux);
    for (seq, item) in (1..).zip(ITEMS) {
        let got = peer.message().await;
        assert_eq!(got, numbered(Op::MuxServerMsg, 1, seq, flags(item), item));
    }
    let end = Flags::CRC | Flags::EOF;
    assert_eq!(
        peer.message().await,
        numbered(Op::MuxServerMsg, 1, 4, end, "")
    );
}

#[tokio::test]
async fn c09_a_minio_handler_is_told_that_an_item_is_empty() {
    let (_manager, link, listener) = callee().await;
    let mut peer = Peer::accept(&listener).await;
    let open = link.stream(TWO_WAY, Capacity::new(4, 4), "").wait_ready();
    let mut stream = open.await.unwrap();
    let connect = peer.message().await;
    assert_eq!((connect.op, connect.flags), (Op::ConnectMux, flags("")));
    peer.send(&numbered(Op::AckMux, 1, 0, Flags::empty(), ""))
        .await;
    for item in ITEMS {
        stream.send(item).await.unwrap();
    }
    stream.finish();
    for (seq, item) in (1..).zip(ITEMS) {
        let got = peer.message().await;
        assert_eq!(got, numbered(Op::MuxClientMsg, 1, seq, flags(item), item));
        // What a MinIO handler sends back.
        let flags = flags(item) - Flags::CRC;
        peer.send(&numbered(Op::MuxServerMsg, 1, seq, flags, item))
            .await;
    }
    assert!(peer.message().await.flags.contains(Flags::EOF));
    peer.send(&numbered(Op::MuxServerMsg, 1, 4, Flags::EOF, ""))
        .await;
    let (items, end) = drain(&mut stream).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(items, ITEMS.map(Payload::from));
}
