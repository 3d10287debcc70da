//! What is refused at a limit, one below it and one above it.

use std::sync::Arc;

use grid_proto::{
    Payload,
    conn::{
        Budget, CallError, CancelReason, Capacity, CloseReason, Event, ITEM_COST, NewRequest,
        NewStream, RespondError, SendError, SubmitError,
    },
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op},
};

use crate::tools::{HANDLER, Machine, call, item, millis, with_flags};

fn rejection(message: &Message) -> MuxRejection {
    assert_eq!(message.op, Op::MuxConnectError);
    let refused = MuxConnectError::decode(&message.payload).expect("a MuxConnectError");
    MuxRejection::from_text(refused.error.as_bytes())
}

#[test]
fn requests_of_the_peer_up_to_the_limit() {
    let mut machine = Machine::with(|config| config.max_requests = 3);
    let tickets: Vec<_> = (1..=3).map(|mux| machine.serves_request(mux)).collect();
    assert_eq!(machine.conn.serving_requests(), 3);
    machine.gets(call(Op::Request, 4));
    machine.no_event();
    let refusals = machine.sends();
    assert_eq!(
        (refusals.len(), rejection(&refusals[0])),
        (1, MuxRejection::Overloaded)
    );
    assert_eq!(machine.conn.counters().refused, 1);
    machine
        .conn
        .respond(tickets[0], Ok(Payload::Absent))
        .expect("room");
    machine.serves_request(5);
}

#[test]
fn streams_of_the_peer_up_to_the_limit() {
    let mut machine = Machine::with(|config| config.max_streams = 3);
    let streams: Vec<_> = (1..=3).map(|mux| machine.serves_stream(mux)).collect();
    machine.gets(call(Op::ConnectMux, 4));
    machine.no_event();
    assert_eq!(rejection(&machine.sends()[0]), MuxRejection::Overloaded);
    // A place is free when the end has left, and not before.
    machine.conn.serve_finish(streams[1], Ok(()));
    assert_eq!(machine.conn.serving_streams(), 3);
    assert_eq!(
        machine.sent_ops(),
        [Op::MuxServerMsg, Op::DisconnectClientMux]
    );
    machine.serves_stream(5);
}

#[test]
fn calls_of_ours_up_to_the_limit() {
    let mut machine = Machine::with(|config| {
        config.max_requests = 2;
        config.max_streams = 2;
    });
    let request = machine.request();
    machine.request();
    let stream = machine.open(0, 1, None);
    machine.open(0, 1, None);
    let new = NewRequest::new(HANDLER, Payload::Absent);
    let many = SubmitError::TooManyOpen { limit: 2 };
    assert_eq!(machine.conn.request(machine.now, new), Err(many.clone()));
    let new = NewStream::new(HANDLER, Capacity::new(0, 1), Payload::Absent);
    assert_eq!(machine.conn.open(machine.now, new), Err(many));
    machine.conn.cancel(request);
    machine.conn.cancel(stream);
    machine.request();
    machine.open(0, 1, None);
}

#[test]
fn the_queue_admits_while_it_is_below_its_limit() {
    let node = Budget::new(1 << 20);
    let mut probe = Machine::with(|config| config.queued = Some(Arc::clone(&node)));
    probe.request();
    // What its entry takes counts as well.
    let len = node.used();
    assert!(len > probe.conn.queued_bytes() && len < 512, "{len}");
    for (limit, second) in [(len - 1, false), (len, false), (len + 1, true)] {
        let node = Budget::new(1 << 20);
        let mut machine = Machine::with(|config| {
            config.max_queued_bytes = limit;
            config.queued = Some(Arc::clone(&node));
        });
        machine.request();
        assert_eq!(
            (machine.conn.has_room(), node.used()),
            (second, len),
            "limit {limit}"
        );
        let new = NewRequest::new(HANDLER, Payload::Absent);
        let result = machine.conn.request(machine.now, new);
        assert_eq!(result.is_ok(), second, "limit {limit}: {result:?}");
        machine.sends();
        assert!(machine.conn.has_room());
        assert_eq!((machine.conn.queued_bytes(), node.used()), (0, 0));
    }
}

#[test]
fn everybody_waits_for_room_and_control_does_not() {
    let mut machine = Machine::with(|config| config.max_queued_bytes = 1);
    let stream = machine.opened(4, 4);
    let served = machine.serves_stream(1);
    let ticket = machine.serves_request(2);
    machine.request();
    let payload = || Payload::from("x");
    assert_eq!(
        machine.conn.send(stream, payload()),
        Err(SendError::QueueFull)
    );
    assert_eq!(
        machine.conn.serve_send(served, payload()),
        Err(SendError::QueueFull)
    );
    assert_eq!(
        machine.conn.respond(ticket, Ok(payload())),
        Err(RespondError::QueueFull)
    );
    machine.conn.finish(stream);
    machine.conn.serve_finish(served, Ok(()));
    let ops = [
        Op::Request,
        Op::MuxClientMsg,
        Op::MuxServerMsg,
        Op::DisconnectClientMux,
    ];
    assert_eq!(machine.sent_ops(), ops);
    machine
        .conn
        .respond(ticket, Ok(payload()))
        .expect("the ticket is still good");
    assert_eq!(machine.sent_ops(), [Op::Response]);
    // No credit was spent on what was not sent.
    let mut machine = Machine::with(|config| config.max_queued_bytes = 1);
    let stream = machine.opened(1, 1);
    machine.request();
    assert_eq!(
        machine.conn.send(stream, payload()),
        Err(SendError::QueueFull)
    );
    machine.sends();
    assert_eq!(machine.conn.send(stream, payload()), Ok(()));
}

#[test]
fn a_peer_that_does_not_read_its_refusals_loses_the_connection() {
    let mut probe = Machine::new();
    let mut unknown = call(Op::Request, 1);
    unknown.handler = crate::tools::NOBODY;
    probe.gets(unknown.clone());
    let len = probe.conn.queued_bytes();
    let mut machine = Machine::with(|config| config.max_control_bytes = 3 * len);
    for _ in 0..3 {
        machine.gets(unknown.clone());
    }
    assert_eq!(
        (machine.conn.close_reason(), machine.conn.queued_bytes()),
        (None, 3 * len)
    );
    machine.sends();
    // A little more is a writer that has not had its turn, but not for a second.
    for _ in 0..4 {
        machine.gets(unknown.clone());
    }
    machine.pass(millis(999));
    machine.gets(unknown.clone());
    assert_eq!(machine.conn.close_reason(), None);
    machine.pass(millis(1));
    machine.gets(unknown);
    assert_eq!(
        machine.conn.close_reason(),
        Some(&CloseReason::PeerNotReading)
    );
    assert!(!machine.conn.wants_transmit() && machine.conn.is_idle());
}

#[test]
fn a_peer_that_reads_late_keeps_the_connection() {
    let len = {
        let mut probe = Machine::with(|config| config.max_requests = 0);
        probe.gets(call(Op::Request, 1));
        probe.conn.queued_bytes()
    };
    let mut machine = Machine::with(|config| {
        config.max_requests = 0;
        config.max_control_bytes = 3 * len;
    });
    for _ in 0..5 {
        for _ in 0..12 {
            machine.gets(call(Op::Request, 1));
        }
        machine.pass(millis(900));
        assert_eq!(machine.sends().len(), 12);
    }
    for _ in 0..12 {
        machine.gets(call(Op::Request, 1));
    }
    assert_eq!(machine.conn.close_reason(), None);
    machine.gets(call(Op::Request, 1));
    assert_eq!(
        machine.conn.close_reason(),
        Some(&CloseReason::PeerNotReading),
        "four times the limit is too much at any time"
    );
}

#[test]
fn h04_a_burst_far_above_the_cap_is_refused_call_by_call() {
    let mut machine = Machine::new();
    // Not one of the answers gets a chance to leave before all requests are in.
    for mux in 0..100_000 {
        let mut request = call(Op::Request, (1 << 31) + mux);
        request.deadline_ms = 60_000;
        machine.gets(request);
    }
    assert_eq!(machine.conn.close_reason(), None);
    assert_eq!(machine.conn.serving_requests(), 65_536);
    let refusals = machine.sends();
    assert_eq!(refusals.len(), 100_000 - 65_536);
    assert_eq!(rejection(&refusals[0]), MuxRejection::Overloaded);
}

#[test]
fn above_the_inbound_budget_calls_are_refused() {
    let budget = Budget::new(10);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    let mut large = call(Op::Request, 1);
    large.payload = vec![0; 50].into();
    machine.gets(large.clone());
    let held = machine.event();
    assert_eq!(budget.used(), 50);
    large.op = Op::ConnectMux;
    machine.gets(large);
    machine.gets(call(Op::Request, 3));
    machine.no_event();
    let refusals = machine.sends();
    assert_eq!(refusals.len(), 2);
    assert!(
        refusals
            .iter()
            .all(|refusal| rejection(refusal) == MuxRejection::Overloaded)
    );
    drop(held);
    assert_eq!(budget.used(), 0);
    machine.gets(call(Op::Request, 4));
    assert!(matches!(machine.event(), Event::Request(_)));
}

#[test]
fn what_the_peer_answers_to_calls_of_ours_counts_nowhere() {
    for flags in [Flags::EOF, Flags::EOF | Flags::PAYLOAD_IS_ERR] {
        let budget = Budget::new(1 << 20);
        let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
        let mux = machine.request();
        machine.sends();
        machine.gets(with_flags(item(Op::Response, mux, 0, 5_000), flags));
        assert_eq!(budget.used(), 0);
        assert!(matches!(machine.event(), Event::Answered { .. }));
    }
}

#[test]
fn the_stream_that_holds_most_bytes_makes_room() {
    let budget = Budget::new(10_000);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    let call = machine.opened(4, 4);
    let (small, big) = (machine.serves_stream(1), machine.serves_stream(2));
    machine.gets(item(Op::MuxServerMsg, call, 1, 2_000));
    machine.gets(item(Op::MuxClientMsg, small.mux(), 1, 3_000));
    machine.gets(item(Op::MuxClientMsg, big.mux(), 1, 6_000));
    let held = machine.events();
    assert_eq!((held.len(), budget.used()), (3, 11_000 + 3 * ITEM_COST));
    machine.gets(item(Op::MuxClientMsg, small.mux(), 2, 1));
    let events = machine.events();
    assert!(
        matches!(&events[..], [
            Event::Cancelled { stream, why: CancelReason::Overloaded },
            Event::Received { .. },
        ] if *stream == big),
        "{events:?}"
    );
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].mux),
        (1, Op::DisconnectClientMux, big.mux())
    );
    assert!(sent[0].flags.contains(Flags::PAYLOAD_IS_ERR) && !sent[0].payload.is_empty());
}

#[test]
fn a_call_of_ours_can_be_the_one_that_makes_room() {
    let budget = Budget::new(100);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    let call = machine.opened(4, 4);
    machine.gets(item(Op::MuxServerMsg, call, 1, 150));
    let held = machine.event();
    machine.gets(item(Op::MuxServerMsg, call, 2, 1));
    match machine.event() {
        Event::Ended {
            mux,
            outcome: Err(CallError::Overloaded),
        } if mux == call => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[test]
fn nobody_is_ended_where_that_would_free_nothing() {
    let node = Budget::new(100);
    let mut machine = Machine::with(|config| config.inbound = Budget::child(&node, 1 << 20));
    machine.opened(4, 4);
    machine.serves_stream(1);
    let _elsewhere = node.charge_over(200);
    let mut large = call(Op::Request, 2);
    large.payload = vec![0; 50].into();
    machine.gets(large);
    assert_eq!(rejection(&machine.sends()[0]), MuxRejection::Overloaded);
    machine.no_event();
    assert_eq!(
        (machine.conn.open_streams(), machine.conn.serving_streams()),
        (1, 1)
    );
}

#[test]
fn no_more_streams_are_ended_than_it_takes() {
    let budget = Budget::new(10_000);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    let streams = [1, 2, 3].map(|mux| machine.serves_stream(mux));
    for (stream, bytes) in streams.iter().zip([9_000, 3_000, 2_000]) {
        machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, bytes));
    }
    // The application hears of all this at once; until then nothing can be given back.
    for stream in &streams[1..] {
        machine.gets(item(Op::MuxClientMsg, stream.mux(), 2, 1));
    }
    let held = machine.events();
    let ended: Vec<_> = held
        .iter()
        .filter_map(|event| match event {
            Event::Cancelled { stream, .. } => Some(*stream),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [streams[0]]);
    // Where that has freed nothing the next one has to go.
    let _elsewhere = budget.charge_over(15_000);
    machine.gets(item(Op::MuxClientMsg, streams[2].mux(), 3, 1));
    assert!(matches!(
        &machine.events()[..],
        [
            Event::Cancelled { stream, .. },
            ..
        ] if *stream == streams[1]
    ));
}

#[test]
fn who_has_taken_what_came_is_not_the_one_that_makes_room() {
    let budget = Budget::new(10_000);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    machine.capacity = Capacity::new(100, 1);
    let [reads, stuck] = [1, 2].map(|mux| machine.serves_stream(mux));
    // It takes all of them, and its credit is returned later.
    for seq in 1..=24 {
        machine.gets(item(Op::MuxClientMsg, reads.mux(), seq, 200));
    }
    assert_eq!(machine.events().len(), 24);
    machine.gets(item(Op::MuxClientMsg, stuck.mux(), 1, 6_000));
    let _held = machine.events();
    let _elsewhere = budget.charge_over(4_000);
    machine.gets(item(Op::MuxClientMsg, reads.mux(), 25, 1));
    let events = machine.events();
    assert!(
        matches!(&events[..], [
            Event::Cancelled { stream, why: CancelReason::Overloaded },
            Event::Received { .. },
        ] if *stream == stuck),
        "{events:?}"
    );
}
