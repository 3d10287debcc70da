//! What waits to be written: who has to wait for it, and when it is let go.

use std::sync::Arc;

use grid_proto::{
    MuxId, Payload,
    conn::{Budget, Capacity, Event, NewRequest, QUEUED_COST, ServeId},
    wire::{Message, Op, Text},
};

use crate::tools::{HANDLER, Machine, call, message};

/// A machine that serves a stream of which so much waits that all else has to wait for its turn.
fn backlogged(node: &Arc<Budget>) -> (Machine, ServeId) {
    let mut machine = Machine::with(|config| config.queued = Some(Arc::clone(node)));
    machine.capacity = Capacity::new(4, 100_000);
    let stream = machine.serves_stream(1);
    for _ in 0..100 {
        let block = Payload::from(vec![b'b'; 1024]);
        machine.conn.serve_send(stream, block).expect("credit");
    }
    (machine, stream)
}

/// The peer opens a stream while much waits.
fn opens(machine: &mut Machine, mux: u64) -> ServeId {
    machine.gets(call(Op::ConnectMux, mux));
    match machine.event() {
        Event::Opened(open) => open.stream,
        other => panic!("{other:?}"),
    }
}

fn items(sent: &[Message], mux: MuxId) -> usize {
    let of = |sent: &&Message| {
        sent.mux == mux && [Op::MuxServerMsg, Op::MuxClientMsg, Op::ConnectMux].contains(&sent.op)
    };
    sent.iter().filter(of).count()
}

/// A peer that reads nothing opens streams and gives them up, one after the other.
#[test]
fn h13_nothing_waits_of_streams_that_were_given_up() {
    let node = Budget::new(1 << 30);
    let (mut machine, large) = backlogged(&node);
    let before = node.used();
    for mux in 2..5_002 {
        let stream = opens(&mut machine, mux);
        let sent = machine.conn.serve_send(stream, Payload::from("item"));
        assert_eq!(sent, Ok(()));
        machine.conn.serve_finish(stream, Err("no luck".into()));
        assert!(node.used() > before);
        machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
        let unsent = machine.unsent();
        assert_eq!(unsent, [&b"item"[..], b"no luck"], "no payload is dropped");
        assert_eq!(node.used(), before, "stream {mux}");
    }
    // One that the peer does not give up keeps what it has, and its order.
    let last = opens(&mut machine, 6_000);
    for text in ["1", "2"] {
        let sent = machine.conn.serve_send(last, Payload::from(text));
        assert_eq!(sent, Ok(()));
    }
    machine.conn.serve_finish(last, Err("3".into()));
    let sent = machine.sends();
    assert_eq!(items(&sent, large.mux()), 100);
    let payloads: Vec<_> = sent
        .iter()
        .filter(|sent| sent.mux == last.mux() && sent.op == Op::MuxServerMsg)
        .map(|sent| &sent.payload[..])
        .collect();
    assert_eq!(payloads, [b"1", b"2", b"3"]);
    assert_eq!(items(&sent, MuxId::new(2)), 0);
    assert_eq!((machine.conn.queued_bytes(), node.used()), (0, 0));
}

#[test]
fn c16_what_waits_of_a_call_of_ours_goes_with_it() {
    let node = Budget::new(1 << 30);
    let (mut machine, large) = backlogged(&node);
    let before = node.used();
    let cancelled = machine.open(4, 4, None);
    machine.conn.finish(cancelled);
    machine.conn.cancel(cancelled);
    assert_eq!(machine.unsent(), [&b"s"[..]]);
    assert_eq!(node.used(), before);

    machine.sends();
    let ours = machine.opened(4, 4);
    for _ in 0..100 {
        let block = Payload::from(vec![b'b'; 1024]);
        machine.conn.serve_send(large, block).expect("credit");
    }
    let before = node.used();
    machine.conn.send(ours, Payload::from("x")).expect("credit");
    machine.conn.finish(ours);
    machine.gets(message(Op::DisconnectClientMux, ours, 0));
    assert_eq!(machine.unsent(), [&b"x"[..]]);
    assert_eq!(node.used(), before);
    let sent = machine.sends();
    assert_eq!((items(&sent, large.mux()), items(&sent, ours)), (100, 0));
}

/// The longest text that ends a stream, and the longest without credit or while the queue is full.
const LONG: usize = 16 << 10;
const SHORT: usize = 1 << 10;

#[test]
fn c21_the_text_that_ends_a_stream_has_a_limit() {
    let ends = |len: usize, full: bool, credit: bool| {
        let mut machine = Machine::with(|config| config.max_queued_bytes = 1);
        machine.capacity = Capacity::new(0, 1);
        let stream = machine.serves_stream(1);
        if !credit {
            let sent = machine.conn.serve_send(stream, Payload::from(""));
            assert_eq!(sent, Ok(()));
            machine.sends();
        }
        if full {
            machine.request();
        }
        let text = "e".repeat(len);
        let finish = Err(Text::from(text.clone()));
        machine.conn.serve_finish(stream, finish);
        let whole = machine.unsent();
        let mut sent = machine.sends();
        machine.gets(message(Op::UnblockSrvMux, stream.mux(), 1));
        sent.extend(machine.sends());
        let end = sent.iter().find(|sent| sent.op == Op::MuxServerMsg);
        let payload = end.map(|end| end.payload.clone()).unwrap_or_default();
        assert!(text.as_bytes().starts_with(&payload));
        let cut = payload.len() < len;
        assert_eq!(
            whole.len(),
            usize::from(cut),
            "the application's own comes back"
        );
        payload.len()
    };
    for (full, credit, limit) in [
        (false, true, LONG),
        (true, true, SHORT),
        (false, false, SHORT),
        (true, false, SHORT),
    ] {
        let arrives = [limit - 1, limit, limit + 1, 1 << 20].map(|len| ends(len, full, credit));
        assert_eq!(
            arrives,
            [limit - 1, limit, limit, limit],
            "full: {full}, credit: {credit}"
        );
    }
    let mut machine = Machine::new();
    let stream = machine.serves_stream(1);
    let text = format!("a{}", "\u{e9}".repeat(LONG));
    machine.conn.serve_finish(stream, Err(text.as_str().into()));
    let end = &machine.sends()[0];
    assert_eq!(end.payload, text.as_bytes()[..LONG - 1], "whole characters");
}

/// Streams that have used all their credit fail with long texts, while their peer gives none.
#[test]
fn c10_ends_that_wait_for_credit_take_no_room_in_the_queue() {
    const STREAMS: u64 = 500;
    let node = Budget::new(1 << 20);
    let machine = || {
        Machine::with(|config| {
            config.max_queued_bytes = 1 << 20;
            config.queued = Some(Arc::clone(&node));
        })
    };
    let (mut machine, other) = (machine(), machine());
    machine.capacity = Capacity::new(0, 1);
    let mut cut = 0;
    let streams: Vec<_> = (1..=STREAMS)
        .map(|mux| {
            let stream = machine.serves_stream(mux);
            let sent = machine.conn.serve_send(stream, Payload::from("x"));
            assert_eq!(sent, Ok(()));
            machine.sends();
            let text = "e".repeat(64 << 10);
            machine.conn.serve_finish(stream, Err(text.into()));
            cut += machine.unsent().len();
            stream
        })
        .collect();
    assert_eq!((machine.conn.queued_bytes(), node.used()), (0, 0));
    assert!(machine.conn.has_room() && other.conn.has_room());
    assert_eq!(cut, streams.len());
    asks(&mut machine);
    machine.sends();

    // One that is given up is gone, and one that gets its credit counts until it is written.
    machine.gets(message(Op::DisconnectServerMux, streams[0].mux(), 0));
    assert_eq!(machine.unsent().len(), 1);
    machine.gets(message(Op::UnblockSrvMux, streams[1].mux(), 1));
    assert_eq!(node.used(), SHORT + QUEUED_COST);
    let sent = machine.sends();
    let end = sent.iter().find(|sent| sent.op == Op::MuxServerMsg);
    assert_eq!(end.map(|end| end.payload.len()), Some(SHORT));
    assert_eq!(node.used(), 0);
    machine.conn.close(grid_proto::conn::CloseReason::Local);
    assert_eq!(machine.unsent().len(), streams.len() - 2);
    assert_eq!(node.used(), 0);
}

/// Streams that have credit fail with long texts, while their peer takes nothing.
#[test]
fn c10_the_texts_of_ends_that_are_queued_count() {
    const STREAMS: u64 = 500;
    const LIMIT: usize = 1 << 20;
    let node = Budget::new(1 << 30);
    let mut machine = Machine::with(|config| {
        config.max_queued_bytes = LIMIT;
        config.queued = Some(Arc::clone(&node));
    });
    let streams = (1..=STREAMS).map(|mux| machine.serves_stream(mux));
    let streams: Vec<_> = streams.collect();
    for (before, stream) in streams.iter().enumerate() {
        let room = machine.conn.has_room();
        assert_eq!(room, before * (LONG + QUEUED_COST) < LIMIT);
        let text = "e".repeat(64 << 10);
        machine.conn.serve_finish(*stream, Err(text.into()));
    }
    let whole = LIMIT.div_ceil(LONG + QUEUED_COST);
    let short = streams.len() - whole;
    let held = whole * (LONG + QUEUED_COST) + short * (SHORT + QUEUED_COST);
    assert_eq!(node.used(), held);
}

const STREAMS: usize = 64;
const ITEM: usize = 4 << 10;
/// What is written in order of submission, and what a turn is: so many bytes, and the rest of a message.
const FIRST: usize = (64 << 10) + ITEM + 64;
const TURN: usize = 16 << 10;
const LONGEST_TURN: usize = TURN + ITEM + 64;

/// A machine with streams that have 10 turns waiting each.
fn busy() -> Machine {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(1, 1_000);
    let streams: Vec<_> = (1..=STREAMS as u64)
        .map(|mux| machine.serves_stream(mux))
        .collect();
    for stream in streams {
        for _ in 0..10 * TURN / ITEM {
            let block = Payload::from(vec![b'b'; ITEM]);
            machine.conn.serve_send(stream, block).expect("credit");
        }
    }
    machine
}

fn asks(machine: &mut Machine) {
    let new = NewRequest::new(HANDLER, Payload::from(vec![b'q'; 1024]));
    machine.conn.request(machine.now, new).expect("room");
}

#[test]
fn c13_single_requests_have_every_second_turn() {
    let mut machine = busy();
    (0..100).for_each(|_| asks(&mut machine));
    let (mut singles, mut streams, mut asked) = (0, 0, 0);
    for sent in machine.sends() {
        if sent.op == Op::Request {
            asked += 1;
            // A turn of one stream, and no more, before each turn that those before it have taken.
            let turns = 1 + singles / TURN;
            assert!(
                streams <= FIRST + turns * LONGEST_TURN,
                "request {asked}: {streams} bytes of streams in {turns} turns"
            );
            singles += sent.encoded_len();
        } else {
            streams += sent.encoded_len();
        }
    }
    assert_eq!(asked, 100);
    assert!(streams > STREAMS * 10 * TURN);
}

#[test]
fn c13_a_flood_of_single_requests_leaves_streams_every_other_turn() {
    let mut machine = busy();
    let (mut written, mut left) = (0, STREAMS * 10 * TURN / ITEM);
    // How much of everything had been written when a stream had its latest item.
    let mut latest = [FIRST; STREAMS + 1];
    while left > 0 {
        while machine.conn.queued_bytes() < (left + 100) * (ITEM + 64) {
            asks(&mut machine);
        }
        let mut out = Vec::new();
        machine.conn.poll_transmit(machine.now, &mut out, TURN);
        for sent in out {
            written += sent.encoded_len();
            if sent.op == Op::MuxServerMsg {
                left -= 1;
                let latest = &mut latest[sent.mux.get() as usize];
                let waited = written.saturating_sub(*latest);
                assert!(
                    waited <= 2 * STREAMS * LONGEST_TURN,
                    "stream {}: {waited} bytes since its last item",
                    sent.mux.get()
                );
                *latest = written;
            }
        }
    }
    assert!(machine.conn.open_requests() > 5_000, "it was a flood");
}
