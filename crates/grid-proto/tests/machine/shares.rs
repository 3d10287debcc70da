//! What several links of a node may hold of the budget that they share.

use std::sync::Arc;

use grid_proto::{
    MuxId,
    conn::{Budget, CallError, CancelReason, Event, ITEM_COST},
    wire::{MuxConnectError, MuxRejection, Op},
};

use crate::tools::{Machine, call, item, message};

const NODE: usize = 100_000;
/// Of two links each has half of the quarter that is kept.
const SHARE: usize = NODE / 4 / 2;

fn link(node: &Arc<Budget>) -> Machine {
    Machine::with(|config| config.inbound = Budget::child(node, NODE * 10))
}

/// The peer of this link has the node hold all that it may, and what it holds is never taken.
fn full(node: &Arc<Budget>) -> (Machine, Vec<Event>) {
    let mut machine = link(node);
    let mut held = Vec::new();
    for mux in 1..=3 {
        let mut large = call(Op::Request, mux);
        large.payload = vec![0; NODE / 3 + 1].into();
        machine.gets(large);
        held.extend(machine.events());
    }
    assert!(node.used() > NODE, "{} of {NODE}", node.used());
    (machine, held)
}

#[test]
fn h17_what_one_peer_holds_ends_no_stream_of_another() {
    let node = Budget::new(NODE);
    let mut machine = link(&node);
    let ours = machine.opened(4, 4);
    let theirs = machine.serves_stream(1);
    let (mut greedy, _held) = full(&node);
    let mut held = Vec::new();
    for seq in 1..=4 {
        machine.gets(item(Op::MuxServerMsg, ours, seq, 1_000));
        machine.gets(item(Op::MuxClientMsg, theirs.mux(), seq, 1_000));
        let events = machine.events();
        assert!(
            matches!(events[..], [Event::Item { .. }, Event::Received { .. }]),
            "{events:?}"
        );
        held.extend(events);
    }
    // Nor are its calls refused.
    machine.gets(call(Op::Request, 2));
    machine.gets(call(Op::ConnectMux, 3));
    assert!(matches!(
        machine.events()[..],
        [Event::Request(_), Event::Opened(_)]
    ));
    // Who holds too much is refused more.
    greedy.gets(call(Op::Request, 4));
    let refusal = greedy.sends().pop().expect("a refusal");
    let refused = MuxConnectError::decode(&refusal.payload).expect("a MuxConnectError");
    assert_eq!(
        MuxRejection::from_text(refused.error.as_bytes()),
        MuxRejection::Overloaded
    );
}

#[test]
fn h17_beyond_its_share_a_link_makes_room_itself() {
    let node = Budget::new(NODE);
    let mut machine = link(&node);
    let (small, big) = (machine.serves_stream(1), machine.opened(4, 4));
    let (_greedy, _held) = full(&node);
    let most = SHARE - 1_000 - 3 * ITEM_COST;
    machine.gets(item(Op::MuxClientMsg, small.mux(), 1, 1_000));
    machine.gets(item(Op::MuxServerMsg, big, 1, most));
    machine.gets(item(Op::MuxClientMsg, small.mux(), 2, 0));
    let held = machine.events();
    assert_eq!(held.len(), 3, "all of its share: {held:?}");
    machine.gets(item(Op::MuxClientMsg, small.mux(), 3, 0));
    let events = machine.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Ended { mux, outcome: Err(CallError::Overloaded) },
                Event::Received { .. },
            ] if mux == big
        ),
        "{events:?}"
    );
}

#[test]
fn h17_who_holds_most_of_the_node_loses_a_stream() {
    let node = Budget::new(NODE);
    let mut greedy = link(&node);
    let mut modest = link(&node);
    let theirs = modest.serves_stream(1);
    let stream = greedy.serves_stream(1);
    let mut held = Vec::new();
    let mut ended = false;
    for seq in 1..=4 {
        greedy.gets(item(Op::MuxClientMsg, stream.mux(), seq, NODE * 3 / 10));
        for event in greedy.events() {
            match event {
                Event::Cancelled {
                    why: CancelReason::Overloaded,
                    ..
                } => ended = true,
                other => held.push(other),
            }
        }
        modest.gets(item(Op::MuxClientMsg, theirs.mux(), seq, 1));
        held.push(modest.event());
    }
    assert!(ended, "three items were all that there was room for");
    // What is kept for the second was there all the time.
    assert!(node.used() < NODE, "{} of {NODE}", node.used());
    assert_eq!(modest.conn.serving_streams(), 1);
}

#[test]
fn h18_answers_to_our_calls_end_no_stream_and_refuse_nobody() {
    let budget = Budget::new(10_000);
    let mut machine = Machine::with(|config| config.inbound = Arc::clone(&budget));
    let ours = machine.opened(4, 4);
    let theirs = machine.serves_stream(1);
    let calls: Vec<MuxId> = (0..3).map(|_| machine.request()).collect();
    machine.sends();
    let mut answers = Vec::new();
    for call in calls {
        let mut answer = message(Op::Response, call, 0);
        answer.payload = vec![0; 50_000].into();
        machine.gets(answer);
        answers.push(machine.event());
    }
    machine.gets(item(Op::MuxServerMsg, ours, 1, 1_000));
    machine.gets(item(Op::MuxClientMsg, theirs.mux(), 1, 1_000));
    machine.gets(call(Op::Request, 2));
    let events = machine.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Item { .. },
                Event::Received { .. },
                Event::Request(_)
            ]
        ),
        "{events:?}"
    );
    assert_eq!(
        (
            answers.len(),
            machine.conn.open_streams(),
            machine.conn.serving_streams()
        ),
        (3, 1, 1)
    );
}
