//! Pings, pongs and silence, of the link and of streams (protocol section 8).

use grid_proto::{
    MuxId,
    conn::{CallError, CancelReason, CloseReason, Event},
    wire::{Flags, Message, Op, Ping, Pong, Text, Timestamp, stream_text},
};

use crate::tools::{Machine, call, item, message, millis, secs};

fn pong(mux: MuxId, not_found: bool, error: Option<&str>) -> Message {
    let pong = Pong {
        not_found,
        error: error.map(Into::into),
        time: Timestamp::ZERO,
    };
    let mut payload = Vec::new();
    pong.encode(&mut payload);
    Message {
        payload: payload.into(),
        ..message(Op::Pong, mux, 1)
    }
}

#[test]
fn the_link_is_pinged_every_period_with_the_wall_clock() {
    let mut machine = Machine::with(|config| {
        config.wall_clock = Timestamp::from_unix_nanos(1_700_000_000_000_000_000);
    });
    assert_eq!(machine.conn.poll_timeout(), Some(machine.now + secs(10)));
    machine.pass(secs(10) - millis(1));
    assert_eq!(machine.sends(), []);
    machine.pass(millis(1));
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].mux),
        (1, Op::Ping, MuxId::CONNECTION)
    );
    assert_eq!(
        (sent[0].flags, sent[0].deadline_ms),
        (Flags::empty(), 10_000)
    );
    let ping = Ping::decode(&sent[0].payload).expect("a ping");
    assert_eq!(
        ping.time,
        Timestamp::from_unix_nanos(1_700_000_010_000_000_000)
    );
    assert_eq!(machine.conn.round_trip(), None);
    machine.pass(millis(50));
    machine.gets(pong(MuxId::CONNECTION, false, None));
    assert_eq!(machine.conn.round_trip(), Some(millis(50)));
}

#[test]
fn the_link_is_lost_after_exactly_two_periods_without_a_byte() {
    let mut machine = Machine::new();
    let mux = machine.request();
    machine.pass(secs(3));
    machine.conn.handle_alive(machine.now);
    machine.pass(secs(20) - millis(1));
    assert_eq!(machine.conn.close_reason(), None);
    machine.pass(millis(1));
    assert_eq!(
        machine.conn.close_reason(),
        Some(&CloseReason::PeerSilent(secs(20)))
    );
    match machine.event() {
        Event::Answered {
            mux: got,
            outcome: Err(CallError::Closed),
            ..
        } => assert_eq!(got, mux),
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.conn.poll_timeout(), None);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let mut machine = Machine::new();
    for _ in 0..30 {
        machine.pass(secs(19));
        machine.gets(message(Op::Response, MuxId::new(1), 0));
    }
    assert_eq!(machine.conn.close_reason(), None);
}

#[test]
fn only_streams_of_more_than_a_period_are_pinged() {
    for (deadline, pinged) in [
        (None, true),
        (Some(secs(15)), false),
        (Some(secs(15) + millis(1)), true),
        (Some(secs(5)), false),
    ] {
        let mut machine = Machine::new();
        let mux = machine.open(0, 1, deadline);
        machine.sends();
        machine.gets(message(Op::AckMux, mux, 0));
        machine.pass_alive(secs(15));
        let pings: Vec<_> = machine
            .sends()
            .into_iter()
            .filter(|sent| sent.mux == mux)
            .collect();
        let pings: Vec<_> = pings.iter().filter(|sent| sent.op == Op::Ping).collect();
        assert_eq!(pings.len(), usize::from(pinged), "{deadline:?}");
        if let Some(ping) = pings.first() {
            assert_eq!(
                (ping.seq, ping.flags, ping.payload.len()),
                (1, Flags::CRC, 0)
            );
        }
    }
}

#[test]
fn a_stream_without_a_pong_fails_after_two_periods() {
    let mut machine = Machine::new();
    machine.opened(0, 1);
    let sent = machine.pass_answered(secs(30) - millis(1));
    machine.no_event();
    assert_eq!((sent.len(), sent[0].op, sent[0].seq), (1, Op::Ping, 1));
    machine.pass(millis(1));
    assert!(matches!(
        machine.event(),
        Event::Ended {
            outcome: Err(CallError::NoPong),
            ..
        }
    ));
    assert!(machine.sent_ops().contains(&Op::DisconnectServerMux));
}

#[test]
fn pongs_and_items_keep_a_stream_alive() {
    for items in [false, true] {
        let mut machine = Machine::new();
        let mux = machine.opened(0, 4);
        for seq in 1..=4 {
            machine.pass_alive(secs(29));
            machine.gets(if items {
                item(Op::MuxServerMsg, mux, seq, 1)
            } else {
                pong(mux, false, None)
            });
        }
        assert_eq!(machine.conn.open_streams(), 1, "items: {items}");
    }
}

#[test]
fn what_has_not_left_is_not_missed() {
    let mut machine = Machine::new();
    let mux = machine.open(0, 1, None);
    machine.pass_alive(secs(100));
    machine.no_event();
    let sent = machine.sends();
    let sent: Vec<_> = sent
        .iter()
        .filter(|sent| sent.mux == mux)
        .map(|sent| sent.op)
        .collect();
    assert_eq!(sent, [Op::ConnectMux]);
    machine.pass_answered(secs(30) - millis(1));
    machine.no_event();
    machine.pass_alive(millis(1));
    assert!(matches!(
        machine.event(),
        Event::Ended {
            outcome: Err(CallError::NoPong),
            ..
        }
    ));
}

#[test]
fn a_pong_that_says_so_ends_the_call() {
    for (not_found, error) in [(true, None), (false, Some("why"))] {
        let mut machine = Machine::new();
        let mux = machine.opened(0, 1);
        let pong = pong(mux, not_found, error);
        let buffer = pong.payload.as_ptr_range();
        machine.gets(pong.clone());
        match machine.event() {
            Event::Ended {
                outcome: Err(CallError::Terminated { text }),
                ..
            } => {
                let pinned = |text: &Text| buffer.contains(&text.as_bytes().as_ptr());
                assert!(!text.as_ref().is_some_and(pinned), "it pins its message");
                assert_eq!(text.map(|text| text.to_string()).as_deref(), error);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    }
    // One that can't be read is a pong all the same.
    let mut machine = Machine::new();
    let mux = machine.opened(0, 1);
    machine.gets(message(Op::Pong, mux, 9));
    machine.no_event();
}

#[test]
fn the_ping_of_a_stream_comes_back_as_it_was() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(4);
    let mut ping = message(Op::Ping, stream.mux(), 1);
    (ping.deadline_ms, ping.handler) = (17, crate::tools::HANDLER);
    machine.gets(ping.clone());
    let sent = machine.sends();
    assert_eq!(
        sent,
        [Message {
            op: Op::Pong,
            payload: sent[0].payload.clone(),
            ..ping
        }]
    );
    let pong = Pong::decode(&sent[0].payload).expect("a pong");
    assert!(!pong.not_found && pong.error.is_none() && pong.time.is_zero());
    // It counts: the next number is 2.
    machine.gets(item(Op::MuxClientMsg, stream.mux(), 2, 1));
    assert!(matches!(machine.event(), Event::Received { .. }));
}

#[test]
fn a_ping_with_a_wrong_number_ends_the_stream_and_is_answered_with_why() {
    let mut machine = Machine::new();
    let stream = machine.serves_stream(4);
    machine.gets(message(Op::Ping, stream.mux(), 6));
    let text = stream_text::sequence_mismatch(1, 6);
    assert!(matches!(
        machine.event(),
        Event::Cancelled {
            why: CancelReason::Protocol(_),
            ..
        }
    ));
    let sent = machine.sends();
    let pong = sent
        .iter()
        .find(|sent| sent.op == Op::Pong)
        .expect("a pong");
    let pong = Pong::decode(&pong.payload).expect("a pong");
    assert_eq!(pong.error.map(|why| why.to_string()), Some(text));
    assert_eq!(sent.len(), 3);
}

#[test]
fn a_handler_is_cancelled_after_four_periods_without_a_ping() {
    for (deadline_ms, watched) in [(0, true), (60_000, false), (60_001, true), (600_000, true)] {
        let mut machine = Machine::new();
        let mut open = call(Op::ConnectMux, 1);
        open.deadline_ms = deadline_ms;
        machine.gets(open);
        machine.events();
        machine.pass_answered(secs(30));
        if watched {
            machine.gets(message(Op::Ping, MuxId::new(1), 1));
        }
        let rest = if watched { secs(60) } else { secs(30) };
        let mut sent = machine.pass_answered(rest - millis(1));
        if deadline_ms != 60_001 {
            machine.no_event();
            sent.extend(machine.pass_answered(millis(1)));
        }
        let why = match machine.event() {
            Event::Cancelled { why, .. } => why,
            other => panic!("{other:?}"),
        };
        let expected = match deadline_ms {
            60_000 | 60_001 => CancelReason::Deadline,
            _ => CancelReason::NoPing,
        };
        assert_eq!(why, expected, "{deadline_ms}");
        let mut ops = sent.iter().map(|sent| sent.op).chain(machine.sent_ops());
        assert!(ops.any(|op| op == Op::DisconnectClientMux));
    }
}

#[test]
fn a_process_that_slept_sends_one_ping() {
    let mut machine = Machine::new();
    machine.now += secs(95);
    machine.conn.handle_alive(machine.now);
    machine.conn.handle_timeout(machine.now);
    assert_eq!(machine.sent_ops(), [Op::Ping]);
    assert_eq!(machine.conn.poll_timeout(), Some(machine.now + secs(10)));
}

#[test]
fn a_process_that_slept_hears_its_peer_before_it_judges() {
    let mut machine = Machine::new();
    machine.now += secs(95);
    machine.conn.handle_timeout(machine.now);
    assert_eq!(machine.conn.close_reason(), None);
    assert_eq!(machine.sent_ops(), [Op::Ping]);
    // A peer that is dead is found a period later, and being late again excuses nothing.
    machine.now += secs(30);
    machine.conn.handle_timeout(machine.now);
    assert!(matches!(
        machine.conn.close_reason(),
        Some(CloseReason::PeerSilent(_))
    ));

    let mut machine = Machine::new();
    machine.now += secs(95);
    machine.conn.handle_timeout(machine.now);
    machine.pass(secs(10) - millis(1));
    assert_eq!(machine.conn.close_reason(), None);
    machine.pass(millis(1));
    assert!(machine.conn.close_reason().is_some());

    // One that was heard between two sleeps is heard after each.
    let mut machine = Machine::new();
    for _ in 0..2 {
        machine.now += secs(95);
        machine.conn.handle_timeout(machine.now);
        assert_eq!(machine.conn.close_reason(), None);
        machine.conn.handle_alive(machine.now);
    }
}

#[test]
fn streams_outlive_a_sleep_of_the_process_as_well() {
    let mut machine = Machine::new();
    let (ours, theirs) = (machine.opened(0, 1), machine.serves_stream(4));
    machine.now += secs(95);
    machine.conn.handle_timeout(machine.now);
    machine.no_event();
    // Who stays silent is given up a period later.
    machine.pass_answered(secs(15) - millis(1));
    machine.no_event();
    machine.pass_alive(millis(1));
    let events = machine.events();
    assert!(
        matches!(&events[..], [
            Event::Ended { mux, outcome: Err(CallError::NoPong) },
            Event::Cancelled { stream, why: CancelReason::NoPing },
        ] if *mux == ours && *stream == theirs),
        "{events:?}"
    );
}

#[test]
fn deadlines_pass_while_the_process_sleeps() {
    let mut machine = Machine::new();
    machine.request();
    machine.open(0, 1, Some(secs(70)));
    machine.now += secs(95);
    machine.conn.handle_timeout(machine.now);
    assert_eq!(machine.events().len(), 2);
}

#[test]
fn times_out_of_range_are_the_nearest_that_work() {
    use std::time::Duration;
    for (time, sent) in [(Duration::ZERO, 1), (Duration::MAX, u32::MAX)] {
        let mut machine = Machine::with(|config| {
            config.ping_interval = time;
            config.stream_ping_interval = time;
            config.default_deadline = time;
            config.first_mux = MuxId::CONNECTION;
        });
        machine.serves_stream(1);
        assert_eq!(machine.request(), MuxId::new(1));
        machine.open(0, 1, None);
        let request = machine.sends().swap_remove(0);
        assert_eq!((request.op, request.deadline_ms), (Op::Request, sent));
        machine.pass(Duration::from_millis(sent.into()));
        assert_eq!(machine.conn.open_requests(), 0);
    }
}
