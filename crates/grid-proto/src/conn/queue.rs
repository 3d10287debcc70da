//! What waits to be written: the urgent first, the rest in order of submission while that is little, and by turns where it
//! is much; bounded by bytes.

use std::{collections::VecDeque, sync::Arc};

use crate::wire::Message;

use super::{
    budget::Budget,
    lanes::{Lane, Lanes},
};

/// What is written in order of submission before anybody has to wait for a turn: about what a writer takes at once.
const FIRST: usize = 64 << 10;

/// What is urgent and waits may take beyond the limits of the queue and the node, whole: where bulk data fills these, a call
/// that others wait for must not wait with it. What is more, or larger, has no other rights than all else.
const URGENT_RESERVE: usize = 256 << 10;

/// Urgent bytes that leave in a row while others wait; then one message of these has its turn, as what is urgent must not
/// keep all else waiting for ever.
const URGENT_ROW: usize = 256 << 10;

/// A message that waits. It gets its sequence number and its deadline when it leaves, so that what a mux owes may go
/// before it and what was cancelled meanwhile leaves no gap.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Message,
    /// The serial of the stream that it answers, where it belongs to one that we serve.
    pub(super) serial: u64,
    pub(super) bytes: usize,
    pub(super) cost: usize,
}

#[cfg(test)]
impl Queued {
    /// An item of a stream that is served.
    pub(super) fn of_stream(mux: crate::MuxId, serial: u64) -> Self {
        Self {
            message: Message::new(crate::wire::Op::MuxServerMsg, mux),
            serial,
            bytes: 16,
            cost: QUEUED_COST,
        }
    }
}

/// What a message that waits to be written counts beside its payload: its entry, and the room that the queue keeps ready
/// to grow.
pub const QUEUED_COST: usize = 2 * size_of::<Queued>();

fn cost(message: &Message) -> usize {
    message.payload.len() + QUEUED_COST
}

/// A stream with much to send must not make others wait for all of it: beyond [`FIRST`] each waits in a lane of its own.
#[derive(Debug)]
pub(super) struct OutQueue {
    urgent: VecDeque<Queued>,
    /// What it counts.
    urgent_cost: usize,
    /// How many of it have left in a row.
    urgent_row: usize,
    first: VecDeque<Queued>,
    first_bytes: usize,
    first_limit: usize,
    /// What came while much was waiting.
    lanes: Lanes,
    bytes: usize,
    /// What all of it takes in memory, which is what the limit is for: millions of small answers would fit by their
    /// bytes.
    cost: usize,
    limit: usize,
    node: Option<Arc<Budget>>,
    /// What of it the node counts: more than `cost` until what has left is [given back](Self::settle).
    charged: usize,
}

impl OutQueue {
    pub(super) fn new(limit: usize, node: Option<Arc<Budget>>, hash_seed: u64) -> Self {
        Self {
            urgent: VecDeque::new(),
            urgent_cost: 0,
            urgent_row: 0,
            first: VecDeque::new(),
            first_bytes: 0,
            // A queue that holds little takes turns all the same.
            first_limit: FIRST.min(limit / 8),
            lanes: Lanes::new(hash_seed, limit),
            bytes: 0,
            cost: 0,
            limit,
            node,
            charged: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.cost < self.limit && self.node.as_ref().is_none_or(|node| node.has_room())
    }

    /// As [`has_room`](Self::has_room), for a single request or an answer to one, which may be urgent.
    pub(super) fn has_room_for(&self, message: &Message, urgent: bool) -> bool {
        self.has_room() || (urgent && self.urgent_cost + cost(message) <= URGENT_RESERVE)
    }

    /// Whether this stream has its share of the queue waiting. [`pop`](Self::pop) tells when it has no longer.
    pub(super) fn is_full_of(&mut self, stream: Lane) -> bool {
        self.lanes.is_full(stream)
    }

    /// Adds a message. Whoever adds one of a user's asks [`has_room`](Self::has_room) first; what ends a stream always
    /// goes in, one at the most for each.
    pub(super) fn push(&mut self, message: Message, serial: u64) {
        let bytes = message.encoded_len();
        self.push_measured(message, bytes, serial);
    }

    /// As [`push`](Self::push), where the encoded length is known already.
    pub(super) fn push_measured(&mut self, message: Message, bytes: usize, serial: u64) {
        let queued = self.count(message, bytes, serial);
        if self.lanes.is_empty() && self.first_bytes < self.first_limit {
            self.first_bytes += bytes;
            self.first.push_back(queued);
        } else {
            self.lanes.push(queued);
        }
    }

    /// As [`push_measured`](Self::push_measured), for a single request or an answer to one, which may be urgent.
    pub(super) fn push_single(&mut self, message: Message, bytes: usize, urgent: bool) {
        if urgent {
            let queued = self.count(message, bytes, 0);
            self.urgent_cost += queued.cost;
            self.urgent.push_back(queued);
        } else {
            self.push_measured(message, bytes, 0);
        }
    }

    fn count(&mut self, message: Message, bytes: usize, serial: u64) -> Queued {
        debug_assert_eq!(bytes, message.encoded_len());
        let cost = cost(&message);
        if let Some(node) = &self.node {
            node.add(cost);
            self.charged += cost;
        }
        self.bytes += bytes;
        self.cost += cost;
        Queued {
            message,
            serial,
            bytes,
            cost,
        }
    }

    /// Gives back to the node what has left: for many at once, as others count there from other threads.
    pub(super) fn settle(&mut self) {
        if let Some(node) = &self.node
            && self.charged > self.cost
        {
            node.release(self.charged - self.cost);
            self.charged = self.cost;
        }
    }

    /// The next to be written, and the lane that was found full and isn't any more. [`settle`](Self::settle) has to follow.
    pub(super) fn pop(&mut self) -> Option<(Queued, Option<Lane>)> {
        if !self.urgent.is_empty() {
            if let Some(queued) = self.pop_urgent() {
                return Some((queued, None));
            }
            self.urgent_row = 0;
        }
        let Some(queued) = self.first.pop_front() else {
            let (queued, relieved) = self.lanes.pop()?;
            self.bytes -= queued.bytes;
            self.cost -= queued.cost;
            return Some((queued, relieved));
        };
        self.bytes -= queued.bytes;
        self.cost -= queued.cost;
        self.first_bytes -= queued.bytes;
        if self.first.is_empty() && self.first.capacity() > 1024 {
            // An idle link keeps no trace of its busiest moment.
            self.first = VecDeque::new();
        }
        Some((queued, None))
    }

    /// None where it is the turn of others.
    fn pop_urgent(&mut self) -> Option<Queued> {
        let others = !self.first.is_empty() || !self.lanes.is_empty();
        if others && self.urgent_row >= URGENT_ROW {
            return None;
        }
        let queued = self.urgent.pop_front()?;
        self.bytes -= queued.bytes;
        self.cost -= queued.cost;
        self.urgent_cost -= queued.cost;
        self.urgent_row += queued.bytes;
        if self.urgent.is_empty() {
            self.urgent_row = 0;
            if self.urgent.capacity() > 64 {
                self.urgent = VecDeque::new();
            }
        }
        Some(queued)
    }

    /// Takes out what waits in turns of a stream that has ended: nobody will read it. What is to be written in order of
    /// submission stays until its time comes, which is bounded by [`FIRST`].
    pub(super) fn remove(&mut self, stream: Lane) -> impl Iterator<Item = Message> + use<> {
        let removed = self.lanes.remove(stream);
        for queued in &removed {
            self.bytes -= queued.bytes;
            self.cost -= queued.cost;
        }
        self.settle();
        removed.into_iter().map(|queued| queued.message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.first.is_empty() && self.lanes.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Empties the queue and gives what was in it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Message> + use<> {
        (self.bytes, self.first_bytes, self.cost) = (0, 0, 0);
        self.urgent_cost = 0;
        self.settle();
        std::mem::take(&mut self.urgent)
            .into_iter()
            .chain(std::mem::take(&mut self.first))
            .chain(self.lanes.drain())
            .map(|queued| queued.message)
    }

    /// Swaps the last two entries: only a planted fault does that.
    #[cfg(feature = "__faults")]
    pub(super) fn swap_last(&mut self) {
        let len = self.first.len();
        if len >= 2 {
            self.first.swap(len - 1, len - 2);
        }
    }
}

impl Drop for OutQueue {
    fn drop(&mut self) {
        self.cost = 0;
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MuxId, wire::Op};

    /// A request of about so many bytes.
    fn request(mux: u64, len: usize) -> Message {
        let mut message = Message::new(Op::Request, MuxId::new(mux));
        message.payload = vec![7; len].into();
        message
    }

    fn push(queue: &mut OutQueue, mux: u64, len: usize, urgent: bool) {
        let message = request(mux, len);
        let bytes = message.encoded_len();
        queue.push_single(message, bytes, urgent);
    }

    fn order(queue: &mut OutQueue) -> Vec<u64> {
        let all = std::iter::from_fn(|| queue.pop());
        all.map(|(queued, _)| queued.message.mux.get()).collect()
    }

    #[test]
    fn what_is_urgent_goes_before_all_that_waits() {
        let mut queue = OutQueue::new(1 << 30, None, 7);
        // In order of submission, and by turns.
        (0..4).for_each(|mux| push(&mut queue, mux, 1 << 20, false));
        (10..13).for_each(|mux| push(&mut queue, mux, 100, true));
        assert_eq!(order(&mut queue), [10, 11, 12, 0, 1, 2, 3]);
        assert!(queue.is_empty());
        assert_eq!((queue.bytes(), queue.cost()), (0, 0));
    }

    #[test]
    fn others_have_a_turn_now_and_then() {
        let mut queue = OutQueue::new(1 << 30, None, 7);
        (0..2).for_each(|mux| push(&mut queue, mux, 100, false));
        (10..20).for_each(|mux| push(&mut queue, mux, URGENT_ROW / 3, true));
        assert_eq!(
            order(&mut queue),
            [10, 11, 12, 0, 13, 14, 15, 1, 16, 17, 18, 19]
        );
        // A row ends where nothing urgent is left.
        push(&mut queue, 10, URGENT_ROW, true);
        assert_eq!(order(&mut queue), [10]);
        push(&mut queue, 0, 100, false);
        push(&mut queue, 11, 100, true);
        assert_eq!(order(&mut queue), [11, 0]);
    }

    #[test]
    fn what_is_urgent_counts_as_all_else_does() {
        let mut queue = OutQueue::new(1_000, None, 7);
        push(&mut queue, 1, 900, true);
        assert!(!queue.has_room() && !queue.is_empty());
        assert_eq!(queue.cost(), 900 + QUEUED_COST);
        assert_eq!(queue.drain().count(), 1);
        assert!(queue.has_room() && queue.is_empty());
    }

    #[test]
    fn a_queue_that_is_full_has_a_reserve_for_what_is_urgent() {
        let node = Budget::new(1_000);
        let mut queue = OutQueue::new(1_000, Some(node.clone()), 7);
        push(&mut queue, 1, 900, false);
        let of = |len| request(2, len);
        assert!(!queue.has_room() && !queue.has_room_for(&of(1), false));
        let most = URGENT_RESERVE - QUEUED_COST;
        assert!(queue.has_room_for(&of(most), true) && !queue.has_room_for(&of(most + 1), true));
        let mut urgent = 0;
        while queue.has_room_for(&of(10_000), true) {
            push(&mut queue, 2, 10_000, true);
            urgent += 1;
        }
        assert_eq!(urgent, URGENT_RESERVE / (10_000 + QUEUED_COST));
        // It counts, also for the node.
        assert_eq!(queue.cost(), node.used());
        assert!(queue.pop().is_some() && queue.has_room_for(&of(10_000), true));
        assert_eq!(order(&mut queue).len(), urgent);
        queue.settle();
        assert_eq!((queue.urgent_cost, queue.cost(), node.used()), (0, 0, 0));
    }

    #[test]
    fn the_node_counts_what_waits_and_nothing_else() {
        let node = Budget::new(1 << 20);
        let link = Budget::child(&node, 1 << 20);
        let mut queue = OutQueue::new(1 << 20, Some(link.clone()), 7);
        let used = || (link.used(), node.used());
        (0..3).for_each(|mux| push(&mut queue, mux, 100, mux == 1));
        let each = 100 + QUEUED_COST;
        assert_eq!(used(), (3 * each, 3 * each));
        assert!(queue.pop().is_some());
        queue.settle();
        assert_eq!(used(), (2 * each, 2 * each));
        drop(queue.drain());
        assert_eq!(used(), (0, 0));
        (0..3).for_each(|mux| push(&mut queue, mux, 100, false));
        drop(queue);
        assert_eq!(used(), (0, 0));
    }
}
