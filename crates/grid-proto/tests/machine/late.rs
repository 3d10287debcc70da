//! What comes for calls and streams that are over: as much as may cross their end is no abuse, and more is.

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};

use crate::{
    abuse::{NEVER, is_closed, strict},
    tools::{Machine, NOBODY, call, item, message, secs},
};

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
