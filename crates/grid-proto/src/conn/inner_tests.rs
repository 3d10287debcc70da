//! What can't be seen or reached from outside within the time of a test.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::*;
use crate::{Payload, SubrouteId, wire::MuxRejection};

/// Streams of every number, with as much input as there may be.
pub(super) struct AnyStream;

impl Routes for AnyStream {
    fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> {
        Err(MuxRejection::InvalidHandler)
    }

    fn stream(
        &self,
        _: HandlerId,
        _: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        Ok((0, Capacity::new(u32::MAX, 1)))
    }
}

fn sends(conn: &mut Connection, now: Instant) -> Vec<Message> {
    let mut out = Vec::new();
    conn.poll_transmit(now, &mut out, usize::MAX);
    out
}

fn gets_item(conn: &mut Connection, now: Instant, mux: u64, seq: u32) {
    let mut item = conn.message(Op::MuxClientMsg, mux);
    (item.seq, item.payload) = (seq, "item".into());
    conn.handle_message(now, item, &AnyStream);
}

#[test]
fn a_caller_counts_on_from_the_largest_number_to_none() {
    let now = Instant::now();
    let mut conn = Connection::new(Config::default(), now);
    let new = NewStream::new(HandlerId::new(7), Capacity::new(9, 9), Payload::Absent);
    let mux = conn.open(now, new).expect("room");
    sends(&mut conn, now);
    conn.handle_message(now, conn.message(Op::AckMux, mux.get()), &AnyStream);
    let Some(Call::Stream(stream)) = conn.calls.get_mut(&mux.get()) else {
        panic!("no stream")
    };
    (stream.send_seq, stream.recv_seq) = (u32::MAX, u32::MAX);
    for seq in [u32::MAX, 0, 1] {
        conn.send(mux, Payload::from("x")).expect("credit");
        assert_eq!(sends(&mut conn, now)[0].seq, seq);
        let credit = Message {
            seq,
            ..conn.message(Op::UnblockClMux, mux.get())
        };
        conn.handle_message(now, credit, &AnyStream);
    }
    assert_eq!(conn.open_streams(), 1);
}

#[test]
fn a_crowd_that_has_gone_leaves_no_memory() {
    let now = Instant::now();
    let mut conn = Connection::new(Config::default(), now);
    for mux in 1..=5_000 {
        let mut open = conn.message(Op::ConnectMux, mux);
        open.deadline_ms = 50;
        conn.handle_message(now, open, &AnyStream);
        let new = NewRequest::new(HandlerId::new(7), Payload::Absent);
        conn.request(now, new).expect("room");
    }
    assert!(conn.incoming.capacity() > 4_000 && conn.calls.capacity() > 4_000);
    let later = now + Duration::from_secs(60);
    conn.handle_alive(later);
    conn.handle_timeout(later);
    sends(&mut conn, later);
    while conn.poll_event().is_some() {}
    assert!(conn.is_idle());
    for capacity in [
        conn.incoming.capacity(),
        conn.calls.capacity(),
        conn.control.capacity(),
        conn.events.capacity(),
        conn.dirty.capacity(),
    ] {
        assert!(capacity <= 1024, "{capacity}");
    }
}

/// A peer by whose messages one stream after the other ends must not have all of them looked at each time.
#[test]
fn h17_ending_streams_to_make_room_looks_at_all_of_them_seldom() {
    const STREAMS: u64 = 2_000;
    let now = Instant::now();
    let inbound = Budget::new(1 << 20);
    let config = Config {
        inbound: inbound.clone(),
        ..Config::default()
    };
    let mut conn = Connection::new(config, now);
    let mut unread = HashMap::new();
    for mux in 0..=STREAMS {
        conn.handle_message(now, conn.message(Op::ConnectMux, mux + 1), &AnyStream);
        let Some(Event::Opened(opened)) = conn.poll_event() else {
            panic!("no stream")
        };
        // All but the first have an item that nobody reads.
        if mux > 0 {
            gets_item(&mut conn, now, mux + 1, 1);
            unread.insert(opened.stream, conn.poll_event());
        }
    }
    let mut others = Vec::new();
    for ended in 1..=1_000 {
        let left = inbound.limit().saturating_sub(inbound.used());
        others.push(inbound.charge_over(left));
        gets_item(&mut conn, now, 1, ended);
        let Some(Event::Cancelled { stream, .. }) = conn.poll_event() else {
            panic!("none has ended")
        };
        assert!(unread.remove(&stream).is_some(), "{ended}: {stream:?}");
        let Some(Event::Received { stream, .. }) = conn.poll_event() else {
            panic!("no item")
        };
        conn.serve_consumed(stream, 1);
        assert!(conn.poll_event().is_none());
    }
    assert_eq!(conn.holders.looks, 4, "256 of them each time");
}

/// As little where what is held is of no stream, and each stream ends for its own item.
#[test]
fn h17_where_no_stream_holds_anything_all_are_looked_at_once() {
    let now = Instant::now();
    let inbound = Budget::new(1 << 20);
    let config = Config {
        inbound: inbound.clone(),
        ..Config::default()
    };
    let mut conn = Connection::new(config, now);
    for mux in 1..=500 {
        conn.handle_message(now, conn.message(Op::ConnectMux, mux), &AnyStream);
    }
    let others = inbound.charge_over(1 << 20);
    for mux in 1..=500 {
        gets_item(&mut conn, now, mux, 1);
    }
    assert_eq!(conn.serving_streams(), 0);
    assert_eq!(conn.holders.looks, 1);
    drop(others);
}
