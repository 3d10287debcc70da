//! What can't be seen or reached from outside within the time of a test.

use std::time::{Duration, Instant};

use super::*;
use crate::{Payload, SubrouteId, wire::MuxRejection};

struct AnyStream;

impl Routes for AnyStream {
    fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> {
        Err(MuxRejection::InvalidHandler)
    }

    fn stream(
        &self,
        _: HandlerId,
        _: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        Ok((0, Capacity::new(1, 1)))
    }
}

fn sends(conn: &mut Connection, now: Instant) -> Vec<Message> {
    let mut out = Vec::new();
    conn.poll_transmit(now, &mut out, usize::MAX);
    out
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
