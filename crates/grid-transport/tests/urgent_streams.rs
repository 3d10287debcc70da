//! What is sent on an urgent stream goes before bulk data of the same link, and leaves others their part of it.

#[path = "common/pairs.rs"]
mod pairs;

use std::{
    iter::repeat_n,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use grid_transport::{
    Builder, CallError, Capacity, Connection, HandlerId, Payload, SingleHandler, Stream,
    StreamHandler,
    testing::{NAMES, pair},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};

const CALL: HandlerId = HandlerId::new(200);
const BULK: HandlerId = HandlerId::new(210);
const PLAIN: HandlerId = HandlerId::new(211);
const URGENT: HandlerId = HandlerId::new(212);
/// As [`BULK`], but urgent.
const FLOOD: HandlerId = HandlerId::new(213);

const KIB: usize = 1 << 10;
/// Of a bulk item.
const BLOCK: usize = 256 * KIB;
const FEW: Capacity = Capacity::new(0, 2);
const CAPACITY: Capacity = Capacity::new(16, 16);

/// Handlers that send blocks for ever, and those that give back what they get.
fn handlers(node: Builder) -> Builder {
    let sends = |id, len| {
        let block = Payload::from(vec![7; len]);
        StreamHandler::new(id, FEW, move |call| {
            let block = block.clone();
            async move {
                loop {
                    call.send(block.clone()).await?;
                }
            }
        })
    };
    let gives_back = |id| {
        StreamHandler::new(id, CAPACITY, |mut call| async move {
            while let Some(item) = call.recv().await {
                call.send(item?).await?;
            }
            Ok(())
        })
    };
    let call = SingleHandler::new(CALL, |request| async move { Ok(request.into_payload()) });
    node.register(sends(BULK, BLOCK))
        .register(sends(FLOOD, BLOCK).urgent())
        .register(gives_back(PLAIN))
        .register(gives_back(URGENT).urgent())
        .register(call.urgent())
}

/// Streams of blocks, and how many of these have been read.
struct Blocks {
    read: Arc<AtomicU64>,
    readers: JoinSet<()>,
}

impl Blocks {
    async fn of(peer: &Connection, handler: HandlerId, streams: usize) -> Self {
        let (read, mut readers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..streams {
            let mut stream = peer.stream(handler, FEW, "").await.unwrap();
            let read = read.clone();
            readers.spawn(async move {
                while let Some(item) = stream.recv().await {
                    assert_eq!(item.unwrap().len(), BLOCK);
                    read.fetch_add(1, Relaxed);
                }
            });
        }
        Self { read, readers }
    }

    fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    async fn stop(mut self) {
        self.readers.shutdown().await;
    }
}

/// An item there and back.
async fn exchange(stream: &mut Stream) {
    stream.send(vec![1; 100]).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap().len(), 100);
}

async fn urgent_call(peer: &Connection) {
    let answer = peer.request(CALL, vec![1; 100]).urgent().await.unwrap();
    assert_eq!(answer.len(), 100);
}

/// The clock is that of the link: how many blocks arrive while an item goes there and back.
///
/// Only Linux bounds what it has not sent.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_urgent_item_waits_a_quarter_as_long_beside_bulk_streams_over_tcp() {
    const STREAMS: usize = 96;
    const TIMES: usize = 20;
    let pair = pairs::tcp(handlers).await;
    let peer = pair.a_to_b();
    let mut plain = peer.stream(PLAIN, CAPACITY, "").await.unwrap();
    let mut urgent = peer.stream(URGENT, CAPACITY, "").urgent().await.unwrap();
    let bulk = Blocks::of(&peer, BULK, STREAMS).await;
    // Until all of them are under way.
    while bulk.read() < 2 * STREAMS as u64 {
        exchange(&mut plain).await;
    }
    let mut waits = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (stream, waits) in [&mut plain, &mut urgent].into_iter().zip(&mut waits) {
            let before = bulk.read();
            exchange(stream).await;
            waits.push(bulk.read() - before);
        }
    }
    bulk.stop().await;
    drop((plain, urgent));
    waits.iter_mut().for_each(|waits| waits.sort_unstable());
    // One of them may take longer.
    let [plain, urgent] = waits.map(|waits| waits[TIMES - 2]);
    assert!(4 * urgent <= plain, "{urgent} blocks and not {plain}");
    pair.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn urgent_streams_without_end_leave_others_their_part_over_tcp() {
    let pair = pairs::tcp(handlers).await;
    let peer = pair.a_to_b();
    // So many that one of them always waits to be written.
    let flood = Blocks::of(&peer, FLOOD, 64).await;
    let bulk = Blocks::of(&peer, BULK, 8).await;
    // Single requests are answered beside both.
    while flood.read() < 200 {
        urgent_call(&peer).await;
    }
    let before = (flood.read(), bulk.read());
    while flood.read() < before.0 + 400 {
        urgent_call(&peer).await;
    }
    let (urgent, others) = (flood.read() - before.0, bulk.read() - before.1);
    // A fifth is theirs, and what each of the readers has not counted yet is not looked at.
    assert!(
        8 * others >= urgent,
        "{others} blocks beside {urgent} urgent ones"
    );
    flood.stop().await;
    bulk.stop().await;
    pair.shutdown(Duration::from_secs(5)).await;
}

/// Each end of a stream says for itself whether what it sends is urgent.
#[tokio::test]
async fn an_urgent_stream_ends_as_others_do() {
    let pair = pairs::tcp(handlers).await;
    for handler in [PLAIN, URGENT] {
        for urgent in [false, true] {
            let opening = pair.a_to_b().stream(handler, CAPACITY, "");
            let opening = if urgent { opening.urgent() } else { opening };
            let mut stream = opening.await.unwrap();
            for index in 0..100_u8 {
                stream.send(vec![index; 10]).await.unwrap();
                let item = stream.recv().await.unwrap().unwrap();
                assert_eq!(item.as_slice(), [index; 10]);
            }
            stream.finish();
            assert!(stream.recv().await.is_none());
        }
    }
    let nobody = pair.a_to_b().stream(HandlerId::new(250), CAPACITY, "");
    let mut refused = nobody.urgent().await.unwrap();
    let end = refused.recv().await.unwrap();
    assert!(matches!(end, Err(CallError::UnknownHandler(_))), "{end:?}");
    pair.shutdown(Duration::from_secs(5)).await;
}

const BULKS: usize = 32;
/// Small items of one stream.
const SMALL: usize = 8;

/// How many items a stream has in each direction, and how long they are.
fn items_of(id: HandlerId) -> (usize, usize) {
    match id {
        BULK => (2, 64 * KIB),
        _ => (SMALL, 100),
    }
}

/// Handlers that tell of what arrives where they are opened with `tell`, and of that they are opened; others send when they
/// are told to, those of bulk first.
fn tellers(
    node: Builder,
    tell: &mpsc::UnboundedSender<HandlerId>,
    stage: &watch::Receiver<usize>,
) -> Builder {
    let teller = |id| {
        let (tell, stage) = (tell.clone(), stage.clone());
        StreamHandler::new(id, CAPACITY, move |mut call| {
            let (tell, mut stage) = (tell.clone(), stage.clone());
            async move {
                tell.send(id).unwrap();
                if call.payload().as_slice() == b"tell" {
                    while let Some(item) = call.recv().await {
                        item?;
                        tell.send(id).unwrap();
                    }
                    return Ok(());
                }
                let mine = if id == BULK { 1 } else { 2 };
                stage.wait_for(|stage| *stage >= mine).await.unwrap();
                let (count, len) = items_of(id);
                for _ in 0..count {
                    call.send(vec![7; len]).await?;
                }
                Ok(())
            }
        })
    };
    node.register(teller(BULK))
        .register(teller(PLAIN))
        .register(teller(URGENT).urgent())
}

/// How much bulk came before the last of the small items of a stream.
fn bulk_before(arrived: &[HandlerId], id: HandlerId) -> usize {
    let of = arrived.iter().filter(|other| **other == id);
    assert_eq!(of.count(), SMALL, "{arrived:?}");
    let earlier = arrived.iter().rev().skip_while(|other| **other != id);
    earlier.filter(|other| **other == BULK).count()
}

/// The items of bulk streams wait, then those of one more, and at last those of the urgent one; `ours` is whether the caller
/// sends them or the handlers do. Gives the order in which they arrive.
async fn order_of_arrival(ours: bool) -> Vec<HandlerId> {
    let (tell, mut arrivals) = mpsc::unbounded_channel();
    let (next, stage) = watch::channel(0);
    let pair = pair(|node| tellers(node, &tell, &stage)).await.unwrap();
    let peer = pair.a_to_b();
    let open = |id| {
        let opening = peer.stream(id, CAPACITY, if ours { "tell" } else { "" });
        if ours && id == URGENT {
            opening.urgent()
        } else {
            opening
        }
    };
    let mut streams = Vec::new();
    for id in repeat_n(BULK, BULKS).chain([PLAIN, URGENT]) {
        let stream = open(id).await.unwrap();
        arrivals.recv().await.unwrap();
        if ours {
            // It needs its credit before nothing arrives any more.
            stream.send("").await.unwrap();
            arrivals.recv().await.unwrap();
        }
        streams.push((id, stream));
    }
    pair.net.freeze(NAMES[0], NAMES[1], true);
    let mut readers = JoinSet::new();
    for (id, mut stream) in streams {
        if ours {
            let (count, len) = items_of(id);
            for _ in 0..count {
                stream.send(vec![7; len]).await.unwrap();
            }
            stream.finish();
        }
        let tell = tell.clone();
        readers.spawn(async move {
            while let Some(item) = stream.recv().await {
                item.unwrap();
                tell.send(id).unwrap();
            }
        });
    }
    for stage in 1..=2 {
        next.send(stage).unwrap();
        // tidy: sleep: the clock stands still until all of them wait
        sleep(Duration::from_millis(1)).await;
    }
    let late = match ours {
        true => Some(open(URGENT).await.unwrap()),
        false => None,
    };
    pair.net.freeze(NAMES[0], NAMES[1], false);
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    let mut arrived: Vec<_> = std::iter::from_fn(|| arrivals.try_recv().ok()).collect();
    if late.is_some() {
        // One of them is that another urgent stream was opened, which had no reason to wait either.
        let opened = arrived.iter().rposition(|id| *id == URGENT).unwrap();
        arrived.remove(opened);
        assert!(arrived[opened..].iter().filter(|id| **id == BULK).count() >= BULKS);
    }
    drop(late);
    pair.shutdown(Duration::from_secs(5)).await;
    arrived
}

#[tokio::test(start_paused = true)]
async fn items_of_an_urgent_stream_leave_before_what_waits() {
    for ours in [true, false] {
        let arrived = order_of_arrival(ours).await;
        assert_eq!(arrived.iter().filter(|id| **id == BULK).count(), 2 * BULKS);
        // Some are under way.
        let [urgent, plain] = [URGENT, PLAIN].map(|id| bulk_before(&arrived, id));
        assert!(4 * urgent <= BULKS && urgent < plain, "{urgent}, {plain}");
        assert!(4 * plain >= 3 * BULKS, "{plain} of {arrived:?}");
    }
}
