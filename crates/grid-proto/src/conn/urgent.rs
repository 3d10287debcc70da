//! What is urgent and waits to be written: it goes before all else, in turns of its own, until it has had its part.

use std::collections::{HashSet, VecDeque};

use crate::wire::{Message, Op};

use super::{
    error::SendError,
    lanes::{Lane, Lanes},
    queue::{Queued, cost},
    table::Seeded,
};

/// What is urgent and waits may take beyond the limits of the queue and the node, whole: where bulk data fills these, what
/// others wait for must not wait with it. Single requests and answers may take so much, and what streams send likewise:
/// however much there is of one kind, the other has its own. What is more, or larger, has no other rights than all else.
///
/// A quarter of the queue at the most: both together must leave room for what isn't urgent.
const RESERVE: usize = 256 << 10;

/// What of the reserve one stream may have, and what may wait of it before its sender waits: less than one that isn't urgent
/// may, so that none has the reserve for itself.
const SHARES: usize = 4;

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
    /// That of single requests and answers, and that of streams.
    reserve: usize,
    /// Streams that found their reserve taken.
    waiting: HashSet<Lane, Seeded>,
    /// So did a single request or an answer which half of the reserve has room for.
    refused_single: bool,
    /// So did the opening of a stream.
    refused_opening: bool,
    /// What all of it counts.
    cost: usize,
    /// How far it is ahead of its part, while others wait.
    lead: usize,
}

impl Urgent {
    pub(super) fn new(hash_seed: u64, limit: usize) -> Self {
        let reserve = RESERVE.min(limit / 4);
        Self {
            lanes: Lanes::with_share(hash_seed, limit, reserve / SHARES),
            reserve,
            waiting: HashSet::with_hasher(Seeded(hash_seed)),
            refused_single: false,
            refused_opening: false,
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

    /// Whether a message may wait though the queue is full, one that is no item. Who is refused waits for room as all others
    /// do, and for [some of the reserve](Self::take_room).
    pub(super) fn has_reserve_for(&mut self, message: &Message) -> bool {
        let cost = cost(message.payload.len());
        let has_reserve = match message.op {
            Op::ConnectMux => self.has_reserve_of_streams(cost),
            _ => self.lanes.cost_of_singles() + cost <= self.reserve,
        };
        // Where one half is free all of these go in; a larger one, which is told then, might be refused again and again.
        let is_told = !has_reserve && cost <= self.reserve / 2;
        match message.op {
            Op::ConnectMux => self.refused_opening |= is_told,
            _ => self.refused_single |= is_told,
        }
        has_reserve
    }

    fn has_reserve_of_streams(&self, cost: usize) -> bool {
        cost <= self.share() && self.cost_of_streams() + cost <= self.reserve
    }

    fn share(&self) -> usize {
        self.reserve / SHARES
    }

    fn cost_of_streams(&self) -> usize {
        self.cost - self.lanes.cost_of_singles()
    }

    /// Whether one was refused for whom there is room now; says so once.
    pub(super) fn take_room(&mut self) -> bool {
        let half = self.reserve / 2;
        let single = self.refused_single && self.lanes.cost_of_singles() <= half;
        let opening = self.refused_opening && self.cost_of_streams() <= half;
        self.refused_single &= !single;
        self.refused_opening &= !opening;
        single || opening
    }

    /// The streams that found their reserve taken, once half of it is free.
    pub(super) fn take_waiting(&mut self) -> Vec<Lane> {
        if self.cost_of_streams() > self.reserve / 2 {
            return Vec::new();
        }
        self.waiting.drain().collect()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether an item of this stream may wait that counts `cost`; `room` is whether anything else might.
    ///
    /// # Errors
    /// [`SendError::NoCredit`] where the stream has its share waiting, or others have the reserve, and is told when that is no
    /// longer so; [`SendError::QueueFull`] where an item of its size has to wait for room as all others do.
    pub(super) fn admit_item(
        &mut self,
        stream: Lane,
        cost: usize,
        room: bool,
    ) -> Result<(), SendError> {
        let share = self.share();
        let has_enough = if room {
            self.lanes.is_full(stream)
        } else if cost > share {
            return Err(SendError::QueueFull);
        } else if self.has_reserve_of_streams(cost) {
            self.lanes.has_more_than(share - cost, stream)
        } else {
            self.waiting.insert(stream);
            true
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
        self.waiting.clear();
        self.lanes.drain()
    }
}

#[cfg(test)]
#[path = "urgent_tests.rs"]
mod tests;
