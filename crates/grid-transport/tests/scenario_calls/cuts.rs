//! Links that are cut while a stream is under way (C11).

use std::time::Duration;

use grid_proto::wire::{Flags, Message, Op};
use grid_transport::{CallError, Capacity, Connection, HandlerId, Payload, StreamHandler};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    nodes::{drain, messages, soon},
    peer::{Peer, call, callee, caller, numbered},
    probe::{ITEMS, OUT_1},
    raw::Frame,
};

const OUT: Capacity = Capacity::new(0, 100);

/// What a handler's side says that sends `count` items and returns.
fn conversation(mux: u64, count: usize) -> Vec<Vec<u8>> {
    let items = messages(count);
    let items = (1..).zip(&items).map(|(seq, item)| {
        let item = String::from_utf8_lossy(item.as_slice());
        numbered(Op::MuxServerMsg, mux, seq, Flags::empty(), &item)
    });
    let ack = numbered(Op::AckMux, mux, 0, Flags::empty(), "");
    let end = numbered(Op::MuxServerMsg, mux, count as u32 + 1, Flags::EOF, "");
    std::iter::once(ack)
        .chain(items)
        .chain([end])
        .map(|message| frame(&message))
        .collect()
}

fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    Frame::binary(bytes, false).encode()
}

#[derive(Clone, Copy, PartialEq)]
enum Cut {
    Close,
    Reset,
}

/// Opens a stream to a peer that says this and then cuts the link; returns what its consumer saw.
async fn cut_after(
    link: &Connection,
    listener: &TcpListener,
    said: &[u8],
    cut: Cut,
) -> (Vec<Payload>, Option<CallError>) {
    let open = link.stream(ITEMS, OUT, "x").wait_ready().into_future();
    let (mut peer, stream) = tokio::join!(Peer::accept(listener), open);
    let mut stream = stream.unwrap();
    assert_eq!(peer.message().await.op, Op::ConnectMux);
    peer.raw.send_bytes(said).await;
    match cut {
        Cut::Close => peer.raw.shutdown().await,
        Cut::Reset => peer.raw.reset(),
    }
    drain(&mut stream).await
}

fn is_cut(end: &CallError) -> bool {
    matches!(end, CallError::Disconnected { .. }) && end.may_have_executed()
}

#[tokio::test]
async fn c11_a_cut_after_any_item_is_an_error() {
    let (_manager, link, listener) = callee().await;
    let mut mux = 0;
    for cut in [Cut::Close, Cut::Reset] {
        for items in 0..=30 {
            mux += 1;
            let frames = conversation(mux, 30);
            let said = frames[..=items].concat();
            let (got, end) = cut_after(&link, &listener, &said, cut).await;
            let Some(end) = end else {
                panic!("a clean end after {items} of 30 items");
            };
            assert!(is_cut(&end), "{end:?}");
            // A reset takes with it what was not read yet.
            assert!(
                got == messages(got.len()) && got.len() <= items,
                "{got:?} of {items}"
            );
            assert!(cut == Cut::Reset || got.len() == items, "{got:?}");
        }
    }
}

#[tokio::test]
async fn c11_a_cut_at_any_byte_is_an_error() {
    let (_manager, link, listener) = callee().await;
    // All numbers up to 127 take the same room.
    let len = conversation(1, 3).concat().len();
    for (mux, cut) in (1..).zip(0..=len) {
        let frames = conversation(mux, 3);
        let said = frames.concat();
        let (got, end) = cut_after(&link, &listener, &said[..cut], Cut::Close).await;
        let whole = (1..=frames.len())
            .take_while(|count| frames[..*count].concat().len() <= cut)
            .count();
        assert_eq!(got, messages(whole.saturating_sub(1).min(3)), "at {cut}");
        match end {
            None => assert_eq!(cut, said.len(), "a clean end"),
            Some(end) => assert!(is_cut(&end) && cut < said.len(), "at {cut}: {end:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c11_a_cut_after_any_item_is_an_error_pair() {
    let pair = crate::probe::pair().await;
    let peer = pair.a_to_b();
    for read in 0..30 {
        let mut stream = peer.stream(ITEMS, OUT_1, "30").wait_ready().await.unwrap();
        for item in 0..read {
            let got = stream.recv().await.unwrap().unwrap();
            assert_eq!(got.as_slice(), [item as u8; 4]);
        }
        pair.cut();
        let (items, end) = drain(&mut stream).await;
        assert!(read + items.len() < 31);
        let Some(end) = end else {
            panic!("a clean end after {read} of 30 items")
        };
        assert!(is_cut(&end), "{end:?}");
    }
    assert_eq!(
        peer.stats().reconnects,
        29 + u64::from(peer.state().is_connected())
    );
    pair.connected().await.unwrap();
    crate::probe::settled(&pair).await;
}

const COLLECTS: HandlerId = HandlerId::new(200);

/// What a detached handler has seen of its input: an item, or how it ended.
#[derive(Debug, PartialEq)]
enum Seen {
    Item(Payload),
    CleanEnd,
    Cut,
    Failed(String),
}

/// A handler that outlives its link, and tells all that it sees.
fn collects() -> (StreamHandler, mpsc::UnboundedReceiver<Seen>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = StreamHandler::new(COLLECTS, Capacity::new(40, 1), move |mut call| {
        let tell = tell.clone();
        async move {
            let end = loop {
                match call.recv().await {
                    Some(Ok(item)) => tell.send(Seen::Item(item))?,
                    Some(Err(CallError::Disconnected { .. })) => break Seen::Cut,
                    Some(Err(error)) => break Seen::Failed(format!("{error:?}")),
                    None => break Seen::CleanEnd,
                }
            };
            tell.send(end)?;
            Ok(())
        }
    });
    (handler.detached(), told)
}

/// The other direction: the handler's input is cut.
#[tokio::test]
async fn c11_a_cut_after_any_item_of_the_input_is_an_error_for_the_handler() {
    const ITEMS: usize = 30;
    for cut in [Some(Cut::Close), Some(Cut::Reset), None] {
        for count in 0..=ITEMS {
            if cut.is_none() && count < ITEMS {
                continue;
            }
            let (handler, mut told) = collects();
            let handler = std::sync::Mutex::new(Some(handler));
            let (manager, mut peer) = caller(|builder| {
                let handler = handler.lock().unwrap().take();
                builder.register(handler.expect("one node"))
            })
            .await;
            peer.send(&call(Op::ConnectMux, COLLECTS, 1)).await;
            for (seq, item) in (1..).zip(messages(count)) {
                let item = String::from_utf8_lossy(item.as_slice());
                peer.send(&numbered(Op::MuxClientMsg, 1, seq, Flags::empty(), &item))
                    .await;
            }
            for item in messages(count) {
                assert_eq!(soon(told.recv()).await, Some(Seen::Item(item)));
            }
            let last = count as u32 + 1;
            match cut {
                Some(Cut::Close) => peer.raw.shutdown().await,
                Some(Cut::Reset) => peer.raw.reset(),
                // For comparison: the end that is one.
                None => {
                    let end = numbered(Op::MuxClientMsg, 1, last, Flags::EOF, "");
                    peer.send(&end).await;
                }
            }
            let wanted = cut.map_or(Seen::CleanEnd, |_| Seen::Cut);
            let end = soon(told.recv()).await;
            assert_eq!(end, Some(wanted), "after {count} of {ITEMS} items");
            manager.shutdown(Duration::ZERO).await;
        }
    }
}
