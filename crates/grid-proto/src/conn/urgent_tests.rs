//! Of what is urgent, and of the queue that it stands in.

use std::sync::Arc;

use super::*;
use crate::{
    MuxId,
    conn::{
        Budget,
        queue::{OutQueue, QUEUED_COST},
    },
};

fn message(op: Op, mux: u64, len: usize) -> Message {
    let mut message = Message::new(op, MuxId::new(mux));
    message.payload = vec![7; len].into();
    message
}

/// A queue with room for much.
fn large() -> OutQueue {
    OutQueue::new(1 << 30, None, 7)
}

/// A single request of about so many bytes.
fn single(queue: &mut OutQueue, mux: u64, len: usize, urgent: bool) {
    queue.push(message(Op::Request, mux, len), 0, urgent);
}

/// An item of a stream of ours, likewise.
fn item(queue: &mut OutQueue, mux: u64, len: usize, urgent: bool) {
    queue.push(message(Op::MuxClientMsg, mux, len), 0, urgent);
}

fn lane(mux: u64) -> Lane {
    Lane::Caller(MuxId::new(mux))
}

fn popped(queue: &mut OutQueue) -> Option<(u64, usize)> {
    let queued = queue.pop()?;
    Some((queued.message.mux.get(), queued.bytes))
}

fn order(queue: &mut OutQueue) -> Vec<u64> {
    std::iter::from_fn(|| popped(queue))
        .map(|(mux, _)| mux)
        .collect()
}

#[test]
fn what_is_urgent_goes_before_all_that_waits() {
    let mut queue = large();
    // In order of submission, and by turns.
    (0..4).for_each(|mux| single(&mut queue, mux, 1 << 20, false));
    item(&mut queue, 4, 100, false);
    (10..13).for_each(|mux| single(&mut queue, mux, 100, true));
    queue.push(message(Op::ConnectMux, 20, 100), 0, true);
    (0..2).for_each(|_| item(&mut queue, 20, 100, true));
    let order = order(&mut queue);
    assert_eq!(order[..6], [10, 11, 12, 20, 20, 20]);
    assert_eq!(order.len(), 11);
    assert!(queue.is_empty());
    assert_eq!((queue.bytes(), queue.cost()), (0, 0));
}

#[test]
fn the_order_inside_a_stream_is_kept() {
    let mut queue = large();
    single(&mut queue, 1, 1 << 20, false);
    for len in 0..200 {
        (20..23).for_each(|mux| item(&mut queue, mux, 1_000 + len, true));
    }
    let mut lens = [const { Vec::new() }; 3];
    while let Some((mux, bytes)) = popped(&mut queue) {
        if mux >= 20 {
            lens[mux as usize - 20].push(bytes);
        }
    }
    for lens in lens {
        assert!(lens.len() == 200 && lens.is_sorted(), "{lens:?}");
    }
}

#[test]
fn an_urgent_stream_takes_turns_with_what_else_is_urgent() {
    let mut queue = large();
    (0..64).for_each(|_| item(&mut queue, 20, 4 << 10, true));
    item(&mut queue, 21, 100, true);
    single(&mut queue, 10, 100, true);
    single(&mut queue, 11, 100, true);
    let order = order(&mut queue);
    let at = |mux| order.iter().position(|left| *left == mux).unwrap();
    // Before the first turn of the large one, and after it.
    assert_eq!((at(10), at(11)), (0, 1));
    assert!((3..8).contains(&at(21)), "{order:?}");
}

#[test]
fn others_keep_their_part() {
    let mut queue = large();
    let fill = |queue: &mut OutQueue, mux: u64, len: usize, urgent| {
        (0..(8 << 20) / len).for_each(|_| item(queue, mux, len, urgent));
    };
    for (urgent_len, len) in [
        (100, 100),
        (64 << 10, 100),
        (100, 64 << 10),
        (1 << 20, 1 << 10),
    ] {
        fill(&mut queue, 20, urgent_len, true);
        fill(&mut queue, 1, len, false);
        let (mut ahead, mut bytes) = (0, [0_usize; 2]);
        while bytes[1] < 7 << 20 {
            let (mux, len) = popped(&mut queue).unwrap();
            if bytes[0] == 0 && mux == 20 {
                ahead += len;
            }
            bytes[usize::from(mux == 20)] += len;
        }
        let (others, urgent) = (bytes[0], bytes[1]);
        // What is ahead, and one message of each.
        let most = AHEAD + urgent_len + len + 200;
        assert!(ahead <= most && ahead >= AHEAD, "{ahead} in a row");
        let part = (urgent - AHEAD.min(urgent)) / PART;
        assert!(others + most >= part && others <= part + most, "{bytes:?}");
        drop(queue.drain());
    }
}

#[test]
fn what_is_urgent_is_ahead_of_nobody_where_nobody_waits() {
    let mut queue = large();
    (0..8).for_each(|_| item(&mut queue, 20, AHEAD, true));
    assert_eq!(order(&mut queue).len(), 8);
    single(&mut queue, 1, 100, false);
    item(&mut queue, 20, 2 * AHEAD, true);
    assert_eq!(order(&mut queue), [20, 1]);
    single(&mut queue, 2, 100, false);
    single(&mut queue, 10, 100, true);
    assert_eq!(order(&mut queue), [10, 2]);
}

/// A sender whose every item is written at once keeps the queue without urgent messages most of the time.
#[test]
fn a_stream_of_which_one_item_waits_has_no_more_than_its_part() {
    let mut queue = large();
    (0..4_000).for_each(|_| item(&mut queue, 1, 1 << 10, false));
    let (mut others, mut urgent) = (0, 0);
    for _ in 0..100 {
        item(&mut queue, 20, 64 << 10, true);
        while let Some((mux, bytes)) = popped(&mut queue) {
            if mux == 20 {
                urgent += bytes;
                break;
            }
            others += bytes;
        }
    }
    assert!(others >= (urgent - 2 * AHEAD) / PART, "{others}, {urgent}");
}

/// One that is full of a single request, and has a whole reserve.
fn full(node: Option<Arc<Budget>>) -> OutQueue {
    let mut queue = OutQueue::new(4 * RESERVE, node, 7);
    single(&mut queue, 1, 4 * RESERVE, false);
    assert!(!queue.has_room());
    queue
}

#[test]
fn a_full_queue_has_a_reserve_for_urgent_calls() {
    let node = Budget::new(1_000);
    let mut queue = full(Some(node.clone()));
    let of = |len| message(Op::Request, 2, len);
    assert!(!queue.has_room_for(&of(1), false));
    let most = RESERVE - QUEUED_COST;
    assert!(queue.has_room_for(&of(most), true) && !queue.has_room_for(&of(most + 1), true));
    let mut urgent = 0;
    while queue.has_room_for(&of(10_000), true) {
        single(&mut queue, 2, 10_000, true);
        urgent += 1;
    }
    assert_eq!(urgent, RESERVE / (10_000 + QUEUED_COST));
    // Streams have one of their own.
    assert!(queue.has_room_for(&message(Op::ConnectMux, 3, 10_000), true));
    // It counts, also for the node.
    assert_eq!(queue.cost(), node.used());
    // Whoever was refused is told once half of it is free, and one that is larger than that is not.
    let mut left = 0;
    while !queue.take_urgent_room() {
        assert_eq!(popped(&mut queue).unwrap().0, 2);
        left += 1;
    }
    assert_eq!(left, (RESERVE / 2).div_ceil(10_000 + QUEUED_COST));
    assert!(!queue.take_urgent_room());
    assert!(!queue.has_room_for(&of(RESERVE), true));
    assert_eq!(order(&mut queue).len(), urgent - left + 1);
    assert!(!queue.take_urgent_room());
    queue.settle();
    assert_eq!((queue.cost(), node.used()), (0, 0));
}

#[test]
fn a_full_queue_has_a_reserve_for_urgent_streams_of_which_each_has_a_share() {
    let mut queue = full(None);
    let share = RESERVE / SHARES;
    let most = share - QUEUED_COST;
    assert_eq!(queue.admit_urgent(lane(20), most), Ok(()));
    assert_eq!(
        queue.admit_urgent(lane(20), most + 1),
        Err(SendError::QueueFull)
    );
    let each = 10_000;
    let items_of = share / (each + QUEUED_COST);
    let mut items = 0;
    for stream in 20..30 {
        while queue.admit_urgent(lane(stream), each) == Ok(()) {
            item(&mut queue, stream, each, true);
            items += 1;
        }
        // It waits for a lane of its own to empty, or for those of others.
        let full = queue.admit_urgent(lane(stream), each);
        assert_eq!(full, Err(SendError::NoCredit));
        let all = RESERVE / (each + QUEUED_COST);
        assert_eq!(items, all.min(items_of * (stream as usize - 19)));
    }
    let opening = message(Op::ConnectMux, 99, each);
    assert!(!queue.has_room_for(&opening, true));
    // Single requests have their own.
    assert!(queue.has_room_for(&message(Op::Request, 2, RESERVE / 2), true));
    // All are told in the end: those that have their share once half of that has left, and those that found nothing once
    // half of all has.
    let (mut told, mut left) = (Vec::new(), 0);
    while told.len() < 10 {
        assert_ne!(popped(&mut queue).unwrap().0, 1, "{told:?}");
        left += 1;
        let relieved = queue.take_relieved();
        if relieved.contains(&lane(29)) {
            assert_eq!(left, items - RESERVE / 2 / (each + QUEUED_COST));
            assert!(queue.take_urgent_room(), "and the one that wants to open");
        }
        told.extend(relieved);
    }
}

#[test]
fn what_is_urgent_leaves_room_in_the_smallest_queue() {
    for limit in [1, 1_000, 64 << 10, 1 << 20] {
        let mut queue = OutQueue::new(limit, None, 7);
        single(&mut queue, 1, limit, false);
        let len = limit / 64;
        for stream in 20..40 {
            while queue.admit_urgent(lane(stream), len) == Ok(()) {
                item(&mut queue, stream, len, true);
            }
        }
        while queue.has_room_for(&message(Op::Request, 2, len), true) {
            single(&mut queue, 2, len, true);
        }
        let urgent = queue.cost() - limit - QUEUED_COST;
        assert!(urgent <= limit / 2, "{urgent} of {limit}");
    }
}

#[test]
fn what_waits_of_a_stream_that_has_ended_is_gone() {
    let node = Budget::new(1 << 30);
    let mut queue = OutQueue::new(1 << 30, Some(node.clone()), 7);
    single(&mut queue, 1, 100, false);
    single(&mut queue, 10, 100, true);
    let before = (queue.cost(), node.used());
    (0..5).for_each(|_| item(&mut queue, 20, 100, true));
    assert_eq!(queue.remove(lane(20)).count(), 5);
    assert_eq!((queue.cost(), node.used()), before);
    assert_eq!(queue.remove(lane(20)).count(), 0);
    assert_eq!(order(&mut queue), [10, 1]);
    assert_eq!((queue.cost(), queue.is_empty()), (0, true));
}
