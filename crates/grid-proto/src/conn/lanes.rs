//! Turns: where much waits to be written, each stream gets a little at a time.

use std::{
    collections::{HashMap, VecDeque},
    hash::{Hash, Hasher},
};

use crate::{MuxId, wire::Op};

use super::{event::ServeId, queue::Queued, table::Seeded};

/// How many bytes of a lane leave before the next one has its turn: one message at least.
const TURN: usize = 16 << 10;

/// How much of the queue one stream has in its lane, at most and where the queue is large: so that no stream fills it.
const SHARE: usize = 1 << 20;

/// Turns of streams that have ended, beyond as many as there are lanes, before they are looked for.
const MOST_STALE: usize = 64;

/// What waits in one row: the order inside it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Single requests and their answers.
    Singles,
    /// A stream of ours.
    Caller(MuxId),
    /// A stream that we serve; not only its mux, which the peer may use again at once.
    Handler(ServeId),
}

impl Lane {
    fn of(queued: &Queued) -> Self {
        match queued.message.op {
            Op::ConnectMux | Op::MuxClientMsg => Self::Caller(queued.message.mux),
            Op::MuxServerMsg => Self::Handler(ServeId {
                mux: queued.message.mux,
                serial: queued.serial,
            }),
            _ => Self::Singles,
        }
    }
}

impl Hash for Lane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two words for each: the hasher folds words.
        let (mux, serial) = match self {
            Self::Singles => (0, 0),
            Self::Caller(mux) => (mux.get(), 0),
            Self::Handler(stream) => (stream.mux.get(), stream.serial.wrapping_add(1)),
        };
        state.write_u64(mux);
        state.write_u64(serial);
    }
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Queued>,
    /// What it counts of the queue, of which it has a share.
    cost: usize,
    /// What has left since its turn began.
    taken: usize,
    /// Its sender found it full, and waits.
    refused: bool,
}

/// Lanes in which something waits; each is in `turns` exactly once.
#[derive(Debug)]
pub(super) struct Lanes {
    waiting: HashMap<Lane, Waiting, Seeded>,
    /// Those of streams that have ended may be among them still.
    turns: VecDeque<Lane>,
    turn: usize,
    share: usize,
}

impl Lanes {
    pub(super) fn new(hash_seed: u64, limit: usize) -> Self {
        Self {
            waiting: HashMap::with_hasher(Seeded(hash_seed)),
            turns: VecDeque::new(),
            turn: TURN.min(limit / 16),
            share: SHARE.min(limit / 4),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&mut self, lane: Lane) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some(waiting) = self.waiting.get_mut(&lane) else {
            return false;
        };
        let full = waiting.cost > self.share;
        waiting.refused |= full;
        full
    }

    pub(super) fn push(&mut self, queued: Queued) {
        let lane = Lane::of(&queued);
        let waiting = self.waiting.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            Waiting::default()
        });
        waiting.cost += queued.cost;
        waiting.entries.push_back(queued);
    }

    /// The next of the lane whose turn it is, and that lane where its sender waits for room in it and has some now.
    pub(super) fn pop(&mut self) -> Option<(Queued, Option<Lane>)> {
        let (lane, waiting) = loop {
            let lane = *self.turns.front()?;
            match self.waiting.get_mut(&lane) {
                Some(waiting) => break (lane, waiting),
                None => self.turns.pop_front(),
            };
        };
        let queued = waiting.entries.pop_front()?;
        waiting.cost -= queued.cost;
        waiting.taken += queued.bytes;
        let mut relieved = None;
        // Half of it is free by then, so that a sender that is woken has something to do.
        if waiting.refused && waiting.cost <= self.share / 2 {
            waiting.refused = false;
            relieved = Some(lane);
        }
        if waiting.entries.is_empty() {
            self.waiting.remove(&lane);
            self.turns.pop_front();
            self.release();
        } else if waiting.taken >= self.turn {
            waiting.taken = 0;
            self.turns.rotate_left(1);
        }
        Some((queued, relieved))
    }

    /// Takes out all of a stream's that has ended.
    pub(super) fn remove(&mut self, lane: Lane) -> VecDeque<Queued> {
        let Some(waiting) = self.waiting.remove(&lane) else {
            return VecDeque::new();
        };
        // To look for its turn costs as much as there are lanes: they are looked through once for many that have gone.
        if self.turns.len() > 2 * self.waiting.len() + MOST_STALE {
            self.turns.retain(|lane| self.waiting.contains_key(lane));
        }
        self.release();
        waiting.entries
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Queued> + use<> {
        let turns = std::mem::take(&mut self.turns);
        let empty = HashMap::with_hasher(*self.waiting.hasher());
        let mut waiting = std::mem::replace(&mut self.waiting, empty);
        turns
            .into_iter()
            .filter_map(move |lane| waiting.remove(&lane))
            .flat_map(|waiting| waiting.entries)
    }

    /// An idle link keeps no trace of its busiest moment.
    fn release(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        self.turns.clear();
        if self.turns.capacity() > 1024 {
            self.turns = VecDeque::new();
        }
        if self.waiting.capacity() > 1024 {
            self.waiting.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(serial: u64) -> Queued {
        Queued::of_stream(MuxId::new(1), serial)
    }

    fn lane(serial: u64) -> Lane {
        let mux = MuxId::new(1);
        Lane::Handler(ServeId { mux, serial })
    }

    #[test]
    fn lanes_of_streams_that_have_ended_leave_nothing() {
        let mut lanes = Lanes::new(7, 1 << 20);
        lanes.push(item(0));
        for serial in 1..100_000 {
            (0..2).for_each(|_| lanes.push(item(serial)));
            assert_eq!(lanes.remove(lane(serial)).len(), 2);
            assert!(lanes.remove(lane(serial)).is_empty());
        }
        assert!(lanes.turns.len() <= MOST_STALE + 2);
        let serials: Vec<_> = std::iter::from_fn(|| lanes.pop())
            .map(|(queued, _)| queued.serial)
            .collect();
        assert_eq!(serials, [0]);
        assert!(lanes.is_empty() && lanes.turns.is_empty());
    }

    #[test]
    fn a_crowd_of_lanes_that_ends_at_once_leaves_no_memory() {
        let mut lanes = Lanes::new(7, 1 << 20);
        (0..5_000).for_each(|serial| lanes.push(item(serial)));
        for serial in 0..4_999 {
            assert_eq!(lanes.remove(lane(serial)).len(), 1);
        }
        assert_eq!(lanes.pop().map(|(queued, _)| queued.serial), Some(4_999));
        assert!(lanes.pop().is_none());
        assert!(lanes.turns.capacity() <= 1024 && lanes.waiting.capacity() <= 1024);
    }
}
