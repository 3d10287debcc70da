//! Credits, sequence numbers and the ends of input (protocol section 7).

use grid_proto::{
    MuxId, Payload,
    conn::{CallError, CancelReason, Capacity, Event, SendError, ServeId},
    wire::{Flags, Op, stream_text},
};

use crate::tools::{Machine, call, item, message, with_flags};

fn send(machine: &mut Machine, mux: MuxId) -> Result<(), SendError> {
    machine.conn.send(mux, Payload::from("x"))
}

#[test]
fn a_second_opening_is_ignored_and_counted() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(5);
    machine.gets(call(Op::ConnectMux, 5));
    machine.no_event();
    assert_eq!(
        (machine.sends().len(), machine.conn.counters().duplicate_mux),
        (0, 1)
    );
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 3));
    assert!(matches!(machine.event(), Event::Received { stream: got, .. } if got == stream));
}

#[test]
fn no_credit_before_the_ack_and_never_more_than_the_capacity() {
    let mut machine = Machine::new();
    let mux = machine.open(2, 1, None);
    machine.sends();
    machine.gets(message(Op::UnblockClMux, mux, 0));
    machine.no_event();
    assert_eq!(send(&mut machine, mux), Err(SendError::NoCredit));
    assert_eq!(machine.conn.counters().excess_credit, 1);
    machine.gets(message(Op::AckMux, mux, 1));
    assert!(matches!(machine.event(), Event::Writable { .. }));
    machine.gets(message(Op::UnblockClMux, mux, 2));
    machine.gets(message(Op::AckMux, mux, 3));
    machine.no_event();
    assert_eq!(machine.conn.counters().excess_credit, 3);
    assert_eq!(
        [0; 3].map(|_| send(&mut machine, mux)),
        [Ok(()), Ok(()), Err(SendError::NoCredit)]
    );
    machine.gets(message(Op::AckMux, mux, 4));
    assert_eq!(
        send(&mut machine, mux),
        Err(SendError::NoCredit),
        "a second ack gives nothing"
    );
    machine.gets(message(Op::UnblockClMux, mux, 5));
    assert!(matches!(machine.event(), Event::Writable { .. }));
    assert_eq!(send(&mut machine, mux), Ok(()));
}

#[test]
fn credit_for_the_handler_is_capped_too() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 2);
    let stream = machine.serves_stream(1);
    machine.gets(message(Op::UnblockSrvMux, stream.mux(), 1));
    machine.no_event();
    assert_eq!(machine.conn.counters().excess_credit, 1);
    let sent = [0; 3].map(|_| machine.conn.serve_send(stream, Payload::from("x")));
    assert_eq!(sent, [Ok(()), Ok(()), Err(SendError::NoCredit)]);
}

#[test]
fn numbers_count_what_leaves_and_control_goes_first() {
    let mut machine = Machine::new();
    let mux = machine.opened(4, 4);
    send(&mut machine, mux).expect("credit");
    send(&mut machine, mux).expect("credit");
    machine.gets(item(Op::MuxServerMsg, mux, 1, 5));
    machine.events();
    machine.conn.consumed(mux, 1);
    machine.conn.finish(mux);
    let sent: Vec<_> = machine
        .sends()
        .iter()
        .map(|sent| (sent.op, sent.seq))
        .collect();
    let client = Op::MuxClientMsg;
    assert_eq!(
        sent,
        [
            (Op::UnblockSrvMux, 1),
            (client, 2),
            (client, 3),
            (client, 4)
        ]
    );
    assert_eq!(send(&mut machine, mux), Err(SendError::Finished));
}

#[test]
fn what_was_never_consumed_gives_no_credit_back() {
    let mut machine = Machine::new();
    let mux = machine.opened(4, 4);
    machine.conn.consumed(mux, 3);
    assert_eq!(machine.sends(), []);
    machine.gets(item(Op::MuxServerMsg, mux, 1, 5));
    machine.conn.consumed(mux, 7);
    assert_eq!(machine.sent_ops(), [Op::UnblockSrvMux]);
}

/// The stream is broken off with `text`: in its last message where there is a credit for one.
#[track_caller]
fn broken_off(machine: &mut Machine, stream: ServeId, text: &str, last_message: bool) {
    match machine.events().pop() {
        Some(Event::Cancelled {
            stream: got,
            why: CancelReason::Protocol(why),
        }) => {
            assert_eq!((got, why.as_bytes()), (stream, text.as_bytes()));
        }
        other => panic!("{other:?}"),
    }
    let result = machine.conn.serve_send(stream, Payload::from("x"));
    assert_eq!(result, Err(SendError::Ended));
    machine.conn.serve_finish(stream, Ok(()));
    let sent = machine.sends();
    assert_eq!(sent[0].payload, text.as_bytes());
    assert!(sent[0].flags.contains(Flags::PAYLOAD_IS_ERR));
    let ops: Vec<_> = sent.iter().map(|sent| sent.op).collect();
    if last_message {
        assert_eq!(ops, [Op::MuxServerMsg, Op::DisconnectClientMux]);
        assert!(sent[0].flags.contains(Flags::EOF) && sent[1].payload.is_empty());
    } else {
        assert_eq!(ops, [Op::DisconnectClientMux]);
    }
    assert_eq!(
        (machine.conn.serving_streams(), machine.conn.timers()),
        (0, 0)
    );
}

#[test]
fn input_where_none_is_due_breaks_the_stream() {
    let eof =
        |seq, stream: ServeId| with_flags(message(Op::MuxClientMsg, stream.mux(), seq), Flags::EOF);
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 1);
    let stream = machine.serves_stream(1);
    machine.gets(eof(1, stream));
    broken_off(&mut machine, stream, stream_text::UNEXPECTED_INPUT, true);

    machine.capacity = Capacity::new(2, 1);
    for second in [true, false] {
        let stream = machine.serves_stream(if second { 2 } else { 3 });
        machine.gets(eof(1, stream));
        assert!(matches!(machine.event(), Event::InputEnded { .. }));
        machine.gets(if second {
            eof(2, stream)
        } else {
            item(Op::MuxClientMsg, stream.mux(), 2, 1)
        });
        broken_off(&mut machine, stream, stream_text::UNEXPECTED_INPUT, true);
    }
}

#[test]
fn a_payload_beside_the_end_of_input_is_dropped() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(1);
    machine.gets(with_flags(
        item(Op::MuxClientMsg, stream.mux(), 1, 9),
        Flags::EOF,
    ));
    assert!(matches!(machine.event(), Event::InputEnded { .. }));
}

#[test]
fn more_input_than_the_capacity_blocks_the_handler() {
    for credit_left in [true, false] {
        let mut machine = Machine::new();
        machine.capacity = Capacity::new(2, 1);
        let stream = machine.serves_stream(1);
        if !credit_left {
            machine
                .conn
                .serve_send(stream, Payload::from("x"))
                .expect("credit");
            machine.sends();
        }
        machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 1));
        machine.gets(item(Op::MuxClientMsg, stream.mux(), 2, 1));
        assert_eq!(machine.events().len(), 2);
        machine.gets(item(Op::MuxClientMsg, stream.mux(), 3, 1));
        broken_off(
            &mut machine,
            stream,
            stream_text::HANDLER_BLOCKED,
            credit_left,
        );
    }
}

#[test]
fn a_wrong_number_breaks_the_stream() {
    for op in [Op::MuxClientMsg, Op::UnblockSrvMux] {
        let mut machine = Machine::new();
        let stream = machine.serves_stream(1);
        machine.gets(message(op, stream.mux(), 5));
        broken_off(
            &mut machine,
            stream,
            &stream_text::sequence_mismatch(1, 5),
            true,
        );
    }
    for op in [Op::AckMux, Op::UnblockClMux, Op::MuxServerMsg] {
        let mut machine = Machine::new();
        let mux = machine.opened(2, 2);
        machine.gets(message(op, mux, 3));
        match machine.event() {
            Event::Ended {
                outcome: Err(CallError::OutOfSequence { want: 1, got: 3 }),
                ..
            } => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    }
}

#[test]
fn numbers_begin_anywhere_and_wrap() {
    let mut machine = Machine::new();
    let mut open = call(Op::ConnectMux, 1);
    open.seq = u32::MAX;
    machine.gets(open);
    let Event::Opened(stream) = machine.event() else {
        panic!("not opened")
    };
    machine
        .conn
        .serve_send(stream.stream, Payload::from("x"))
        .expect("credit");
    let sent: Vec<_> = machine
        .sends()
        .iter()
        .map(|sent| (sent.op, sent.seq))
        .collect();
    assert_eq!(sent, [(Op::AckMux, u32::MAX), (Op::MuxServerMsg, 0)]);
    machine.gets(item(Op::MuxClientMsg, stream.stream.mux(), 0, 1));
    assert!(matches!(machine.event(), Event::Received { .. }));
}

#[test]
fn c24_more_output_than_the_capacity_is_a_mismatch() {
    let mut machine = Machine::new();
    let mux = machine.opened(0, 2);
    machine.gets(item(Op::MuxServerMsg, mux, 1, 1));
    machine.gets(item(Op::MuxServerMsg, mux, 2, 1));
    assert_eq!(machine.events().len(), 2);
    machine.gets(item(Op::MuxServerMsg, mux, 3, 1));
    match machine.event() {
        Event::Ended {
            outcome: Err(CallError::CapacityMismatch { capacity: 2 }),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
}

#[test]
fn an_absent_item_is_counted_and_arrives_empty() {
    let mut machine = Machine::new();
    let mux = machine.opened(0, 2);
    machine.gets(message(Op::MuxServerMsg, mux, 1));
    match machine.event() {
        Event::Item { payload, .. } => assert_eq!(payload, Payload::from("")),
        other => panic!("{other:?}"),
    }
    machine.conn.consumed(mux, 1);
    assert_eq!(machine.sent_ops(), [Op::UnblockSrvMux]);
}

#[test]
fn c09_empty_items_are_flagged_both_ways() {
    let mut machine = Machine::new();
    let (mux, stream) = (machine.opened(2, 2), machine.serves_stream(1));
    machine.conn.send(mux, Payload::Absent).expect("credit");
    machine
        .conn
        .serve_send(stream, Payload::from(""))
        .expect("credit");
    for sent in machine.sends() {
        assert_eq!(sent.flags, Flags::CRC | Flags::PAYLOAD_IS_ZERO, "{sent:?}");
    }
}

#[test]
fn only_streams_with_input_end_it() {
    let mut machine = Machine::new();
    let mux = machine.open(0, 1, None);
    machine.conn.finish(mux);
    let sent = machine.sends();
    assert_eq!((sent.len(), sent[0].flags.contains(Flags::EOF)), (1, true));
    assert_eq!(send(&mut machine, mux), Err(SendError::NoInput));
    let mux = machine.open(1, 1, None);
    machine.conn.finish(mux);
    machine.conn.finish(mux);
    let sent: Vec<_> = machine
        .sends()
        .iter()
        .map(|sent| (sent.op, sent.seq, sent.flags.contains(Flags::EOF)))
        .collect();
    assert_eq!(
        sent,
        [(Op::ConnectMux, 0, false), (Op::MuxClientMsg, 1, true)]
    );
}

#[test]
fn a_peer_beyond_its_credit_is_not_paid_for_it() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(2, 2);
    let (ours, theirs) = (machine.opened(0, 2), machine.serves_stream(9));
    for seq in 1..=10 {
        machine.gets(item(Op::MuxServerMsg, ours, seq, 1));
        machine.gets(item(Op::MuxClientMsg, theirs.mux(), seq, 1));
        machine.conn.consumed(ours, 1);
        machine.conn.serve_consumed(theirs, 1);
    }
    let sent = machine.sent_ops();
    let count = |op| sent.iter().filter(|sent| **sent == op).count();
    assert_eq!(
        (count(Op::UnblockSrvMux), count(Op::UnblockClMux)),
        (2, 2),
        "{sent:?}"
    );
}
