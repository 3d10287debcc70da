//! Streams that are urgent, on either side: all that is sent on them goes first, in its order.

use std::sync::Arc;

use grid_proto::{
    MuxId, Payload,
    conn::{Budget, Capacity, Event, NewStream, SendError, ServeId, SubmitError},
    wire::{Flags, Message, Op},
};

use crate::tools::{HANDLER, Machine, URGENT, call, message};

const KIB: usize = 1 << 10;

/// A machine that serves a stream of which much waits.
fn backlogged(node: &Arc<Budget>) -> (Machine, ServeId) {
    let mut machine = Machine::with(|config| config.queued = Some(Arc::clone(node)));
    machine.capacity = Capacity::new(4, 1_000);
    let bulk = machine.serves_stream(1_000);
    sends_much(&mut machine, bulk);
    (machine, bulk)
}

fn sends_much(machine: &mut Machine, bulk: ServeId) {
    for _ in 0..200 {
        let sent = machine.conn.serve_send(bulk, block(KIB));
        assert_eq!(sent, Ok(()));
    }
}

fn block(len: usize) -> Payload {
    Payload::from(vec![b'b'; len])
}

fn open(machine: &mut Machine) -> Result<MuxId, SubmitError> {
    let mut new = NewStream::new(HANDLER, Capacity::new(100, 4), Payload::from("s"));
    new.urgent = true;
    machine.conn.open(machine.now, new)
}

/// The peer opens a stream of the urgent handler.
fn serves_urgent(machine: &mut Machine, mux: u64) -> ServeId {
    let mut opening = call(Op::ConnectMux, mux);
    opening.handler = URGENT;
    machine.gets(opening);
    match machine.event() {
        Event::Opened(open) => open.stream,
        other => panic!("{other:?}"),
    }
}

/// The ops of a stream, and whether all of it left before anything of the other.
fn ops_before(sent: &[Message], mux: MuxId, bulk: MuxId) -> (Vec<Op>, bool) {
    let first = sent.iter().position(|sent| sent.mux == bulk);
    let last = sent.iter().rposition(|sent| sent.mux == mux);
    let of = sent.iter().filter(|sent| sent.mux == mux);
    (of.map(|sent| sent.op).collect(), last < first)
}

#[test]
fn what_a_caller_sends_on_an_urgent_stream_goes_first() {
    let (mut machine, bulk) = backlogged(&Budget::new(1 << 30));
    let ours = open(&mut machine).expect("a stream");
    let sent = machine.sends();
    assert_eq!(
        ops_before(&sent, ours, bulk.mux()),
        (vec![Op::ConnectMux], true)
    );

    machine.gets(message(Op::AckMux, ours, 0));
    machine.events();
    sends_much(&mut machine, bulk);
    for text in ["1", "2", "3"] {
        let sent = machine.conn.send(ours, Payload::from(text));
        assert_eq!(sent, Ok(()));
    }
    machine.conn.finish(ours);
    let sent = machine.sends();
    let (ops, before) = ops_before(&sent, ours, bulk.mux());
    assert_eq!((ops, before), (vec![Op::MuxClientMsg; 4], true));
    let of: Vec<_> = sent.iter().filter(|sent| sent.mux == ours).collect();
    let payloads: Vec<_> = of.iter().map(|sent| &sent.payload[..]).collect();
    assert_eq!(payloads, [&b"1"[..], b"2", b"3", b""]);
    let seqs: Vec<_> = of.iter().map(|sent| sent.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert!(of[3].flags.contains(Flags::EOF));
}

#[test]
fn what_an_urgent_handler_sends_goes_first() {
    let (mut machine, bulk) = backlogged(&Budget::new(1 << 30));
    let stream = serves_urgent(&mut machine, 2);
    for text in ["1", "2"] {
        let sent = machine.conn.serve_send(stream, Payload::from(text));
        assert_eq!(sent, Ok(()));
    }
    machine.conn.serve_finish(stream, Err("3".into()));
    let sent = machine.sends();
    let (ops, before) = ops_before(&sent, stream.mux(), bulk.mux());
    let items = [Op::MuxServerMsg; 3];
    let all = [&[Op::AckMux][..], &items, &[Op::DisconnectClientMux]].concat();
    assert_eq!((ops, before), (all, true));
    let payloads: Vec<_> = sent
        .iter()
        .filter(|sent| sent.mux == stream.mux() && sent.op == Op::MuxServerMsg)
        .map(|sent| &sent.payload[..])
        .collect();
    assert_eq!(payloads, [b"1", b"2", b"3"]);
}

#[test]
fn what_waits_of_an_urgent_stream_that_was_given_up_is_let_go() {
    let node = Budget::new(1 << 30);
    let (mut machine, _) = backlogged(&node);
    let before = node.used();
    let ours = open(&mut machine).expect("a stream");
    machine.conn.cancel(ours);
    assert_eq!(machine.unsent(), [&b"s"[..]]);
    let stream = serves_urgent(&mut machine, 2);
    let sent = machine.conn.serve_send(stream, Payload::from("item"));
    assert_eq!(sent, Ok(()));
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    assert_eq!(machine.unsent(), [&b"item"[..]]);
    assert_eq!(node.used(), before);
}

/// Where bulk data fills the queue an urgent stream has a little room of its own, and its sender is told of more.
#[test]
fn a_full_queue_takes_some_of_an_urgent_stream() {
    let mut machine = Machine::with(|config| config.max_queued_bytes = 1024 * KIB);
    machine.capacity = Capacity::new(4, 1_000);
    let bulk = machine.serves_stream(1_000);
    let ours = open(&mut machine).expect("a stream");
    machine.sends();
    machine.gets(message(Op::AckMux, ours, 0));
    machine.events();
    let full = machine.conn.serve_send(bulk, block(1024 * KIB));
    assert_eq!(full, Ok(()));
    let more = machine.conn.serve_send(bulk, block(1));
    assert_eq!(more, Err(SendError::QueueFull));

    let large = machine.conn.send(ours, block(64 * KIB));
    assert_eq!(large, Err(SendError::QueueFull));
    let sent = (0..).take_while(|_| machine.conn.send(ours, block(10 * KIB)).is_ok());
    assert_eq!(sent.count(), 6);
    let more = machine.conn.send(ours, block(10 * KIB));
    assert_eq!(more, Err(SendError::NoCredit), "its share waits");
    assert!(open(&mut machine).is_ok());
    let mut out = Vec::new();
    machine.conn.poll_transmit(machine.now, &mut out, 40 * KIB);
    assert!(matches!(machine.event(), Event::Writable { mux } if mux == ours));
    let sent = machine.conn.send(ours, block(10 * KIB));
    assert_eq!(sent, Ok(()));
    assert!(!machine.conn.has_room(), "all others wait");
}
