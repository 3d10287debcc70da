//! What waits to be written: the urgent first, the rest in order of submission while that is little, and by turns where it
//! is much; bounded by bytes.

use std::{collections::VecDeque, sync::Arc};

use crate::wire::Message;

use super::{
    budget::Budget,
    error::SendError,
    lanes::{Lane, Lanes},
    urgent::Urgent,
};

/// What is written in order of submission before anybody has to wait for a turn: about what a writer takes at once.
const FIRST: usize = 64 << 10;

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

/// What a message counts with a payload of this length.
pub(super) fn cost(payload: usize) -> usize {
    payload + QUEUED_COST
}

/// A stream with much to send must not make others wait for all of it: beyond [`FIRST`] each waits in a lane of its own.
#[derive(Debug)]
pub(super) struct OutQueue {
    urgent: Urgent,
    first: VecDeque<Queued>,
    first_bytes: usize,
    first_limit: usize,
    /// What came while much was waiting.
    lanes: Lanes,
    relieved: Vec<Lane>,
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
            urgent: Urgent::new(hash_seed, limit),
            first: VecDeque::new(),
            first_bytes: 0,
            // A queue that holds little takes turns all the same.
            first_limit: FIRST.min(limit / 8),
            lanes: Lanes::new(hash_seed, limit),
            relieved: Vec::new(),
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

    /// As [`has_room`](Self::has_room), for a message that may be urgent and is no item.
    pub(super) fn has_room_for(&mut self, message: &Message, urgent: bool) -> bool {
        self.has_room() || (urgent && self.urgent.has_reserve_for(message))
    }

    /// Whether this stream, which isn't urgent, has its share of the queue waiting. [`take_relieved`](Self::take_relieved)
    /// tells when it has no longer.
    pub(super) fn is_full_of(&mut self, stream: Lane) -> bool {
        self.lanes.is_full(stream)
    }

    /// Whether an item may wait of a stream that is urgent, with a payload of this length.
    ///
    /// # Errors
    /// As [`Urgent::admit_item`].
    // As all that is for urgent messages it stays out of what most messages go through.
    #[inline(never)]
    pub(super) fn admit_urgent(&mut self, stream: Lane, payload: usize) -> Result<(), SendError> {
        let room = self.has_room();
        self.urgent.admit_item(stream, cost(payload), room)
    }

    /// Adds a message. Whoever adds one of a user's asks [`has_room`](Self::has_room) first; what ends a stream always
    /// goes in, one at the most for each.
    pub(super) fn push(&mut self, message: Message, serial: u64, urgent: bool) {
        let bytes = message.encoded_len();
        self.push_measured(message, bytes, serial, urgent);
    }

    /// As [`push`](Self::push), where the encoded length is known already.
    pub(super) fn push_measured(
        &mut self,
        message: Message,
        bytes: usize,
        serial: u64,
        urgent: bool,
    ) {
        if urgent {
            return self.push_urgent(message, bytes, serial);
        }
        let queued = self.count(message, bytes, serial);
        if self.lanes.is_empty() && self.first_bytes < self.first_limit {
            self.first_bytes += bytes;
            self.first.push_back(queued);
        } else {
            self.lanes.push(queued);
        }
    }

    #[inline(never)]
    fn push_urgent(&mut self, message: Message, bytes: usize, serial: u64) {
        let queued = self.count(message, bytes, serial);
        self.urgent.push(queued);
    }

    fn count(&mut self, message: Message, bytes: usize, serial: u64) -> Queued {
        debug_assert_eq!(bytes, message.encoded_len());
        let cost = cost(message.payload.len());
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

    /// The next to be written. [`settle`](Self::settle) and [`take_relieved`](Self::take_relieved) have to follow.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        if !self.urgent.is_at_rest() {
            return self.pop_by_rank();
        }
        let Some(queued) = self.first.pop_front() else {
            if self.lanes.is_empty() {
                return None;
            }
            return self.pop_by_turns();
        };
        self.first_has_left(queued.bytes, queued.cost);
        Some(queued)
    }

    /// The lanes that were found full and aren't any more.
    pub(super) fn take_relieved(&mut self) -> Vec<Lane> {
        if self.urgent.has_waiting() {
            self.relieved.extend(self.urgent.take_waiting());
        }
        std::mem::take(&mut self.relieved)
    }

    /// Whether an urgent message was refused that is no item, and would not be now; says so once.
    pub(super) fn take_urgent_room(&mut self) -> bool {
        self.urgent.take_room()
    }

    /// As [`pop`](Self::pop), where something is or was urgent.
    #[inline(never)]
    fn pop_by_rank(&mut self) -> Option<Queued> {
        let others = self.has_others();
        if let Some(popped) = self.urgent.pop(others) {
            return Some(self.has_left(popped));
        }
        let queued = match self.first.pop_front() {
            Some(queued) => {
                self.first_has_left(queued.bytes, queued.cost);
                queued
            }
            None => self.pop_by_turns()?,
        };
        let others = self.has_others();
        self.urgent.other_left(queued.bytes, others);
        Some(queued)
    }

    /// As [`pop`](Self::pop), where all that waits does so in lanes.
    #[inline(never)]
    fn pop_by_turns(&mut self) -> Option<Queued> {
        let popped = self.lanes.pop()?;
        Some(self.has_left(popped))
    }

    /// Counts what was in a lane.
    fn has_left(&mut self, (queued, relieved): (Queued, Option<Lane>)) -> Queued {
        self.bytes -= queued.bytes;
        self.cost -= queued.cost;
        self.relieved.extend(relieved);
        queued
    }

    /// Counts what was at the front of `first`.
    #[inline]
    fn first_has_left(&mut self, bytes: usize, cost: usize) {
        self.bytes -= bytes;
        self.cost -= cost;
        self.first_bytes -= bytes;
        if self.first.is_empty() && self.first.capacity() > 1024 {
            // An idle link keeps no trace of its busiest moment.
            self.first = VecDeque::new();
        }
    }

    /// Whether anything waits that isn't urgent.
    fn has_others(&self) -> bool {
        !self.first.is_empty() || !self.lanes.is_empty()
    }

    /// Takes out what waits in turns of a stream that has ended: nobody will read it. What is to be written in order of
    /// submission stays until its time comes, which is bounded by [`FIRST`].
    pub(super) fn remove(&mut self, stream: Lane) -> impl Iterator<Item = Message> + use<> {
        let mut removed = self.lanes.remove(stream);
        if removed.is_empty() && !self.urgent.is_empty() {
            removed = self.urgent.remove(stream);
        }
        for queued in &removed {
            self.bytes -= queued.bytes;
            self.cost -= queued.cost;
        }
        self.settle();
        removed.into_iter().map(|queued| queued.message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && !self.has_others()
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
        self.settle();
        self.urgent
            .drain()
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
    fn push(queue: &mut OutQueue, mux: u64, len: usize, urgent: bool) {
        let mut message = Message::new(Op::Request, MuxId::new(mux));
        message.payload = vec![7; len].into();
        queue.push(message, 0, urgent);
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
