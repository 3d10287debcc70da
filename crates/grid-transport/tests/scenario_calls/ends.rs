//! The end of a stream whose handler has used all its credit (C10).

use grid_proto::{
    MuxId,
    wire::{Flags, Message, Op},
};
use grid_transport::{Builder, CallError, Capacity, HandlerError, HandlerId, LinkStats, Manager};

use crate::{
    node::A,
    nodes::{Nodes, Steps, drain, messages, steps},
    peer::{Peer, call, caller, numbered},
    probe::probe,
};

const TWO: Capacity = Capacity::new(0, 2);
const RETURNS: HandlerId = HandlerId::new(200);
const FAILS: HandlerId = HandlerId::new(201);
const PANICS: HandlerId = HandlerId::new(202);

/// Handlers that send two items, for which they have credit, and end.
fn enders(builder: Builder, steps: &Steps) -> Builder {
    [RETURNS, FAILS, PANICS]
        .into_iter()
        .fold(probe(builder), |builder, id| {
            let steps = steps.clone();
            builder.stream(id, TWO, move |call| {
                let steps = steps.clone();
                async move {
                    let _dropped = steps.on_drop("dropped");
                    for item in messages(2) {
                        call.send(item).await?;
                    }
                    match id {
                        RETURNS => Ok(()),
                        FAILS => Err(HandlerError::new("no luck")),
                        _ => panic!("oh no"),
                    }
                }
            })
        })
}

/// How the end of such a handler is told; an empty text for a clean one.
const ENDS: [(HandlerId, &str); 3] = [
    (RETURNS, ""),
    (FAILS, "no luck"),
    (PANICS, "handler panic: oh no"),
];

/// What is left of a stream whose handler has ended: an entry in a table.
#[track_caller]
fn only_an_entry(stats: &LinkStats) {
    assert_eq!(
        (stats.serving_streams, stats.running_handlers),
        (1, 0),
        "{stats:?}"
    );
    assert_eq!(stats.queued_bytes, 0, "{stats:?}");
}

fn link_of(manager: &Manager) -> LinkStats {
    manager.connection(A).unwrap().stats()
}

/// Opens the stream, and reads its two items. Nothing else comes while no credit goes back.
async fn two_items_and_no_end(peer: &mut Peer, id: HandlerId, mux: u64) {
    let mut open = call(Op::ConnectMux, id, mux);
    open.flags = Flags::EOF;
    peer.send(&open).await;
    assert_eq!(peer.message().await.op, Op::AckMux);
    for (seq, item) in [(1, "msg0"), (2, "msg1")] {
        let got = peer.message().await;
        assert_eq!(got, numbered(Op::MuxServerMsg, mux, seq, Flags::CRC, item));
    }
    let more = peer.messages().await;
    assert!(more.is_empty(), "{more:?}");
}

#[tokio::test]
async fn c10_an_end_without_credit_waits_as_an_entry_in_a_table() {
    let (steps, mut reached) = steps();
    let (manager, mut peer) = caller(|builder| enders(builder, &steps)).await;
    for (mux, (id, text)) in (1..).zip(ENDS) {
        two_items_and_no_end(&mut peer, id, mux).await;
        reached.expect("dropped").await;
        only_an_entry(&link_of(&manager));

        let credit = numbered(Op::UnblockSrvMux, mux, 1, Flags::empty(), "");
        peer.send(&credit).await;
        let end = match text {
            "" => Flags::CRC | Flags::EOF,
            _ => Flags::CRC | Flags::EOF | Flags::PAYLOAD_IS_ERR,
        };
        assert_eq!(
            peer.messages().await,
            [
                numbered(Op::MuxServerMsg, mux, 3, end, text),
                numbered(Op::DisconnectClientMux, mux, 0, Flags::CRC, "")
            ]
        );
        assert_eq!(link_of(&manager).serving_streams, 0);
    }
}

#[tokio::test]
async fn c10_an_end_that_waits_goes_with_the_caller_or_the_deadline() {
    let (steps, mut reached) = steps();
    let (manager, mut peer) = caller(|builder| enders(builder, &steps)).await;
    two_items_and_no_end(&mut peer, FAILS, 1).await;
    reached.expect("dropped").await;
    only_an_entry(&link_of(&manager));
    peer.send(&Message::new(Op::DisconnectServerMux, MuxId::new(1)))
        .await;
    let told = numbered(Op::DisconnectClientMux, 1, 0, Flags::CRC, "");
    assert_eq!(peer.messages().await, [told]);
    assert_eq!(link_of(&manager).serving_streams, 0);

    let mut open = call(Op::ConnectMux, RETURNS, 2);
    (open.flags, open.deadline_ms) = (Flags::EOF, 200);
    peer.send(&open).await;
    for op in [Op::AckMux, Op::MuxServerMsg, Op::MuxServerMsg] {
        assert_eq!(peer.message().await.op, op);
    }
    reached.expect("dropped").await;
    // Nobody asks for anything, and still it goes.
    let told = numbered(Op::DisconnectClientMux, 2, 0, Flags::CRC, "");
    assert_eq!(peer.message().await, told);
    assert_eq!(link_of(&manager).serving_streams, 0);
}

async fn the_caller_reads_late(configure: impl AsyncFn(&Steps) -> Nodes) {
    let (steps, mut reached) = steps();
    let nodes = configure(&steps).await;
    for (id, text) in ENDS {
        let mut stream = nodes.a_to_b().stream(id, TWO, "x").await.unwrap();
        reached.expect("dropped").await;
        // The handler has ended for good, and its caller has not even looked.
        nodes.calls_work(2).await;
        only_an_entry(&nodes.b_to_a().stats());
        let (items, end) = drain(&mut stream).await;
        assert_eq!(items, messages(2));
        match (&end, text) {
            (None, "") => {}
            (Some(CallError::Remote(error)), text) if *error == *text => {}
            _ => panic!("{end:?}"),
        }
        nodes.settled().await;
    }
}

#[tokio::test]
async fn c10_the_end_comes_after_the_items() {
    the_caller_reads_late(async |steps| Nodes::tcp(|builder| enders(builder, steps)).await).await;
}

#[tokio::test(start_paused = true)]
async fn c10_the_end_comes_after_the_items_pair() {
    the_caller_reads_late(async |steps| Nodes::memory(|builder| enders(builder, steps)).await)
        .await;
}
