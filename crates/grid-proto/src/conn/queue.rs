//! What waits to be written: in order of submission, bounded by bytes.

use std::{collections::VecDeque, sync::Arc};

use crate::wire::Message;

use super::budget::{Budget, Charge};

/// A message that waits. It gets its sequence number and its deadline when it leaves, so that what a mux owes may go
/// before it and what was cancelled meanwhile leaves no gap.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Message,
    /// The serial of the stream that it answers, where it belongs to one that we serve.
    pub(super) serial: u64,
    bytes: usize,
    cost: usize,
    _node: Charge,
}

/// What a message that waits to be written counts beside its payload: its entry, and the room that the queue keeps ready
/// to grow.
pub const QUEUED_COST: usize = 2 * size_of::<Queued>();

#[derive(Debug)]
pub(super) struct OutQueue {
    entries: VecDeque<Queued>,
    bytes: usize,
    /// What all of it takes in memory, which is what the limit is for: millions of small answers would fit by their
    /// bytes.
    cost: usize,
    limit: usize,
    node: Option<Arc<Budget>>,
}

impl OutQueue {
    pub(super) fn new(limit: usize, node: Option<Arc<Budget>>) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            cost: 0,
            limit,
            node,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.cost < self.limit && self.node.as_ref().is_none_or(|node| node.has_room())
    }

    /// Adds a message. Whoever adds one of a user's asks [`has_room`](Self::has_room) first; what ends a stream always
    /// goes in, one at the most for each.
    pub(super) fn push(&mut self, message: Message, serial: u64) {
        let bytes = message.encoded_len();
        let cost = message.payload.len() + QUEUED_COST;
        let node = self
            .node
            .as_ref()
            .map(|node| node.charge_over(cost))
            .unwrap_or_default();
        self.bytes += bytes;
        self.cost += cost;
        self.entries.push_back(Queued {
            message,
            serial,
            bytes,
            cost,
            _node: node,
        });
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        let queued = self.entries.pop_front()?;
        self.bytes -= queued.bytes;
        self.cost -= queued.cost;
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            // An idle link keeps no trace of its busiest moment.
            self.entries = VecDeque::new();
        }
        Some(queued)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Empties the queue and gives what was in it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Message> + use<> {
        (self.bytes, self.cost) = (0, 0);
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|queued| queued.message)
    }

    /// Swaps the last two entries: only a planted fault does that.
    #[cfg(feature = "__faults")]
    pub(super) fn swap_last(&mut self) {
        let len = self.entries.len();
        if len >= 2 {
            self.entries.swap(len - 1, len - 2);
        }
    }
}
