//! How streams end, on either side (protocol section 7).

use grid_proto::{
    Payload,
    conn::{CallError, CancelReason, Capacity, CloseReason, Event, SendError},
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op},
};

use crate::tools::{Machine, NOBODY, call, item, message, with_flags};

fn error(mut message: Message, text: &'static str) -> Message {
    message.flags |= Flags::PAYLOAD_IS_ERR;
    message.payload = text.into();
    message
}

#[test]
fn what_is_queued_and_never_sent_is_handed_out() {
    let mut machine = Machine::new();
    let (stream, request) = (machine.open(2, 1, None), machine.request());
    machine.conn.cancel(stream);
    machine.conn.cancel(request);
    assert_eq!(machine.unsent(), Vec::<bytes::Bytes>::new());
    assert_eq!(machine.sends(), []);
    assert_eq!(machine.unsent(), ["s", "q"]);

    machine.request();
    machine.conn.close(CloseReason::Local);
    assert_eq!(machine.unsent(), ["q"]);
}

#[test]
fn a_cancel_before_it_left_sends_nothing() {
    let mut machine = Machine::new();
    let (stream, request) = (machine.open(2, 1, None), machine.request());
    machine.conn.finish(stream);
    machine.conn.cancel(stream);
    machine.conn.cancel(request);
    assert_eq!(machine.sends(), []);
    machine.no_event();
    assert!(machine.conn.is_idle() && machine.conn.queued_bytes() == 0);
}

#[test]
fn a_cancel_drops_the_items_that_wait() {
    let mut machine = Machine::new();
    let (mux, other) = (machine.opened(3, 1), machine.opened(1, 1));
    for _ in 0..3 {
        machine.conn.send(mux, Payload::from("x")).expect("credit");
    }
    machine
        .conn
        .send(other, Payload::from("y"))
        .expect("credit");
    machine.conn.cancel(mux);
    machine.conn.cancel(mux);
    let sent: Vec<_> = machine
        .sends()
        .iter()
        .map(|sent| (sent.op, sent.mux, sent.seq))
        .collect();
    assert_eq!(
        sent,
        [
            (Op::DisconnectServerMux, mux, 0),
            (Op::MuxClientMsg, other, 1)
        ]
    );
    assert_eq!(
        machine.conn.send(mux, Payload::from("x")),
        Err(SendError::Ended)
    );
    // What comes for it now is not told to anybody.
    machine.gets(item(Op::MuxServerMsg, mux, 1, 1));
    machine.gets(with_flags(message(Op::MuxServerMsg, mux, 2), Flags::EOF));
    machine.gets(message(Op::DisconnectClientMux, mux, 0));
    machine.no_event();
}

#[test]
fn a_cancelled_handler_leaves_nothing_and_its_items_do_not_leave() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(1);
    machine
        .conn
        .serve_send(stream, Payload::from("x"))
        .expect("credit");
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    match machine.event() {
        Event::Cancelled {
            stream: got,
            why: CancelReason::Caller,
        } => assert_eq!(got, stream),
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
    assert_eq!(
        machine.conn.serve_send(stream, Payload::from("x")),
        Err(SendError::Ended)
    );
    machine.conn.serve_finish(stream, Ok(()));
    machine.conn.serve_consumed(stream, 1);
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);
}

#[test]
fn c10_the_end_waits_for_a_credit_and_goes_behind_the_items() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 2);
    let stream = machine.serves_stream(1);
    machine
        .conn
        .serve_send(stream, Payload::from("x"))
        .expect("credit");
    machine
        .conn
        .serve_send(stream, Payload::from("y"))
        .expect("credit");
    machine.conn.serve_finish(stream, Err("no luck".into()));
    machine.conn.serve_finish(stream, Ok(()));
    assert_eq!(machine.sent_ops(), [Op::MuxServerMsg, Op::MuxServerMsg]);
    machine.gets(message(Op::UnblockSrvMux, stream.mux(), 1));
    machine.no_event();
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].seq, &sent[0].payload[..]),
        (2, 3, &b"no luck"[..])
    );
    assert_eq!(
        sent[0].flags,
        Flags::CRC | Flags::EOF | Flags::PAYLOAD_IS_ERR
    );
    assert_eq!(
        (sent[1].op, sent[1].seq, sent[1].flags),
        (Op::DisconnectClientMux, 0, Flags::CRC)
    );
    assert!(machine.conn.is_idle());
}

#[test]
fn c10_an_end_that_waits_goes_with_the_caller() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 1);
    let stream = machine.serves_stream(1);
    machine
        .conn
        .serve_send(stream, Payload::from("x"))
        .expect("credit");
    machine.conn.serve_finish(stream, Ok(()));
    machine.sends();
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    machine.no_event();
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
    assert!(machine.conn.is_idle());
}

#[test]
fn an_error_with_an_empty_text_is_flagged_so() {
    let mut machine = Machine::new();
    let (stream, ticket) = (machine.serves_stream(1), machine.serves_request(2));
    machine.conn.serve_finish(stream, Err("".into()));
    machine.conn.respond(ticket, Err("".into())).expect("room");
    let sent = machine.sends();
    let error = Flags::CRC | Flags::EOF | Flags::PAYLOAD_IS_ERR;
    assert_eq!(sent[0].flags, error | Flags::PAYLOAD_IS_ZERO);
    assert_eq!((sent[2].op, sent[2].flags), (Op::Response, error));
}

#[test]
fn an_item_beside_the_end_is_delivered_first() {
    for (payload, items) in [("last", 1), ("", 1), ("absent", 0)] {
        let mut machine = Machine::new();
        let mux = machine.opened(0, 1);
        let end = with_flags(message(Op::MuxServerMsg, mux, 1), Flags::EOF);
        machine.gets(if payload == "absent" {
            end
        } else {
            end.with_content(Payload::from(payload))
        });
        let mut events = machine.events();
        assert!(
            matches!(
                events.pop(),
                Some(Event::Ended {
                    outcome: Ok(()),
                    ..
                })
            ),
            "{payload}"
        );
        assert_eq!(events.len(), items, "{payload}");
        machine.gets(message(Op::DisconnectClientMux, mux, 0));
        machine.no_event();
        assert_eq!(machine.sends(), [], "neither is answered");
    }
}

#[test]
fn an_error_ends_the_stream_with_its_text() {
    for eof in [true, false] {
        let mut machine = Machine::new();
        let mux = machine.opened(0, 1);
        let mut end = error(message(Op::MuxServerMsg, mux, 1), "no luck");
        end.flags.set(Flags::EOF, eof);
        machine.gets(end);
        match machine.event() {
            Event::Ended {
                outcome: Err(CallError::Remote(text)),
                ..
            } => assert_eq!(text, "no luck"),
            other => panic!("{other:?}"),
        }
        // One that doesn't say that it is over is told to be.
        let told: &[Op] = if eof { &[] } else { &[Op::DisconnectServerMux] };
        assert_eq!(machine.sent_ops(), told);
    }
}

#[test]
fn a_disconnect_of_a_live_stream_is_answered() {
    let mut machine = Machine::new();
    let mux = machine.opened(0, 1);
    machine.gets(error(message(Op::DisconnectClientMux, mux, 0), "gone"));
    assert!(matches!(
        machine.event(),
        Event::Ended {
            outcome: Err(CallError::Remote(_)),
            ..
        }
    ));
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].seq),
        (1, Op::DisconnectServerMux, 0)
    );
}

#[test]
fn streams_that_can_not_be_served_are_refused_without_an_ack() {
    let mut machine = Machine::new();
    let mut unknown = call(Op::ConnectMux, 1);
    unknown.handler = NOBODY;
    unknown.deadline_ms = 77;
    machine.gets(unknown);
    machine.gets(with_flags(call(Op::ConnectMux, 2), Flags::STATELESS));
    machine.no_event();
    let sent = machine.sends();
    let rejections: Vec<_> = sent
        .iter()
        .map(|sent| MuxConnectError::decode(&sent.payload).expect("a MuxConnectError"))
        .map(|refused| MuxRejection::from_text(refused.error.as_bytes()))
        .collect();
    let expected = [
        MuxRejection::UnknownHandler("Nobody".into()),
        MuxRejection::Stateless,
    ];
    assert_eq!(rejections, expected);
    assert_eq!((sent[0].deadline_ms, sent[0].handler), (77, NOBODY));
    assert_eq!(sent[1].flags, Flags::CRC | Flags::STATELESS);
    assert!(machine.conn.is_idle());
}

#[test]
fn a_refusal_ends_the_call() {
    let mut machine = Machine::new();
    let (stream, request) = (machine.open(0, 1, None), machine.request());
    machine.sends();
    let refused = MuxConnectError {
        error: "Invalid Handler".into(),
    };
    let mut payload = Vec::new();
    refused.encode(&mut payload);
    for mux in [stream, request] {
        let mut refusal = message(Op::MuxConnectError, mux, 0);
        refusal.payload = payload.clone().into();
        machine.gets(refusal);
    }
    let events = machine.events();
    assert!(
        matches!(
            &events[..],
            [
                Event::Ended {
                    outcome: Err(CallError::Rejected(MuxRejection::InvalidHandler)),
                    ..
                },
                Event::Answered {
                    outcome: Err(CallError::Rejected(MuxRejection::InvalidHandler)),
                    ..
                },
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn a_close_tells_everybody_once() {
    let mut machine = Machine::new();
    let stream = machine.opened(1, 1);
    let (served, returned) = (machine.serves_stream(1), machine.serves_stream(2));
    let (ticket, request) = (machine.serves_request(3), machine.request());
    machine.conn.serve_finish(returned, Ok(()));
    machine.conn.close(CloseReason::Local);
    machine.conn.close(CloseReason::ShuttingDown);
    assert_eq!(machine.conn.close_reason(), Some(&CloseReason::Local));
    let events = machine.events();
    assert!(
        matches!(&events[..], [
            Event::Ended { mux: one, outcome: Err(CallError::Closed) },
            Event::Answered { mux: two, outcome: Err(CallError::Closed), .. },
            Event::Cancelled { stream: three, why: CancelReason::Link },
            Event::RequestCancelled { ticket: four, why: CancelReason::Link },
        ] if (*one, *two, *three, *four) == (stream, request, served, ticket)),
        "{events:?}"
    );
    machine.gets(call(Op::Request, 9));
    machine.conn.cancel(stream);
    machine.conn.serve_finish(served, Ok(()));
    machine.no_event();
    assert_eq!((machine.sends().len(), machine.conn.queued_bytes()), (0, 0));
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);
}

/// What SECURITY.md says of a peer on the path: it sees the mux and the number, and the checksum has no key.
#[test]
fn an_end_that_the_path_makes_up_is_taken_for_one() {
    let mut machine = Machine::new();
    let mux = machine.opened(1, 4);
    machine.gets(item(Op::MuxServerMsg, mux, 1, 3));
    assert!(matches!(machine.event(), Event::Item { .. }));
    let mut made_up = Vec::new();
    with_flags(message(Op::MuxServerMsg, mux, 2), Flags::EOF | Flags::CRC).encode(&mut made_up);
    machine.gets(Message::decode(made_up.into()).expect("a checksum that is right"));
    let end = machine.event();
    assert!(
        matches!(end, Event::Ended { mux: ended, outcome: Ok(()) } if ended == mux),
        "{end:?}"
    );
}
