//! Rows H05 to H12 of the scenarios: a peer that breaks the rules of a stream hurts that stream and nothing else.

use grid_proto::{
    MuxId, Payload, SubrouteId,
    conn::{CallError, CancelReason, Capacity, CloseReason, Event, NewStream, SendError, ServeId},
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op, Text, encode_merged, unfold},
};

use crate::tools::{HANDLER, Machine, call, item, message, with_flags};

/// A thousand calls are served, each with its own answer, and the connection lives.
#[track_caller]
fn still_serves_a_thousand(machine: &mut Machine) {
    machine.events();
    machine.sends();
    for mux in 10_000..11_000 {
        let ticket = machine.serves_request(mux);
        let answer = Payload::from(mux.to_string());
        machine.conn.respond(ticket, Ok(answer)).expect("room");
        let sent = machine.sends();
        assert_eq!(
            (sent.len(), sent[0].op, sent[0].mux),
            (1, Op::Response, MuxId::new(mux))
        );
        assert_eq!(sent[0].payload, mux.to_string());
    }
    assert_eq!(machine.conn.close_reason(), None);
}

/// The texts by which a served stream was ended, and that nothing else was sent.
#[track_caller]
fn broken_off(machine: &mut Machine, stream: ServeId, reason: &str) {
    let cancelled: Vec<Text> = machine
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Cancelled {
                stream: ended,
                why: CancelReason::Protocol(text),
            } if ended == stream => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(
        cancelled,
        [Text::from(reason)],
        "the handler is stopped once"
    );
    let sent = machine.sends();
    let ops: Vec<Op> = sent
        .iter()
        .map(|message| message.op)
        .filter(|op| !matches!(op, Op::UnblockClMux | Op::AckMux))
        .collect();
    assert_eq!(ops, [Op::MuxServerMsg, Op::DisconnectClientMux]);
    let end = sent
        .iter()
        .find(|message| message.op == Op::MuxServerMsg)
        .expect("an end");
    assert!(end.flags.contains(Flags::EOF | Flags::PAYLOAD_IS_ERR));
    assert_eq!(end.payload, reason.as_bytes());
    assert_eq!(machine.conn.serving_streams(), 0);
}

#[test]
fn h05_twenty_thousand_streams_are_capped() {
    let mut machine = Machine::new();
    for mux in 1..=20_000 {
        machine.gets(call(Op::ConnectMux, mux));
    }
    assert_eq!(machine.conn.serving_streams(), 16_384);
    let opened = machine.events();
    assert!(opened.iter().all(|event| matches!(event, Event::Opened(_))));
    assert_eq!(opened.len(), 16_384, "one thing to serve for each");
    let sent = machine.sends();
    let refused = sent.iter().filter(|sent| sent.op == Op::MuxConnectError);
    for refusal in refused.clone() {
        let error = MuxConnectError::decode(&refusal.payload)
            .expect("a refusal")
            .error;
        assert_eq!(
            MuxRejection::from_text(error.as_bytes()),
            MuxRejection::Overloaded
        );
    }
    assert_eq!(refused.count(), 3_616);
    assert_eq!(machine.conn.close_reason(), None);
}

#[test]
fn h06_credit_before_the_ack_is_credit_for_nothing() {
    let mut machine = Machine::new();
    let mux = machine.open(2, 4, None);
    assert_eq!(machine.sent_ops(), [Op::ConnectMux]);
    // Counted messages all the same, so that the ack comes after them.
    for seq in 0..3 {
        machine.gets(message(Op::UnblockClMux, mux, seq));
    }
    machine.no_event();
    let send = |machine: &mut Machine| machine.conn.send(mux, Payload::from("x"));
    assert_eq!(send(&mut machine), Err(SendError::NoCredit));
    machine.gets(message(Op::AckMux, mux, 3));
    assert!(matches!(machine.event(), Event::Writable { .. }));
    assert_eq!((send(&mut machine), send(&mut machine)), (Ok(()), Ok(())));
    assert_eq!(send(&mut machine), Err(SendError::NoCredit));
    assert_eq!(machine.conn.counters().excess_credit, 3);
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h06_credit_above_the_capacity_and_a_second_ack_are_ignored() {
    let mut machine = Machine::new();
    let mux = machine.opened(2, 4);
    for seq in 1..=1_000 {
        machine.gets(message(Op::UnblockClMux, mux, seq));
    }
    machine.gets(message(Op::AckMux, mux, 1_001));
    machine.no_event();
    assert_eq!(machine.conn.counters().excess_credit, 1_001);
    for _ in 0..2 {
        assert_eq!(machine.conn.send(mux, Payload::from("x")), Ok(()));
    }
    assert_eq!(
        machine.conn.send(mux, Payload::from("x")),
        Err(SendError::NoCredit)
    );
    machine.sends();
    // The same from a caller to a handler's side.
    machine.capacity = Capacity::new(0, 2);
    let stream = machine.serves_stream(7);
    for seq in 1..=1_000 {
        machine.gets(message(Op::UnblockSrvMux, stream.mux(), seq));
    }
    for _ in 0..2 {
        assert_eq!(machine.conn.serve_send(stream, Payload::from("y")), Ok(()));
    }
    let third = machine.conn.serve_send(stream, Payload::from("y"));
    assert_eq!(third, Err(SendError::NoCredit));
    assert_eq!(machine.conn.counters().excess_credit, 2_001);
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h07_a_wrong_sequence_number_ends_that_stream() {
    for op in [Op::MuxClientMsg, Op::UnblockSrvMux, Op::Ping] {
        let mut machine = Machine::new();
        let stream = machine.serves_stream(7);
        machine.gets(message(op, stream.mux(), 5));
        let sent = machine.sends();
        let text = "receive sequence number mismatch. want 1, got 5";
        let end = sent
            .iter()
            .find(|sent| sent.op == Op::MuxServerMsg)
            .expect("an end");
        assert_eq!(end.payload, text.as_bytes(), "{op}");
        assert_eq!(machine.conn.serving_streams(), 0);
        still_serves_a_thousand(&mut machine);
    }
    // And where the handler's side is at fault.
    let mut machine = Machine::new();
    let mux = machine.opened(2, 4);
    machine.gets(item(Op::MuxServerMsg, mux, 5, 3));
    match machine.event() {
        Event::Ended {
            outcome: Err(CallError::OutOfSequence { want: 1, got: 5 }),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h07_a_message_on_a_stream_that_takes_none_ends_it() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 4);
    let stream = machine.serves_stream(7);
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 3));
    broken_off(&mut machine, stream, "did not expect inbound message");
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h07_more_messages_than_the_capacity_end_it() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(7);
    for seq in 1..=4 {
        machine.gets(item(Op::MuxClientMsg, stream.mux(), seq, 3));
    }
    let received = machine.events();
    assert_eq!(received.len(), 4);
    assert_eq!(machine.conn.serving_streams(), 1);
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 5, 3));
    broken_off(&mut machine, stream, "handler blocked");
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h08_what_comes_after_the_end_of_input_ends_the_stream_once() {
    for second in [Flags::EOF, Flags::empty()] {
        let mut machine = Machine::new();
        let stream = machine.serves_stream(7);
        machine.gets(with_flags(
            message(Op::MuxClientMsg, stream.mux(), 1),
            Flags::EOF,
        ));
        assert!(matches!(machine.event(), Event::InputEnded { .. }));
        machine.gets(with_flags(
            item(Op::MuxClientMsg, stream.mux(), 2, 3),
            second,
        ));
        broken_off(&mut machine, stream, "did not expect inbound message");
        machine.gets(with_flags(
            item(Op::MuxClientMsg, stream.mux(), 3, 3),
            second,
        ));
        machine.no_event();
        still_serves_a_thousand(&mut machine);
    }
}

#[test]
fn h08_what_comes_after_the_end_of_output_is_for_a_stream_that_is_over() {
    let mut machine = Machine::new();
    let mux = machine.opened(2, 4);
    machine.gets(with_flags(message(Op::MuxServerMsg, mux, 1), Flags::EOF));
    match machine.event() {
        Event::Ended {
            outcome: Ok(()), ..
        } => {}
        other => panic!("{other:?}"),
    }
    machine.gets(with_flags(message(Op::MuxServerMsg, mux, 2), Flags::EOF));
    machine.gets(item(Op::MuxServerMsg, mux, 3, 3));
    machine.no_event();
    assert_eq!(machine.sends(), []);
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h09_a_number_that_is_open_is_not_opened_again() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(7);
    for _ in 0..3 {
        machine.gets(call(Op::ConnectMux, 7));
    }
    machine.no_event();
    assert_eq!(machine.sends(), []);
    assert_eq!(machine.conn.counters().duplicate_mux, 3);
    // The first goes on, in its own count.
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 3));
    assert!(matches!(machine.event(), Event::Received { .. }));
    machine.conn.serve_finish(stream, Ok(()));
    assert_eq!(
        machine.sent_ops(),
        [Op::MuxServerMsg, Op::DisconnectClientMux]
    );
    still_serves_a_thousand(&mut machine);
}

#[test]
fn h10_a_merged_message_that_lies_gives_what_is_there() {
    let inside = [call(Op::Request, 1), call(Op::Request, 2)];
    let mut honest = Vec::new();
    encode_merged(&inside, &mut honest);
    // The count is the third field, one byte behind the array's head and the number of the connection.
    let mut many = honest.clone();
    many.splice(2..3, [0xce, 0xee, 0x6b, 0x28, 0x00]);
    let messages: Vec<_> = unfold(many.into()).collect();
    assert_eq!(messages.len(), 3, "what is there, and the error");
    assert!(messages[..2].iter().all(Result::is_ok) && messages[2].is_err());
    let cut = honest[..honest.len() - 1].to_vec();
    let messages: Vec<_> = unfold(cut.into()).collect();
    assert_eq!(
        (messages.len(), messages[0].is_ok(), messages[1].is_ok()),
        (2, true, false)
    );
}

#[test]
fn h10_one_inside_another_is_ignored_and_too_many_are_abuse() {
    let mut machine = Machine::with(|config| config.max_abuse = 10);
    let nested = Message {
        seq: 4_000_000_000,
        ..Message::new(Op::Merged, MuxId::CONNECTION)
    };
    for _ in 0..10 {
        machine.gets(nested.clone());
    }
    assert_eq!(machine.conn.counters().ignored, 10);
    still_serves_a_thousand(&mut machine);
    machine.gets(nested);
    assert!(matches!(
        machine.conn.close_reason(),
        Some(CloseReason::Abuse(_))
    ));
}

#[test]
fn h12_no_call_of_ours_leaves_with_a_subroute_of_zeros() {
    let mut machine = Machine::new();
    let mut new = NewStream::new(HANDLER, Capacity::new(0, 1), Payload::Absent);
    new.subroute = Some(SubrouteId::new(HANDLER, "disk1"));
    machine.conn.open(machine.now, new).expect("a stream");
    let sent = machine.sends().swap_remove(0);
    let id = sent.subroute.expect("a subroute");
    assert!(id.as_bytes()[2..].iter().any(|byte| *byte != 0));
}
