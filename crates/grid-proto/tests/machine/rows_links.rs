//! The rows of `docs/scenarios.md` about links that a machine can show alone.

use grid_proto::{
    InstanceId, MuxId, Payload,
    conn::{
        RespondError,
        handshake::{self, Acceptor, First},
    },
    wire::{ConnectRequest, Flags, Message, Op, Ping, Pong, Timestamp},
};

use crate::tools::{Machine, item, message, millis, secs};

/// The pong of a busy peer is late by more than two periods, but other data arrives.
#[test]
fn l13_a_late_pong_is_no_death_where_data_arrives() {
    let mut machine = Machine::new();
    let mux = machine.opened(0, 100);
    let mut pings = 0;
    for seq in 1..=60 {
        machine.pass(secs(1));
        machine.gets(item(Op::MuxServerMsg, mux, seq, 10));
        let sent = machine.sends();
        let link_ping = |sent: &&Message| sent.op == Op::Ping && sent.mux == MuxId::CONNECTION;
        pings += sent.iter().filter(link_ping).count();
        assert_eq!(machine.conn.close_reason(), None, "after {seq} s");
    }
    assert_eq!(pings, 6, "none of which was answered");
    assert_eq!(machine.conn.round_trip(), None);
    assert_eq!(machine.events().len(), 60, "all items, and no end");
    // Once nothing arrives either it takes two periods from the last byte, and not from the last pong.
    machine.pass(secs(20) - millis(1));
    assert_eq!(machine.conn.close_reason(), None);
    machine.pass(millis(1));
    assert!(machine.conn.close_reason().is_some());
}

/// The ticket of a request is good on the connection that it came by, and on no other, whatever mux the next one reuses.
#[test]
fn l15_an_answer_of_an_earlier_connection_reaches_no_later_one() {
    for restarts in 1..5 {
        let mut before = Machine::new();
        let late = before.serves_request(5);
        let mut machine = Machine::with(|config| config.generation = restarts);
        let open = machine.serves_request(5);
        for answer in [Ok(Payload::from("late")), Err("late".into())] {
            assert_eq!(machine.conn.respond(late, answer), Err(RespondError::Gone));
            assert_eq!(machine.sends(), []);
        }
        assert_eq!(machine.conn.counters().discarded_answers, 2);
        let own = machine.conn.respond(open, Ok(Payload::from("own")));
        assert_eq!(own, Ok(()));
        let sent = machine.sends();
        assert_eq!(
            (sent.len(), sent[0].mux, &sent[0].payload[..]),
            (1, MuxId::new(5), &b"own"[..])
        );
    }
}

/// The same for a stream whose handler works on for a connection that is gone.
#[test]
fn l15_items_of_an_earlier_connection_reach_no_later_one() {
    let mut before = Machine::new();
    let late = before.serves_stream(5);
    let mut machine = Machine::with(|config| config.generation = 1);
    let open = machine.serves_stream(5);
    assert!(
        machine
            .conn
            .serve_send(late, Payload::from("late"))
            .is_err()
    );
    machine.conn.serve_finish(late, Err("late".into()));
    assert_eq!(machine.sends(), []);
    assert_eq!(machine.conn.serve_send(open, Payload::from("own")), Ok(()));
    assert_eq!(machine.sent_ops(), [Op::MuxServerMsg]);
}

/// A peer that answers the calls of a process before this one: nobody asked for these numbers.
#[test]
fn l15_answers_to_the_process_before_hit_nothing() {
    let mut machine = Machine::with(|config| config.first_mux = MuxId::new(1_000_000));
    let request = machine.request();
    assert_eq!(machine.sent_ops(), [Op::Request]);
    for mux in [1, 2, 65_536, 999_999, 1_000_001] {
        let mut answer = message(Op::Response, MuxId::new(mux), 0).with_content("late".into());
        answer.flags |= Flags::EOF;
        machine.gets(answer);
        machine.no_event();
    }
    assert_eq!(machine.conn.counters().unknown_mux, 5);
    assert_eq!(machine.conn.close_reason(), None);
    let mut answer = message(Op::Response, request, 0).with_content("own".into());
    answer.flags |= Flags::EOF;
    machine.gets(answer);
    machine.event();
}

/// The time in the handshake in every spelling that nodes have written: our own, and the three of msgpack.
#[test]
fn l19_every_spelling_of_the_handshakes_time_is_accepted() {
    let dialer = "http://node-a:9000";
    let now = 1_719_748_800_u32;
    let time = Timestamp {
        secs: now.into(),
        nanos: 0,
    };
    let request = ConnectRequest {
        id: InstanceId::new([7; 16]),
        host: dialer.into(),
        time,
        token: "x".into(),
        extra: None,
    };
    let mut written = Vec::new();
    request.encode(&mut written);
    let ours = [&[0xc7, 12, 5][..], &i64::from(now).to_be_bytes(), &[0; 4]].concat();
    let at = written
        .windows(ours.len())
        .position(|window| window == ours)
        .expect("the time as we write it");
    let spellings = [
        ours.clone(),
        [&[0xd6, 0xff][..], &now.to_be_bytes()].concat(),
        [&[0xd7, 0xff][..], &u64::from(now).to_be_bytes()].concat(),
        [
            &[0xc7, 12, 0xff, 0, 0, 0, 0][..],
            &i64::from(now).to_be_bytes(),
        ]
        .concat(),
    ];
    for skew in [0, 299, 301] {
        for spelling in &spellings {
            let payload = [&written[..at], spelling, &written[at + ours.len()..]].concat();
            let mut bytes = Vec::new();
            let connect = Message {
                payload: payload.into(),
                ..Message::new(Op::Connect, MuxId::CONNECTION)
            };
            connect.encode(&mut bytes);
            let clock = Timestamp {
                secs: time.secs + skew,
                nanos: 0,
            };
            let acceptor = Acceptor::new("http://node-b:9000", clock);
            let known = |name: &[u8]| (name == dialer.as_bytes()).then_some(dialer);
            let admitted = acceptor
                .receive(First::Binary(bytes.into()), known)
                .and_then(|pending| acceptor.admit(pending, Ok(()), known));
            assert_eq!(admitted.is_ok(), skew < 300, "{skew} s, {spelling:x?}");
        }
    }
    // What the dialer itself sends reads back.
    let sent = Message::decode(handshake::connect(&request).into()).expect("a message");
    let read = ConnectRequest::decode(&sent.payload).expect("a request");
    assert_eq!(read.time, time);
}

/// A ping is answered whatever is in it, with the number that it had.
#[test]
fn l23_a_ping_with_any_payload_is_answered() {
    let mut known = Vec::new();
    let time = Timestamp { secs: 17, nanos: 4 };
    Ping { time }.encode(&mut known);
    // A map with one more entry, which nobody knows.
    let mut unknown = known.clone();
    unknown[0] += 1;
    unknown.extend([0xa3, b'n', b'e', b'w', 0x92, 0x01, 0xc0]);
    for (payload, comes_back) in [
        (known, true),
        (unknown, true),
        // Missing, an empty map, nothing that can be read.
        (Vec::new(), false),
        (vec![0x80], false),
        (vec![0xc0], false),
        (vec![0xff, 0xfe], false),
    ] {
        let mut machine = Machine::new();
        let ping = Message {
            payload: payload.clone().into(),
            deadline_ms: 77,
            ..message(Op::Ping, MuxId::CONNECTION, 0)
        };
        machine.gets(ping);
        let sent = machine.sends();
        assert_eq!(sent.len(), 1, "{payload:x?}: {sent:?}");
        assert_eq!(
            (sent[0].op, sent[0].mux, sent[0].deadline_ms),
            (Op::Pong, MuxId::CONNECTION, 77)
        );
        let pong = Pong::decode(&sent[0].payload).expect("a pong");
        assert!(!pong.not_found && pong.error.is_none(), "{payload:x?}");
        assert_eq!(
            pong.time == time,
            comes_back,
            "{payload:x?}: {:?}",
            pong.time
        );
        assert_eq!(machine.conn.close_reason(), None);
    }
}
