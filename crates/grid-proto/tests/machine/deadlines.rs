//! Deadlines: what is sent of them, who notices them, and that nothing of them stays.

use grid_proto::{
    Payload,
    conn::{
        CallError, CancelReason, Capacity, Event, NewRequest, NewStream, RespondError, SubmitError,
    },
    wire::{Flags, Op},
};

use crate::tools::{HANDLER, Machine, call, message, millis, secs, with_flags};

fn request_within(machine: &mut Machine, micros: u64) -> Result<grid_proto::MuxId, SubmitError> {
    let mut new = NewRequest::new(HANDLER, Payload::Absent);
    new.deadline = Some(machine.now + std::time::Duration::from_micros(micros));
    machine.conn.request(machine.now, new)
}

#[test]
fn c04_sixty_seconds_where_none_is_set() {
    let mut machine = Machine::new();
    machine.request();
    machine.pass(millis(700));
    let sent = machine.sends();
    assert_eq!(
        (sent[0].deadline_ms, sent[0].seq),
        (60_000, 0),
        "as it is, however long it waited"
    );
    machine.pass_alive(secs(60) - millis(701));
    machine.no_event();
    machine.pass_alive(millis(1));
    assert!(matches!(
        machine.event(),
        Event::Answered {
            outcome: Err(CallError::Deadline),
            ..
        }
    ));
    assert_eq!(
        machine
            .sent_ops()
            .iter()
            .filter(|op| **op != Op::Ping)
            .count(),
        0
    );
}

#[test]
fn whole_milliseconds_that_are_left_when_it_leaves() {
    let mut machine = Machine::new();
    request_within(&mut machine, 50_999).expect("in time");
    let mut new = NewStream::new(HANDLER, Capacity::new(0, 1), Payload::Absent);
    new.deadline = Some(machine.now + millis(40));
    machine.conn.open(machine.now, new).expect("in time");
    machine.now += millis(10);
    let sent: Vec<_> = machine
        .sends()
        .iter()
        .map(|sent| (sent.op, sent.deadline_ms))
        .collect();
    assert_eq!(sent, [(Op::Request, 40), (Op::ConnectMux, 30)]);
}

#[test]
fn less_than_a_millisecond_fails_at_once() {
    let mut machine = Machine::new();
    assert_eq!(
        request_within(&mut machine, 999),
        Err(SubmitError::DeadlinePassed)
    );
    assert!(request_within(&mut machine, 1_000).is_ok());
    let mut new = NewStream::new(HANDLER, Capacity::new(0, 1), Payload::Absent);
    new.deadline = Some(machine.now);
    assert_eq!(
        machine.conn.open(machine.now, new),
        Err(SubmitError::DeadlinePassed)
    );
}

#[test]
fn a_call_whose_deadline_passes_in_the_queue_never_leaves() {
    let mut machine = Machine::new();
    request_within(&mut machine, 5_000).expect("in time");
    let stream = machine.open(1, 1, Some(millis(5)));
    machine.conn.finish(stream);
    machine.now += millis(5) - std::time::Duration::from_micros(1);
    assert_eq!(machine.sends(), []);
    machine.pass(millis(1));
    let events = machine.events();
    assert!(
        matches!(
            &events[..],
            [
                Event::Answered {
                    outcome: Err(CallError::Deadline),
                    ..
                },
                Event::Ended {
                    outcome: Err(CallError::Deadline),
                    ..
                },
            ]
        ),
        "{events:?}"
    );
    assert_eq!(machine.sends(), [], "the remote never heard of them");
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);
}

#[test]
fn a_stream_ends_at_its_deadline_and_the_remote_is_told() {
    let mut machine = Machine::new();
    let mux = machine.open(0, 1, Some(millis(50)));
    machine.sends();
    machine.pass(millis(50) - std::time::Duration::from_micros(1));
    machine.no_event();
    machine.pass(millis(1));
    assert!(matches!(
        machine.event(),
        Event::Ended {
            outcome: Err(CallError::Deadline),
            ..
        }
    ));
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].mux),
        (1, Op::DisconnectServerMux, mux)
    );
}

#[test]
fn c18_a_plain_disconnect_near_the_deadline_is_the_deadline() {
    for (left, round_trip, deadline) in [
        (5, 0, true),
        (6, 0, false),
        (100, 50, true),
        (101, 50, false),
    ] {
        let mut machine = Machine::new();
        machine.pass(secs(10));
        machine.sends();
        machine.now += millis(round_trip);
        machine.gets(message(Op::Pong, grid_proto::MuxId::CONNECTION, 0));
        let stream = machine.open(0, 1, Some(secs(1)));
        let request = request_within(&mut machine, 1_000_000).expect("in time");
        machine.sends();
        machine.pass(secs(1) - millis(left));
        for mux in [stream, request] {
            machine.gets(message(Op::DisconnectClientMux, mux, 0));
        }
        let error = if deadline {
            CallError::Deadline
        } else {
            CallError::RemoteDisconnected
        };
        let events = machine.events();
        assert!(
            matches!(&events[..], [
                Event::Ended { outcome: Err(one), .. },
                Event::Answered { outcome: Err(two), .. },
            ] if *one == error && *two == error),
            "{left} ms: {events:?}"
        );
    }
    // Text is no sign of the deadline, and no deadline is never near.
    let mut machine = Machine::new();
    let mux = machine.opened(0, 1);
    machine.gets(message(Op::DisconnectClientMux, mux, 0));
    match machine.event() {
        Event::Ended {
            outcome: Err(CallError::RemoteDisconnected),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    let mux = machine.open(0, 1, Some(millis(2)));
    machine.sends();
    let mut text = with_flags(
        message(Op::DisconnectClientMux, mux, 0),
        Flags::PAYLOAD_IS_ERR,
    );
    text.payload = "why".into();
    machine.gets(text);
    match machine.event() {
        Event::Ended {
            outcome: Err(CallError::Remote(why)),
            ..
        } => assert_eq!(why, "why"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn handlers_are_stopped_at_the_deadline_that_was_sent() {
    let mut machine = Machine::new();
    let mut request = call(Op::Request, 1);
    request.deadline_ms = 50;
    let mut open = call(Op::ConnectMux, 2);
    open.deadline_ms = 50;
    machine.gets(request);
    machine.gets(open);
    let ticket = match &machine.events()[..] {
        [Event::Request(request), Event::Opened(stream)] => {
            assert_eq!(request.deadline, Some(machine.now + millis(50)));
            assert_eq!(stream.deadline, request.deadline);
            request.ticket
        }
        other => panic!("{other:?}"),
    };
    machine.sends();
    machine.pass(millis(50) - std::time::Duration::from_micros(1));
    machine.no_event();
    machine.pass(millis(1));
    let events = machine.events();
    assert!(
        matches!(&events[..], [
            Event::RequestCancelled { ticket: got, why: CancelReason::Deadline },
            Event::Cancelled { why: CancelReason::Deadline, .. },
        ] if *got == ticket),
        "{events:?}"
    );
    assert_eq!(
        machine.sent_ops(),
        [Op::DisconnectClientMux],
        "nobody waits for the answer"
    );
    assert_eq!(
        machine.conn.serving_requests(),
        1,
        "it counts until its handler ends"
    );
    assert_eq!(
        machine.conn.respond(ticket, Ok(Payload::Absent)),
        Err(RespondError::Gone)
    );
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);
}

#[test]
fn c20_a_hundred_thousand_calls_leave_nothing() {
    let mut machine = Machine::new();
    for round in 0..100_000_u64 {
        let mux = machine.request();
        machine.sends();
        machine.gets(with_flags(message(Op::Response, mux, 0), Flags::EOF));
        let stream = machine.open(0, 1, (round % 2 == 0).then_some(secs(9)));
        machine.sends();
        machine.gets(with_flags(message(Op::MuxServerMsg, stream, 0), Flags::EOF));
        assert_eq!(machine.events().len(), 2);
        let ticket = machine.serves_request(round);
        machine
            .conn
            .respond(ticket, Ok(Payload::Absent))
            .expect("room");
        machine.sends();
        assert_eq!(machine.conn.timers(), 0);
    }
    assert!(machine.conn.is_idle());
    assert_eq!(machine.conn.counters().messages_out, 300_000);
}
