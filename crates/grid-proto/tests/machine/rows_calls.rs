//! Rows C02 to C24 of `docs/scenarios.md` that a machine alone can show.

use grid_proto::{
    MuxId, Payload, SubrouteId,
    conn::{CallError, CancelReason, Capacity, CloseReason, Event, SendError, ServeId},
    wire::{Flags, Message, Op, stream_text},
};

use crate::tools::{HANDLER, Machine, NOBODY, call, item, message, with_flags};

/// A call through a subroute.
fn routed(op: Op, mux: u64) -> Message {
    let mut call = call(op, mux);
    call.subroute = Some(SubrouteId::new(HANDLER, "disk1"));
    call.flags |= Flags::SUBROUTE;
    call
}

#[test]
fn c02_no_answer_carries_the_subroute_flag() {
    let mut machine = Machine::new();
    for mux in 1..=3 {
        machine.gets(routed(Op::Request, mux));
    }
    let mut unknown = [routed(Op::Request, 4), routed(Op::ConnectMux, 5)];
    for call in &mut unknown {
        call.handler = NOBODY;
    }
    unknown.into_iter().for_each(|call| machine.gets(call));
    machine.gets(with_flags(routed(Op::ConnectMux, 6), Flags::STATELESS));
    machine.gets(routed(Op::ConnectMux, 7));
    machine.gets(routed(Op::ConnectMux, 8));
    let mut answers = vec![Ok(Payload::from("fine")), Err("no luck".into())].into_iter();
    for event in machine.events() {
        match event {
            Event::Request(request) => {
                assert_eq!(request.subroute, Some(SubrouteId::new(HANDLER, "disk1")));
                match answers.next() {
                    Some(answer) => machine.conn.respond(request.ticket, answer).expect("room"),
                    None => {
                        let why = grid_proto::wire::MuxRejection::Overloaded;
                        machine.conn.refuse(request.ticket, why);
                    }
                }
            }
            Event::Opened(open) if open.stream.mux() == MuxId::new(7) => {
                machine
                    .conn
                    .serve_send(open.stream, Payload::from("x"))
                    .expect("credit");
                machine.conn.serve_finish(open.stream, Err("broken".into()));
            }
            Event::Opened(open) => assert_eq!(open.stream.mux(), MuxId::new(8)),
            other => panic!("{other:?}"),
        }
    }
    let mut ping = message(Op::Ping, MuxId::new(8), 1);
    (ping.subroute, ping.flags) = (routed(Op::Ping, 8).subroute, Flags::SUBROUTE);
    machine.gets(ping);
    let sent = machine.sends();
    let count = |op| sent.iter().filter(|sent| sent.op == op).count();
    let counts = [
        Op::Response,
        Op::MuxConnectError,
        Op::AckMux,
        Op::MuxServerMsg,
    ]
    .map(count);
    assert_eq!(counts, [2, 4, 2, 2]);
    assert_eq!(count(Op::Pong) + count(Op::DisconnectClientMux), 2);
    for sent in sent {
        assert!(!sent.flags.contains(Flags::SUBROUTE), "{sent:?}");
        assert_eq!(sent.subroute, None, "{sent:?}");
    }
}

#[test]
fn c08_all_items_come_before_the_error() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(0, 50);
    let stream = machine.serves_stream(1);
    for _ in 0..50 {
        let sent = machine.conn.serve_send(stream, Payload::from("x"));
        assert_eq!(sent, Ok(()));
    }
    machine.conn.serve_finish(stream, Err("broken".into()));
    let mut numbers = Vec::new();
    for sent in machine.sends() {
        assert_eq!((sent.op, &sent.payload[..]), (Op::MuxServerMsg, &b"x"[..]));
        numbers.push(sent.seq);
    }
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    machine.gets(message(Op::UnblockSrvMux, stream.mux(), 1));
    let end = &machine.sends()[0];
    assert_eq!((end.seq, &end.payload[..]), (51, &b"broken"[..]));
}

#[test]
fn c11_a_link_lost_after_any_item_is_an_error() {
    const ITEMS: u32 = 30;
    for items in 0..=ITEMS + 1 {
        let mut machine = Machine::new();
        let mux = machine.opened(0, ITEMS);
        for seq in 1..=items.min(ITEMS) {
            machine.gets(item(Op::MuxServerMsg, mux, seq, 1));
        }
        let whole = items > ITEMS;
        if whole {
            let end = message(Op::MuxServerMsg, mux, ITEMS + 1);
            machine.gets(with_flags(end, Flags::EOF));
        }
        machine.conn.close(CloseReason::Lost("cut".into()));
        let mut events = machine.events();
        let Some(Event::Ended { outcome, .. }) = events.pop() else {
            panic!("{events:?}")
        };
        let expected = if whole {
            Ok(())
        } else {
            Err(CallError::Closed)
        };
        assert_eq!(outcome, expected, "after {items} items");
        let got = events
            .iter()
            .filter(|event| matches!(event, Event::Item { .. }))
            .count();
        assert_eq!((got, events.len()), (items.min(ITEMS) as usize, got));
    }
}

/// However much one stream has to send, the next item of another is behind little of it.
#[test]
fn c12_a_small_stream_waits_for_little_of_a_large_one() {
    const MANY: u32 = 100_000;
    let mut machine = Machine::new();
    let small = machine.opened(1, 1);
    machine.capacity = Capacity::new(1, MANY);
    let large = [machine.serves_stream(1), machine.serves_stream(2)];
    let mut queued = [0; 2];
    let block = Payload::from(vec![b'b'; 1024]);
    let fill = |machine: &mut Machine, queued: &mut [u32; 2]| {
        for (stream, queued) in large.iter().zip(queued) {
            while machine.conn.serve_send(*stream, block.clone()).is_ok() {
                *queued += 1;
            }
        }
    };
    fill(&mut machine, &mut queued);
    // Its share of the queue and no more, though there is credit and room for much more.
    assert!(machine.conn.has_room());
    assert!(
        queued.iter().all(|queued| (500..1_500).contains(queued)),
        "{queued:?}"
    );

    machine
        .conn
        .send(small, Payload::from("x"))
        .expect("credit");
    let request = machine.request();
    let (mut out, mut before) = (Vec::new(), [0, 0]);
    machine.conn.poll_transmit(machine.now, &mut out, 1 << 30);
    for (before, mux) in before.iter_mut().zip([small, request]) {
        let items = out.iter().take_while(|sent| sent.mux != mux);
        *before = items.map(Message::encoded_len).sum();
    }
    // What came first of all, and a turn of each of the others.
    assert!(before.iter().all(|bytes| *bytes < 128 << 10), "{before:?}");
    let events = machine.events();
    let woken =
        |event: &&Event| matches!(event, Event::ServeWritable { stream } if large.contains(stream));
    assert_eq!(
        events.iter().filter(woken).count(),
        2,
        "each once: {events:?}"
    );

    // All of it leaves in order.
    loop {
        fill(&mut machine, &mut queued);
        if queued == [MANY; 2] {
            break;
        }
        machine.conn.poll_transmit(machine.now, &mut out, 1 << 30);
        machine.events();
    }
    out.extend(machine.sends());
    for stream in large {
        let numbers: Vec<u32> = out
            .iter()
            .filter(|sent| sent.op == Op::MuxServerMsg && sent.mux == stream.mux())
            .map(|sent| sent.seq)
            .collect();
        assert_eq!(numbers, (1..=MANY).collect::<Vec<_>>());
    }
    assert_eq!(machine.conn.queued_bytes(), 0);
}

#[test]
fn c12_what_waits_in_turns_goes_with_its_stream() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(1, 10_000);
    let streams = [machine.serves_stream(1), machine.serves_stream(2)];
    for stream in streams {
        while machine
            .conn
            .serve_send(stream, Payload::from(vec![b'b'; 1024]))
            .is_ok()
        {}
    }
    let queued = machine.conn.queued_bytes();
    let mux = streams[0].mux();
    machine.gets(message(Op::DisconnectServerMux, mux, 0));
    machine.events();
    let sent = machine.sends();
    let items = |mux| {
        sent.iter()
            .filter(move |sent| sent.mux == mux && sent.op == Op::MuxServerMsg)
    };
    assert_eq!(items(mux).count(), 0);
    let left: usize = items(streams[1].mux()).map(Message::encoded_len).sum();
    // Its share counts what the entries take as well.
    assert!(left < queued && left > 3 << 18);
    let told =
        |event: &Event| matches!(event, Event::ServeWritable { stream } if *stream != streams[1]);
    assert!(!machine.events().iter().any(told), "it has ended");

    while machine
        .conn
        .serve_send(streams[1], Payload::from(vec![b'b'; 1024]))
        .is_ok()
    {}
    machine.conn.close(CloseReason::Local);
    assert_eq!(machine.conn.queued_bytes(), 0);
    assert!(machine.unsent().len() > 800);
    assert_eq!(machine.sends(), []);
}

/// A peer may use a number again while much of the stream before waits.
#[test]
fn c12_a_number_that_is_used_again_has_turns_of_its_own() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(1, 10_000);
    let block = Payload::from(vec![b'b'; 1024]);
    let old = machine.serves_stream(1);
    while machine.conn.serve_send(old, block.clone()).is_ok() {}
    machine.gets(message(Op::DisconnectServerMux, old.mux(), 0));
    machine.events();
    machine.gets(call(Op::ConnectMux, 1));
    let Some(Event::Opened(new)) = machine.events().pop() else {
        panic!("not opened")
    };
    while machine.conn.serve_send(new.stream, block.clone()).is_ok() {}
    let sent = machine.sends();
    let items = sent.iter().filter(|sent| sent.op == Op::MuxServerMsg);
    let numbers: Vec<u32> = items.map(|sent| sent.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
    assert!(numbers.len() > 500);
    let woken =
        |event: &Event| matches!(event, Event::ServeWritable { stream } if *stream == new.stream);
    assert!(
        machine.events().iter().any(woken),
        "or it would wait for ever"
    );
}

fn cancelled_by_its_caller(machine: &mut Machine, stream: ServeId) {
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    match machine.event() {
        Event::Cancelled {
            stream: got,
            why: CancelReason::Caller,
        } => assert_eq!(got, stream),
        other => panic!("{other:?}"),
    }
    machine.sends();
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);
}

#[test]
fn c14_a_cancel_comes_after_the_end_of_input() {
    let mut machine = Machine::new();
    let mux = machine.opened(2, 1);
    machine.conn.send(mux, Payload::from("x")).expect("credit");
    machine.conn.finish(mux);
    assert_eq!(machine.sent_ops(), [Op::MuxClientMsg, Op::MuxClientMsg]);
    machine.conn.cancel(mux);
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    assert!(machine.conn.is_idle() && machine.conn.timers() == 0);

    let stream = machine.serves_stream(1);
    let end = message(Op::MuxClientMsg, stream.mux(), 1);
    machine.gets(with_flags(end, Flags::EOF));
    assert!(matches!(machine.event(), Event::InputEnded { .. }));
    cancelled_by_its_caller(&mut machine, stream);
}

#[test]
fn c15_unread_input_goes_with_a_cancel() {
    let mut machine = Machine::new();
    machine.capacity = Capacity::new(1, 1);
    let stream = machine.serves_stream(1);
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 1, 9));
    // Never consumed, and still nothing is held for it once it was handed out.
    assert!(matches!(machine.event(), Event::Received { .. }));
    cancelled_by_its_caller(&mut machine, stream);
}

#[test]
fn c16_a_stuck_stream_is_gone_at_once_when_it_is_cancelled() {
    let mut machine = Machine::new();
    let mux = machine.opened(0, 1);
    machine.gets(item(Op::MuxServerMsg, mux, 1, 9));
    machine.events();
    assert_eq!(machine.conn.open_streams(), 1);
    machine.conn.cancel(mux);
    assert_eq!((machine.conn.open_streams(), machine.conn.timers()), (0, 0));
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);

    machine.capacity = Capacity::new(0, 1);
    let stream = machine.serves_stream(1);
    let sent = [0; 2].map(|_| machine.conn.serve_send(stream, Payload::from("x")));
    assert_eq!(sent, [Ok(()), Err(SendError::NoCredit)]);
    machine.sends();
    cancelled_by_its_caller(&mut machine, stream);
}

#[test]
fn c24_a_caller_without_input_has_ended_it() {
    for (opened_with, input, ends) in [
        (Flags::EOF, 2, true),
        (Flags::empty(), 2, false),
        // The definitions agree: nobody has to be told.
        (Flags::EOF, 0, false),
    ] {
        let mut machine = Machine::new();
        machine.capacity = Capacity::new(input, 1);
        machine.gets(with_flags(call(Op::ConnectMux, 1), opened_with));
        let events = machine.events();
        let Some(Event::Opened(open)) = events.first() else {
            panic!("{events:?}")
        };
        let ended =
            matches!(events.get(1), Some(Event::InputEnded { stream }) if *stream == open.stream);
        assert_eq!((ended, events.len()), (ends, 1 + usize::from(ends)));
        machine.sends();
        // Whoever sends after all has another definition, and is told.
        if ended {
            machine.gets(item(Op::MuxClientMsg, open.stream.mux(), 1, 1));
            let end = &machine.sends()[0];
            assert!(end.flags.contains(Flags::PAYLOAD_IS_ERR));
            assert_eq!(end.payload, stream_text::UNEXPECTED_INPUT.as_bytes());
        }
    }
}
