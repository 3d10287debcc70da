//! What is urgent and waits to be written: it goes before all else, in turns of its own, until it has had its part.

use std::collections::VecDeque;

use crate::wire::{Message, Op};

use super::{
    error::SendError,
    lanes::{Lane, Lanes},
    queue::{Queued, cost},
};

/// What is urgent and waits may take beyond the limits of the queue and the node, whole: where bulk data fills these, what
/// others wait for must not wait with it. Single requests and answers may take so much, and what streams send likewise:
/// however much there is of one kind, the other has its own. What is more, or larger, has no other rights than all else.
const RESERVE: usize = 256 << 10;

/// What may wait of one stream before its sender waits, and what it may have of the reserve: less than one that isn't urgent
/// may, so that none has the reserve for itself.
const SHARE: usize = 64 << 10;

/// What is urgent may be so many bytes ahead of its part of the link.
const AHEAD: usize = 256 << 10;

/// Where others wait, what is urgent has so many bytes to each of theirs, beyond [`AHEAD`]: it must not keep them waiting for
/// ever.
const PART: usize = 4;

/// Urgent streams take turns with each other, and each turn is followed by one of the single requests and answers, as
/// all else does: a stream that is marked and has much to send does not keep a lock's call waiting.
#[derive(Debug)]
pub(super) struct Urgent {
    lanes: Lanes,
    /// What all of it counts.
    cost: usize,
    /// How far it is ahead of its part, while others wait.
    lead: usize,
}

impl Urgent {
    pub(super) fn new(hash_seed: u64, limit: usize) -> Self {
        Self {
            lanes: Lanes::with_share(hash_seed, limit, SHARE),
            cost: 0,
            lead: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cost == 0
    }

    /// Whether all else is written as if nothing had ever been urgent.
    pub(super) fn is_at_rest(&self) -> bool {
        self.cost | self.lead == 0
    }

    /// Whether a message may wait though the queue is full, one that is no item.
    pub(super) fn has_reserve_for(&self, message: &Message) -> bool {
        let cost = cost(message.payload.len());
        match message.op {
            Op::ConnectMux => self.has_reserve_of_streams(cost),
            _ => self.lanes.cost_of_singles() + cost <= RESERVE,
        }
    }

    fn has_reserve_of_streams(&self, cost: usize) -> bool {
        let waits = self.cost - self.lanes.cost_of_singles();
        cost <= SHARE && waits + cost <= RESERVE
    }

    /// Whether an item of this stream may wait that counts `cost`; `room` is whether anything else might.
    ///
    /// # Errors
    /// [`SendError::NoCredit`] where the stream has its share waiting, and is told when it has no longer;
    /// [`SendError::QueueFull`] where nothing of its size may wait.
    pub(super) fn admit_item(
        &mut self,
        stream: Lane,
        cost: usize,
        room: bool,
    ) -> Result<(), SendError> {
        let has_enough = if room {
            self.lanes.is_full(stream)
        } else if self.has_reserve_of_streams(cost) {
            self.lanes.has_more_than(SHARE - cost, stream)
        } else {
            return Err(SendError::QueueFull);
        };
        if has_enough {
            Err(SendError::NoCredit)
        } else {
            Ok(())
        }
    }

    pub(super) fn push(&mut self, queued: Queued) {
        self.cost += queued.cost;
        self.lanes.push(queued);
    }

    /// The next of it, as [`Lanes::pop`]; none where it is the turn of `others`, if there are any.
    pub(super) fn pop(&mut self, others: bool) -> Option<(Queued, Option<Lane>)> {
        if !others {
            self.lead = 0;
        } else if self.lead >= AHEAD {
            return None;
        }
        let (queued, relieved) = self.lanes.pop()?;
        self.cost -= queued.cost;
        if others {
            self.lead += queued.bytes;
        }
        Some((queued, relieved))
    }

    /// So many bytes have left that aren't urgent; `others` is whether there are more.
    pub(super) fn other_left(&mut self, bytes: usize, others: bool) {
        self.lead = match others {
            true => self.lead.saturating_sub(PART * bytes),
            false => 0,
        };
    }

    /// Takes out all of a stream's that has ended.
    pub(super) fn remove(&mut self, stream: Lane) -> VecDeque<Queued> {
        let removed = self.lanes.remove(stream);
        self.cost -= removed.iter().map(|queued| queued.cost).sum::<usize>();
        removed
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Queued> + use<> {
        (self.cost, self.lead) = (0, 0);
        self.lanes.drain()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_full_queue_has_a_reserve_for_urgent_calls() {
        let node = Budget::new(1_000);
        let mut queue = OutQueue::new(1_000, Some(node.clone()), 7);
        single(&mut queue, 1, 900, false);
        let of = |len| message(Op::Request, 2, len);
        assert!(!queue.has_room() && !queue.has_room_for(&of(1), false));
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
        assert!(queue.pop().is_some() && queue.has_room_for(&of(10_000), true));
        assert_eq!(order(&mut queue).len(), urgent);
        queue.settle();
        assert_eq!((queue.cost(), node.used()), (0, 0));
    }

    #[test]
    fn a_full_queue_has_a_reserve_for_urgent_streams_of_which_each_has_a_share() {
        let mut queue = OutQueue::new(1 << 20, None, 7);
        single(&mut queue, 1, 1 << 20, false);
        assert!(!queue.has_room());
        let most = SHARE - QUEUED_COST;
        assert_eq!(queue.admit_urgent(lane(20), most), Ok(()));
        assert_eq!(
            queue.admit_urgent(lane(20), most + 1),
            Err(SendError::QueueFull)
        );
        let each = 10_000;
        let mut items = 0;
        for stream in 20..100 {
            while items < 1_000 && queue.admit_urgent(lane(stream), each) == Ok(()) {
                item(&mut queue, stream, each, true);
                items += 1;
            }
            if queue.admit_urgent(lane(stream), each) == Err(SendError::QueueFull) {
                break;
            }
            let share = SHARE / (each + QUEUED_COST);
            assert_eq!(items, share * (stream as usize - 19), "stream {stream}");
        }
        assert_eq!(items, RESERVE / (each + QUEUED_COST));
        let opening = message(Op::ConnectMux, 99, each);
        assert!(!queue.has_room_for(&opening, true));
        // Single requests have their own.
        assert!(queue.has_room_for(&message(Op::Request, 2, RESERVE / 2), true));
        // A sender that has its share is woken once half of it has left.
        let mut left = Vec::new();
        let relieved = loop {
            let queued = queue.pop().expect("a lane that was full");
            left.push(queued.message.mux.get());
            if let [relieved] = queue.take_relieved()[..] {
                break relieved;
            }
        };
        assert_eq!(relieved, lane(20));
        let left = left.into_iter().filter(|mux| *mux == 20).count();
        assert_eq!(left, (SHARE / 2).div_ceil(each + QUEUED_COST) - 1);
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
}
