//! Single requests, and what tells one connection from the next (protocol sections 6 and 9).

use grid_proto::{
    MuxId, Payload,
    conn::{CallError, CancelReason, CloseReason, Event, NewRequest, RespondError, SubmitError},
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op},
};

use crate::tools::{HANDLER, Machine, NOBODY, call, item, message, secs, with_flags};

#[test]
fn an_answer_carries_the_number_of_its_request() {
    let mut machine = Machine::new();
    let mut request = call(Op::Request, 8);
    request.seq = 5;
    machine.gets(request);
    let Event::Request(request) = machine.event() else {
        panic!("no request")
    };
    machine
        .conn
        .respond(request.ticket, Ok(Payload::from("")))
        .expect("room");
    let sent = machine.sends();
    assert_eq!(
        (sent[0].mux, sent[0].seq, sent[0].deadline_ms),
        (MuxId::new(8), 5, 0)
    );
    assert_eq!(
        sent[0].flags,
        Flags::CRC | Flags::EOF | Flags::PAYLOAD_IS_ZERO
    );
    assert_eq!(sent[0].handler.get(), 0);
    let again = machine.conn.respond(request.ticket, Ok(Payload::Absent));
    assert_eq!(again, Err(RespondError::Gone));
    assert_eq!(machine.conn.counters().discarded_answers, 1);
}

#[test]
fn two_requests_of_one_number_are_both_answered() {
    let mut machine = Machine::new();
    let tickets = [machine.serves_request(0), machine.serves_request(0)];
    for ticket in tickets {
        machine
            .conn
            .respond(ticket, Ok(Payload::Absent))
            .expect("room");
    }
    assert_eq!(machine.sent_ops(), [Op::Response, Op::Response]);
}

#[test]
fn a_wrong_number_fails_the_call_and_a_second_answer_is_dropped() {
    let mut machine = Machine::new();
    let mux = machine.request();
    machine.sends();
    machine.gets(with_flags(message(Op::Response, mux, 4), Flags::EOF));
    match machine.event() {
        Event::Answered {
            outcome: Err(CallError::OutOfSequence { want: 0, got: 4 }),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    machine.gets(with_flags(message(Op::Response, mux, 0), Flags::EOF));
    machine.no_event();
    assert_eq!(
        (machine.sends().len(), machine.conn.counters().unknown_mux),
        (0, 1)
    );
}

#[test]
fn an_answer_tells_absent_from_empty() {
    let mut machine = Machine::new();
    for payload in [Payload::Absent, Payload::from(""), Payload::from("x")] {
        let mux = machine.request();
        machine.sends();
        let answer = with_flags(message(Op::Response, mux, 0), Flags::EOF);
        machine.gets(answer.with_content(payload.clone()));
        match machine.event() {
            Event::Answered {
                outcome: Ok(got), ..
            } => assert_eq!(got, payload),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_empty_request_is_sent_as_absent() {
    let mut machine = Machine::new();
    machine
        .conn
        .request(machine.now, NewRequest::new(HANDLER, Payload::from("")))
        .expect("room");
    assert_eq!(machine.sends()[0].flags, Flags::CRC | Flags::EOF);
}

#[test]
fn a_cancel_is_told_only_to_those_who_listen() {
    for listens in [true, false] {
        let mut machine = Machine::with(|config| config.peer_cancels_requests = listens);
        let mux = machine.request();
        machine.sends();
        machine.conn.cancel(mux);
        let told: &[Op] = if listens {
            &[Op::DisconnectServerMux]
        } else {
            &[]
        };
        assert_eq!(machine.sent_ops(), told);
        machine.gets(with_flags(message(Op::Response, mux, 0), Flags::EOF));
        machine.no_event();

        let ticket = machine.serves_request(6);
        machine.gets(message(Op::DisconnectServerMux, MuxId::new(6), 0));
        machine.gets(message(Op::DisconnectServerMux, MuxId::new(6), 0));
        let wanted = if listens {
            match machine.event() {
                Event::RequestCancelled {
                    ticket: got,
                    why: CancelReason::Caller,
                } => {
                    assert_eq!(got, ticket);
                }
                other => panic!("{other:?}"),
            }
            Err(RespondError::Gone)
        } else {
            machine.no_event();
            Ok(())
        };
        assert_eq!(machine.conn.respond(ticket, Ok(Payload::Absent)), wanted);
    }
}

#[test]
fn a_request_is_cancelled_once() {
    let mut machine = Machine::with(|config| config.peer_cancels_requests = true);
    let mut request = call(Op::Request, 6);
    (request.seq, request.deadline_ms) = (3, 1_000);
    machine.gets(request);
    let Event::Request(request) = machine.event() else {
        panic!("no request")
    };
    machine.pass(secs(1));
    machine.gets(message(Op::DisconnectServerMux, MuxId::new(6), 0));
    machine.conn.close(CloseReason::Local);
    match machine.event() {
        Event::RequestCancelled {
            ticket,
            why: CancelReason::Deadline,
        } => {
            assert_eq!(ticket, request.ticket);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_repeats_what_it_refuses() {
    let mut machine = Machine::new();
    let mut request = call(Op::Request, 6);
    (request.seq, request.deadline_ms, request.handler) = (3, 1_000, NOBODY);
    request.payload = "ignored".into();
    machine.gets(request.clone());
    let sent = machine.sends();
    let payload = sent[0].payload.clone();
    assert_eq!(
        sent,
        [Message {
            op: Op::MuxConnectError,
            payload,
            ..request
        }]
    );
    let refused = MuxConnectError::decode(&sent[0].payload).expect("a MuxConnectError");
    assert_eq!(refused.error, "Invalid Handler for type: Nobody");
}

#[test]
fn what_is_not_run_is_refused_or_forgotten() {
    let mut machine = Machine::new();
    let (one, two) = (machine.serves_request(1), machine.serves_request(2));
    machine.conn.refuse(one, MuxRejection::Overloaded);
    machine.conn.forget(two);
    machine.conn.refuse(two, MuxRejection::Overloaded);
    assert_eq!(machine.sent_ops(), [Op::MuxConnectError]);
    assert!(machine.conn.is_idle());
}

#[test]
fn a_node_that_drains_refuses_new_calls_and_serves_the_old() {
    let mut machine = Machine::new();
    let (ticket, stream) = (machine.serves_request(1), machine.serves_stream(2));
    machine.conn.refuse_new();
    machine.gets(call(Op::Request, 3));
    machine.gets(call(Op::ConnectMux, 4));
    machine.no_event();
    for sent in machine.sends() {
        let refused = MuxConnectError::decode(&sent.payload).expect("a MuxConnectError");
        let rejection = MuxRejection::from_text(refused.error.as_bytes());
        assert_eq!(rejection, MuxRejection::ShuttingDown);
    }
    machine
        .conn
        .respond(ticket, Ok(Payload::Absent))
        .expect("room");
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 1));
    assert!(matches!(machine.event(), Event::Received { .. }));
    machine.request();
}

#[test]
fn checksums_are_on_all_messages_or_on_none() {
    for checksums in [true, false] {
        let mut machine = Machine::with(|config| config.checksums = checksums);
        let mux = machine.open(1, 1, None);
        let cancelled = machine.open(1, 1, None);
        machine.request();
        let mut sent = machine.sends();
        machine.gets(message(Op::AckMux, mux, 0));
        machine.conn.send(mux, Payload::from("x")).expect("credit");
        machine.conn.cancel(cancelled);
        let mut incoming = [
            call(Op::Request, 1),
            call(Op::Request, 2),
            call(Op::ConnectMux, 3),
            message(Op::Ping, MuxId::CONNECTION, 0),
            message(Op::Ping, MuxId::new(9), 0),
            item(Op::MuxClientMsg, MuxId::new(9), 0, 1),
        ];
        incoming[1].handler = NOBODY;
        for mut message in incoming {
            message.flags -= Flags::CRC;
            machine.gets(message);
        }
        for event in machine.events() {
            if let Event::Request(request) = event {
                machine
                    .conn
                    .respond(request.ticket, Ok(Payload::Absent))
                    .expect("room");
            }
        }
        sent.extend(machine.sends());
        assert_eq!(sent.len(), 11, "{sent:?}");
        for message in sent {
            assert_eq!(message.flags.contains(Flags::CRC), checksums, "{message:?}");
        }
    }
}

#[test]
fn an_answer_of_an_earlier_connection_goes_nowhere() {
    let mut old = Machine::with(|config| config.generation = 1);
    let (ticket, stream) = (old.serves_request(1), old.serves_stream(2));
    old.request();
    old.conn.close(CloseReason::Replaced);
    assert_eq!(
        old.conn.respond(ticket, Ok(Payload::Absent)),
        Err(RespondError::Gone)
    );
    let new = NewRequest::new(HANDLER, Payload::Absent);
    assert_eq!(old.conn.request(old.now, new), Err(SubmitError::Closed));

    let next = old.conn.next_mux();
    let mut new = Machine::with(|config| (config.generation, config.first_mux) = (2, next));
    assert_eq!(new.request(), next, "the numbers go on");
    new.sends();
    let (same, same_stream) = (new.serves_request(1), new.serves_stream(2));
    assert_eq!(
        new.conn.respond(ticket, Ok(Payload::Absent)),
        Err(RespondError::Gone)
    );
    assert!(new.conn.serve_send(stream, Payload::from("x")).is_err());
    new.conn.serve_finish(stream, Ok(()));
    new.conn.forget(ticket);
    assert_eq!(new.sends(), []);
    new.conn
        .respond(same, Ok(Payload::Absent))
        .expect("the ticket of this connection");
    new.conn
        .serve_send(same_stream, Payload::from("x"))
        .expect("the stream of this connection");
}
