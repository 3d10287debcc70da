//! Pings of the link that the application asks for.

use grid_proto::{
    MuxId,
    conn::{CloseReason, Event},
    wire::{Message, Op, Ping, Timestamp},
};

use crate::tools::{Machine, link_pong, millis};

/// The one ping that is to be sent.
fn sent_ping(machine: &mut Machine) -> Message {
    let sent = machine.sends();
    let [ping] = sent.as_slice() else {
        panic!("not one message: {sent:?}")
    };
    assert_eq!((ping.op, ping.mux), (Op::Ping, MuxId::CONNECTION));
    ping.clone()
}

#[test]
fn a_ping_that_is_asked_for_leaves_at_once_and_is_reported() {
    let mut machine = Machine::new();
    let asked = machine.conn.ping();
    // Not sent yet, so it is the same one.
    assert_eq!(machine.conn.ping(), asked);
    let ping = sent_ping(&mut machine);
    machine.pass(millis(30));
    machine.gets(link_pong(&ping));
    match machine.event() {
        Event::Ponged { ping, round_trip } => assert_eq!((ping, round_trip), (asked, millis(30))),
        other => panic!("{other:?}"),
    }
    assert_eq!(machine.conn.round_trip(), Some(millis(30)));
    // The periodic ones go on as before, and are not reported.
    machine.pass(millis(10_000 - 30));
    let ping = sent_ping(&mut machine);
    machine.gets(link_pong(&ping));
    assert!(machine.conn.poll_event().is_none());
}

#[test]
fn one_answer_is_enough_for_all_pings_before_it_and_each_has_its_own_time() {
    let mut machine = Machine::new();
    let first = machine.conn.ping();
    sent_ping(&mut machine);
    machine.pass(millis(1));
    let second = machine.conn.ping();
    assert!(second > first);
    let ping = sent_ping(&mut machine);
    machine.pass(millis(4));
    machine.gets(link_pong(&ping));
    let answered: Vec<_> = machine
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Ponged { ping, round_trip } => (ping, round_trip),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answered, [(first, millis(5)), (second, millis(4))]);
}

#[test]
fn who_asks_without_end_sends_no_flood() {
    let mut machine = Machine::new();
    let flood = |machine: &mut Machine| {
        (0..5_000)
            .map(|_| {
                machine.conn.ping();
                machine.sends().len()
            })
            .sum::<usize>()
    };
    assert_eq!(flood(&mut machine), 1_000);
    // The next of the period stands for all that were asked for meanwhile.
    let asked = machine.conn.ping();
    machine.pass(millis(10_000));
    let ping = sent_ping(&mut machine);
    machine.gets(link_pong(&ping));
    let answered = std::iter::from_fn(|| machine.conn.poll_event())
        .any(|event| matches!(event, Event::Ponged { ping, .. } if ping == asked));
    assert!(answered);
    assert_eq!(flood(&mut machine), 1_000);
}

#[test]
fn a_pong_that_was_not_asked_for_is_not_reported() {
    let mut machine = Machine::new();
    let ping = machine.conn.ping();
    let sent = sent_ping(&mut machine);
    let mut forged = sent.clone();
    let mut payload = Vec::new();
    let time = Timestamp {
        secs: 12_345,
        nanos: 0,
    };
    Ping { time }.encode(&mut payload);
    forged.payload = payload.into();
    machine.gets(link_pong(&forged));
    assert!(machine.conn.poll_event().is_none());
    assert_eq!(machine.conn.round_trip(), None);
    machine.gets(link_pong(&sent));
    assert!(matches!(machine.event(), Event::Ponged { ping: got, .. } if got == ping));
    machine.gets(link_pong(&sent));
    assert!(machine.conn.poll_event().is_none());
}

#[test]
fn a_connection_that_has_ended_sends_no_ping() {
    let mut machine = Machine::new();
    machine.conn.close(CloseReason::Local);
    machine.conn.ping();
    assert_eq!(machine.sends(), []);
}
