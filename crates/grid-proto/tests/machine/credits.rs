//! Credit that nodes of ours count (protocol section 10, decision 12).

use grid_proto::{
    MuxId, Payload,
    conn::{Capacity, Event},
    wire::{Flags, Message, Op},
};

use crate::tools::{Machine, item, message};

/// What returns credit, and of how many items.
fn returned(machine: &mut Machine) -> Vec<(Op, u32, u32)> {
    let sent = machine.sends();
    let fields = sent
        .iter()
        .map(|sent| (sent.op, sent.seq, sent.deadline_ms));
    fields.collect()
}

#[test]
fn credit_is_counted_where_the_peer_counts_it() {
    for counts in [true, false] {
        let mut machine = Machine::with(|config| config.peer_counts_credit = counts);
        machine.capacity = Capacity::new(4, 4);
        let mux = machine.opened(4, 4);
        let stream = machine.serves_stream(9);
        machine.sends();
        for seq in 1..=4 {
            machine.gets(item(Op::MuxServerMsg, mux, seq, 5));
            machine.gets(item(Op::MuxClientMsg, stream.mux(), seq, 5));
        }
        machine.events();
        machine.conn.consumed(mux, 2);
        machine.conn.consumed(mux, 1);
        machine.conn.serve_consumed(stream, 3);
        let (server, client) = (Op::UnblockSrvMux, Op::UnblockClMux);
        let wanted: &[_] = match counts {
            true => &[(server, 1, 3), (client, 1, 3)],
            false => &[
                (server, 1, 0),
                (server, 2, 0),
                (server, 3, 0),
                (client, 1, 0),
                (client, 2, 0),
                (client, 3, 0),
            ],
        };
        assert_eq!(returned(&mut machine), wanted);
        // One alone is the message that everybody sends.
        machine.conn.consumed(mux, 1);
        let next = if counts { 2 } else { 4 };
        assert_eq!(returned(&mut machine), [(server, next, 0)]);
    }
}

fn unblock(op: Op, mux: MuxId, seq: u32, count: u32) -> Message {
    Message {
        deadline_ms: count,
        ..message(op, mux, seq)
    }
}

#[test]
fn credit_is_capped_and_read_alike_whoever_returns_it() {
    for counts in [true, false] {
        for (spent, count, given) in [(3, 0, 1), (3, 1, 1), (3, 2, 2), (2, 3, 2), (3, u32::MAX, 3)]
        {
            let mut machine = Machine::with(|config| config.peer_counts_credit = counts);
            machine.capacity = Capacity::new(0, 3);
            let mux = machine.opened(3, 1);
            let stream = machine.serves_stream(9);
            for _ in 0..spent {
                let sent = machine.conn.send(mux, Payload::from("x"));
                let served = machine.conn.serve_send(stream, Payload::from("x"));
                assert_eq!((sent, served), (Ok(()), Ok(())));
            }
            machine.sends();
            machine.gets(unblock(Op::UnblockClMux, mux, 1, count));
            assert!(matches!(machine.event(), Event::Writable { .. }));
            machine.gets(unblock(Op::UnblockSrvMux, stream.mux(), 1, count));
            assert!(matches!(machine.event(), Event::ServeWritable { .. }));
            let excess = u64::from(count.max(1) - given);
            assert_eq!(machine.conn.counters().excess_credit, 2 * excess);
            let given = (3 - spent + given) as usize;
            let sent = (0..4).filter(|_| machine.conn.send(mux, Payload::from("x")).is_ok());
            assert_eq!(sent.count(), given, "{count} of {spent}");
            let serve = |_: &i32| machine.conn.serve_send(stream, Payload::from("x")).is_ok();
            assert_eq!((0..4).filter(serve).count(), given, "{count} of {spent}");
        }
    }
}

#[test]
fn counted_credit_before_the_ack_is_credit_for_nothing() {
    let mut machine = Machine::new();
    let mux = machine.open(2, 1, None);
    machine.sends();
    machine.gets(unblock(Op::UnblockClMux, mux, 0, 5));
    machine.no_event();
    assert_eq!(machine.conn.counters().excess_credit, 5);
    machine.gets(message(Op::AckMux, mux, 1));
    assert!(matches!(machine.event(), Event::Writable { .. }));
    let sent = (0..4).filter(|_| machine.conn.send(mux, Payload::from("x")).is_ok());
    assert_eq!(sent.count(), 2);
}

#[test]
fn an_end_that_waits_takes_one_of_several_credits() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 2);
    let stream = machine.serves_stream(9);
    for _ in 0..2 {
        let sent = machine.conn.serve_send(stream, Payload::from("x"));
        sent.expect("credit");
    }
    machine.conn.serve_finish(stream, Ok(()));
    let before = machine.sends();
    assert!(before.iter().all(|sent| !sent.flags.contains(Flags::EOF)));
    machine.gets(unblock(Op::UnblockSrvMux, stream.mux(), 1, 2));
    machine.no_event();
    let sent = machine.sends();
    let ends = sent.iter().filter(|sent| sent.flags.contains(Flags::EOF));
    assert_eq!(ends.count(), 1, "{sent:?}");
}
