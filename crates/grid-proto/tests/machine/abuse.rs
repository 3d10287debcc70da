//! Messages for muxes that are not open, and what no honest peer sends in number.

use grid_proto::{
    MuxId, Payload,
    conn::{CloseReason, Event},
    wire::{Flags, Op, Ping, Pong, Timestamp},
};

use crate::tools::{Machine, call, item, message, secs, with_flags};

pub(crate) const NEVER: MuxId = MuxId::new(77);

pub(crate) fn strict() -> Machine {
    Machine::with(|config| (config.max_abuse, config.max_leftovers) = (5, 0))
}

pub(crate) fn is_closed(machine: &Machine) -> bool {
    matches!(machine.conn.close_reason(), Some(CloseReason::Abuse(_)))
}

#[test]
fn senseless_messages_up_to_the_limit_in_each_period() {
    let ops = [
        Op::Unknown(0),
        Op::Unknown(18),
        Op::Connect,
        Op::ConnectResponse,
        Op::Disconnect,
        Op::Merged,
    ];
    for op in ops {
        let mut machine = strict();
        for _ in 0..5 {
            machine.gets(message(op, NEVER, 0));
        }
        assert!(!is_closed(&machine), "{op}");
        machine.pass(secs(10));
        for _ in 0..5 {
            machine.gets(message(op, NEVER, 0));
        }
        assert!(!is_closed(&machine), "{op}: a new period begins from none");
        assert_eq!(machine.conn.counters().ignored, 10);
        machine.gets(message(op, NEVER, 0));
        assert!(is_closed(&machine), "{op}");
    }
}

#[test]
fn h13_many_pings_are_one_pong_and_then_abuse() {
    let mut machine = strict();
    for seconds in 1..=5 {
        let ping = Ping {
            time: Timestamp::from_unix_nanos(seconds * 1_000_000_000),
        };
        let mut payload = Vec::new();
        ping.encode(&mut payload);
        let mut message = message(Op::Ping, MuxId::CONNECTION, 0);
        (message.flags, message.payload, message.deadline_ms) =
            (Flags::empty(), payload.into(), 10_000);
        machine.gets(message);
    }
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].deadline_ms),
        (1, Op::Pong, 10_000)
    );
    let pong = Pong::decode(&sent[0].payload).expect("a pong");
    assert_eq!(
        pong.time,
        Timestamp::from_unix_nanos(5_000_000_000),
        "the newest"
    );
    assert_eq!(sent[0].flags, Flags::CRC);
    machine.gets(message(Op::Ping, MuxId::CONNECTION, 0));
    assert!(is_closed(&machine) && !machine.conn.wants_transmit());
}

#[test]
fn frames_without_a_message_count_with_what_means_nothing() {
    for frames in 3..=5 {
        let mut machine = strict();
        machine.gets(message(Op::Unknown(99), MuxId::CONNECTION, 0));
        let now = machine.now;
        machine.conn.handle_noise(now, frames - 1);
        machine.conn.handle_noise(now, 1);
        assert_eq!(is_closed(&machine), frames > 4, "{frames} and one more");
    }
    // However many at once, and with a limit as large as they get.
    let mut machine = Machine::with(|config| config.max_abuse = u32::MAX);
    for _ in 0..3 {
        let now = machine.now;
        machine.conn.handle_noise(now, u32::MAX);
    }
    assert!(!is_closed(&machine));
}

#[test]
fn h13_items_for_a_stream_that_never_was_are_answered_once_and_all_count() {
    let mut machine = strict();
    machine.gets(item(Op::MuxClientMsg, NEVER, 1, 3));
    machine.gets(with_flags(message(Op::MuxClientMsg, NEVER, 2), Flags::EOF));
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].mux, sent[0].seq),
        (1, Op::DisconnectClientMux, NEVER, 0)
    );
    assert!(sent[0].payload.is_empty() && sent[0].flags == Flags::CRC);
    for seq in 3..=5 {
        machine.gets(item(Op::MuxClientMsg, NEVER, seq, 3));
    }
    assert!(!is_closed(&machine));
    machine.gets(item(Op::MuxClientMsg, NEVER, 6, 3));
    assert!(is_closed(&machine));
    assert!(
        !machine.conn.wants_transmit(),
        "nothing is left of a closed connection"
    );
}

#[test]
fn credit_for_a_stream_that_never_was_is_not_answered_and_spoils_no_answer() {
    let mut machine = strict();
    machine.gets(message(Op::UnblockSrvMux, NEVER, 1));
    assert_eq!(machine.sends(), []);
    machine.gets(item(Op::MuxClientMsg, NEVER, 2, 3));
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
    assert_eq!(machine.conn.counters().unknown_mux, 2);
}

#[test]
fn pings_of_streams_that_were_held_up_together_are_no_abuse() {
    let mut machine = strict();
    let streams: Vec<_> = (1..=20).map(|mux| machine.serves_stream(mux)).collect();
    machine.pass_answered(secs(16));
    for seq in 1..=2 {
        for stream in &streams {
            machine.gets(message(Op::Ping, stream.mux(), seq));
        }
    }
    assert_eq!(machine.conn.close_reason(), None);
}

#[test]
fn h13_many_pings_of_a_stream_are_abuse_and_one_a_second_is_not() {
    let mut machine = strict();
    let stream = machine.serves_stream(3);
    let mut seq = 0;
    let mut ping = || {
        seq += 1;
        message(Op::Ping, stream.mux(), seq)
    };
    for _ in 0..30 {
        machine.pass_answered(secs(1));
        machine.gets(ping());
    }
    // Two may have become due while nothing came, and one more.
    for _ in 0..3 + 5 {
        machine.gets(ping());
    }
    assert_eq!(machine.conn.close_reason(), None);
    machine.gets(ping());
    assert!(is_closed(&machine));
}

/// What is let in after a silence is not let in time and again.
#[test]
fn h13_a_few_pings_of_a_stream_together_in_each_second_are_abuse() {
    let mut machine = strict();
    let stream = machine.serves_stream(3);
    for seq in 0..4 * 5 {
        if seq % 4 == 0 {
            machine.pass_answered(secs(1));
        }
        machine.gets(message(Op::Ping, stream.mux(), seq + 1));
    }
    assert!(is_closed(&machine));
}

#[test]
fn h13_a_stream_that_is_opened_again_and_again_is_abuse() {
    let mut machine = strict();
    machine.serves_stream(3);
    for _ in 0..5 {
        machine.gets(call(Op::ConnectMux, 3));
    }
    assert_eq!(machine.conn.close_reason(), None);
    machine.gets(call(Op::ConnectMux, 3));
    assert!(is_closed(&machine));
}

#[test]
fn what_answers_a_call_that_never_was_is_told_to_stop_once() {
    for op in [Op::MuxServerMsg, Op::AckMux, Op::Pong] {
        let mut machine = strict();
        machine.gets(message(op, NEVER, 0));
        machine.gets(message(op, NEVER, 1));
        let sent = machine.sends();
        assert_eq!(
            (sent.len(), sent[0].op, sent[0].mux),
            (1, Op::DisconnectServerMux, NEVER),
            "{op}"
        );
        machine.gets(with_flags(message(op, MuxId::new(78), 0), Flags::EOF));
        assert_eq!(machine.sends(), [], "{op} with EOF");
        for seq in 0..3 {
            machine.gets(message(op, NEVER, seq));
        }
        assert!(is_closed(&machine), "{op}");
    }
}

#[test]
fn h13_all_else_is_dropped_in_silence_and_counts() {
    let ops = [
        Op::Response,
        Op::DisconnectClientMux,
        Op::DisconnectServerMux,
        Op::MuxConnectError,
        Op::UnblockClMux,
    ];
    for op in ops {
        let mut machine = strict();
        for _ in 0..5 {
            machine.gets(with_flags(message(op, NEVER, 0), Flags::EOF));
        }
        machine.no_event();
        let sent = machine.sends().len();
        assert_eq!((sent, machine.conn.close_reason()), (0, None), "{op}");
        assert_eq!(machine.conn.counters().unknown_mux, 5);
        machine.gets(message(op, NEVER, 0));
        assert!(is_closed(&machine), "{op}");
    }
}

#[test]
fn a_ping_for_a_stream_that_is_not_there_is_answered_not_found() {
    let mut machine = Machine::new();
    machine.gets(message(Op::Ping, NEVER, 9));
    let sent = machine.sends();
    assert_eq!(
        (sent.len(), sent[0].op, sent[0].mux, sent[0].seq),
        (1, Op::Pong, NEVER, 9)
    );
    let pong = Pong::decode(&sent[0].payload).expect("a pong");
    assert!(pong.not_found && pong.error.is_none() && pong.time == Timestamp::ZERO);
}

#[test]
fn a_number_is_known_again_once_it_is_opened() {
    let mut machine = strict();
    machine.gets(item(Op::MuxClientMsg, NEVER, 1, 3));
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
    let stream = machine.serves_stream(NEVER.get());
    machine.gets(item(Op::MuxClientMsg, NEVER, 1, 3));
    match machine.event() {
        Event::Received { payload, .. } => assert_eq!(payload, Payload::from("iii")),
        other => panic!("{other:?}"),
    }
    machine.conn.serve_finish(stream, Ok(()));
    machine.sends();
    machine.gets(item(Op::MuxClientMsg, NEVER, 2, 3));
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
}
