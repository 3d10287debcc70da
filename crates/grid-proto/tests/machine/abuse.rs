//! Messages for muxes that are not open, and what no honest peer sends in number.

use grid_proto::{
    MuxId, Payload,
    conn::{CloseReason, Event},
    wire::{Flags, Message, Op, Ping, Pong, Timestamp},
};

use crate::tools::{Machine, NOBODY, call, item, message, secs, with_flags};

const NEVER: MuxId = MuxId::new(77);

fn strict() -> Machine {
    Machine::with(|config| (config.max_abuse, config.max_leftovers) = (5, 0))
}

fn is_closed(machine: &Machine) -> bool {
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

/// Sends so many, of which all but the last five may be late, and sees that one more closes the connection.
fn allows(mut machine: Machine, late: u32, message: impl Fn(u32) -> Message) {
    for seq in 0..late + 5 {
        machine.gets(message(seq));
    }
    assert_eq!(machine.conn.close_reason(), None);
    machine.gets(message(late + 5));
    assert!(is_closed(&machine), "one more than {late} and five");
}

#[test]
fn h13_what_comes_late_for_a_stream_that_was_is_no_abuse_and_more_is() {
    // What its capacities allow, its last item, a ping and a cancel.
    let late = 4 + 4 + 3;
    let ops = [
        Op::MuxClientMsg,
        Op::UnblockSrvMux,
        Op::Ping,
        Op::DisconnectServerMux,
    ];
    for (op, ended) in ops.into_iter().flat_map(|op| [(op, false), (op, true)]) {
        let mut machine = strict();
        let stream = machine.serves_stream(3);
        let mux = match ended {
            // Which of its calls it was is not remembered for each.
            false => NEVER,
            true => stream.mux(),
        };
        machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
        allows(machine, late, |seq| message(op, mux, seq));
    }
    // However many: the caller of one that has ended is told so once.
    let mut machine = strict();
    let stream = machine.serves_stream(3);
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux]);
    for seq in 0..late + 5 {
        machine.gets(item(Op::MuxClientMsg, stream.mux(), seq, 3));
    }
    assert_eq!(machine.sent_ops(), [Op::DisconnectClientMux], "once an id");
}

#[test]
fn h13_answers_of_a_minio_node_to_what_a_stream_had_under_way_are_no_abuse_and_more_are() {
    let mut machine = strict();
    let stream = machine.serves_stream(3);
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    // To its items, the ack and a pong, each (annex 44).
    allows(machine, 4 + 2, |_| {
        message(Op::DisconnectClientMux, stream.mux(), 0)
    });
    // A node of ours says so in another way.
    let mut machine = Machine::with(|config| {
        (config.max_abuse, config.max_leftovers) = (5, 0);
        config.peer_cancels_requests = true;
    });
    let stream = machine.serves_stream(3);
    machine.gets(message(Op::DisconnectServerMux, stream.mux(), 0));
    allows(machine, 0, |_| {
        message(Op::DisconnectClientMux, stream.mux(), 0)
    });
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
fn h13_a_call_that_is_refused_or_a_request_allows_for_little() {
    let refused = || {
        let mut open = call(Op::ConnectMux, 78);
        open.handler = NOBODY;
        open
    };
    for (call, late) in [(refused(), 3), (call(Op::Request, 78), 1)] {
        for op in [Op::MuxClientMsg, Op::DisconnectServerMux, Op::Ping] {
            let mut machine = strict();
            machine.gets(call.clone());
            allows(machine, late, |seq| message(op, NEVER, seq));
        }
    }
}

#[test]
fn h13_what_comes_late_for_a_call_of_ours_is_no_abuse_and_more_is() {
    let ops = [
        Op::Response,
        Op::DisconnectClientMux,
        Op::MuxConnectError,
        Op::MuxServerMsg,
        Op::UnblockClMux,
        Op::AckMux,
        Op::Pong,
    ];
    for op in ops {
        let mut machine = strict();
        let mux = machine.request();
        machine.sends();
        machine.gets(message(Op::Response, mux, 0));
        allows(machine, 2, |seq| message(op, mux, seq));

        let mut machine = strict();
        let mux = machine.opened(3, 5);
        machine.conn.cancel(mux);
        allows(machine, 3 + 5 + 4, |seq| message(op, mux, seq));
    }
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
fn h13_late_items_of_a_large_stream_that_was_cancelled_are_no_abuse() {
    let mut machine = strict();
    let mux = machine.opened(0, 100_000);
    machine.conn.cancel(mux);
    assert_eq!(machine.sent_ops(), [Op::DisconnectServerMux]);
    for seq in 1..=100_000 {
        machine.gets(item(Op::MuxServerMsg, mux, seq, 3));
    }
    machine.no_event();
    assert_eq!(machine.sends(), []);
    assert_eq!(machine.conn.close_reason(), None);
    assert_eq!(machine.conn.counters().unknown_mux, 100_000);
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

#[test]
fn what_a_peer_had_waiting_for_earlier_connections_is_no_abuse() {
    let mut machine = Machine::with(|config| config.first_mux = MuxId::new(1 << 20));
    // All that the queue of a MinIO node holds, at once: items for calls and streams of before.
    for n in 0..65_535 {
        machine.gets(if n % 2 == 0 {
            item(Op::MuxServerMsg, MuxId::new(n % 100), 9, 3)
        } else {
            item(Op::MuxClientMsg, MuxId::new(500 + n % 100), 9, 3)
        });
    }
    assert_eq!(machine.conn.close_reason(), None);
    // It is allowed once and not in every period.
    machine.pass(secs(10));
    for _ in 0..10_002 {
        machine.gets(item(Op::MuxClientMsg, NEVER, 9, 3));
    }
    assert!(is_closed(&machine));
}

#[test]
fn what_comes_late_for_all_streams_that_there_may_be_is_no_abuse() {
    let mut machine = strict();
    for mux in 1..=16_000 {
        let mut open = call(Op::ConnectMux, mux);
        open.deadline_ms = 50;
        machine.gets(open);
    }
    machine.pass(secs(1));
    assert_eq!(machine.conn.serving_streams(), 0);
    for mux in 1..=16_000 {
        machine.gets(item(Op::MuxClientMsg, MuxId::new(mux), 1, 3));
    }
    assert_eq!(machine.conn.close_reason(), None);
}
