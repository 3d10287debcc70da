//! Turns: where much waits to be written, each stream gets a little at a time, and single requests every second turn.

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

/// The row of one stream: the order inside it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A stream of ours.
    Caller(MuxId),
    /// A stream that we serve; not only its mux, which the peer may use again at once.
    Handler(ServeId),
}

impl Lane {
    /// None for single requests and their answers, which have one row together.
    fn of(queued: &Queued) -> Option<Self> {
        match queued.message.op {
            Op::ConnectMux | Op::MuxClientMsg => Some(Self::Caller(queued.message.mux)),
            Op::MuxServerMsg => Some(Self::Handler(ServeId {
                mux: queued.message.mux,
                serial: queued.serial,
            })),
            _ => None,
        }
    }
}

impl Hash for Lane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two words for each: the hasher folds words.
        let (mux, serial) = match self {
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

impl Waiting {
    fn push(&mut self, queued: Queued) {
        self.cost += queued.cost;
        self.entries.push_back(queued);
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.entries.pop_front()?;
        self.cost -= queued.cost;
        self.taken += queued.bytes;
        Some(queued)
    }

    /// Whether the turn is over that has lasted until now; if so the next one begins.
    fn ends_turn(&mut self, turn: usize) -> bool {
        let ends = self.entries.is_empty() || self.taken >= turn;
        if ends {
            self.taken = 0;
        }
        ends
    }
}

/// What waits of single requests, and the lanes in which something of a stream waits; each of these is in `turns`
/// exactly once.
///
/// While both wait, a turn of the singles follows each turn of a stream: those of a thousand callers are one row, which
/// among many streams would get the share of one.
#[derive(Debug)]
pub(super) struct Lanes {
    singles: Waiting,
    /// The turn is that of the singles, if there are any.
    singles_next: bool,
    waiting: HashMap<Lane, Waiting, Seeded>,
    /// Those of streams that have ended may be among them still.
    turns: VecDeque<Lane>,
    turn: usize,
    share: usize,
}

impl Lanes {
    pub(super) fn new(hash_seed: u64, limit: usize) -> Self {
        Self::with_share(hash_seed, limit, SHARE)
    }

    /// As [`new`](Self::new), where one stream has at most so much in its lane.
    pub(super) fn with_share(hash_seed: u64, limit: usize, share: usize) -> Self {
        Self {
            singles: Waiting::default(),
            singles_next: true,
            waiting: HashMap::with_hasher(Seeded(hash_seed)),
            turns: VecDeque::new(),
            turn: TURN.min(limit / 16),
            share: share.min(limit / 4),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.singles.entries.is_empty() && self.waiting.is_empty()
    }

    /// What all that waits of single requests and answers counts.
    pub(super) fn cost_of_singles(&self) -> usize {
        self.singles.cost
    }

    pub(super) fn is_full(&mut self, lane: Lane) -> bool {
        self.has_more_than(self.share, lane)
    }

    /// Whether more than this waits in a lane, whose sender waits then until it has [some room](Self::pop).
    pub(super) fn has_more_than(&mut self, most: usize, lane: Lane) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let Some(waiting) = self.waiting.get_mut(&lane) else {
            return false;
        };
        let full = waiting.cost > most;
        waiting.refused |= full;
        full
    }

    pub(super) fn push(&mut self, queued: Queued) {
        let Some(lane) = Lane::of(&queued) else {
            return self.singles.push(queued);
        };
        let waiting = self.waiting.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            Waiting::default()
        });
        waiting.push(queued);
    }

    /// The next of those whose turn it is, and the lane where its sender waits for room in it and has some now.
    pub(super) fn pop(&mut self) -> Option<(Queued, Option<Lane>)> {
        if (self.singles_next || self.waiting.is_empty())
            && let Some(queued) = self.pop_single()
        {
            return Some((queued, None));
        }
        self.pop_of_stream()
    }

    fn pop_single(&mut self) -> Option<Queued> {
        let queued = self.singles.pop()?;
        self.singles_next = !self.singles.ends_turn(self.turn);
        if self.singles.entries.is_empty() && self.singles.entries.capacity() > 64 {
            self.singles.entries = VecDeque::new();
        }
        Some(queued)
    }

    fn pop_of_stream(&mut self) -> Option<(Queued, Option<Lane>)> {
        let (lane, waiting) = loop {
            let lane = *self.turns.front()?;
            match self.waiting.get_mut(&lane) {
                Some(waiting) => break (lane, waiting),
                None => self.turns.pop_front(),
            };
        };
        let queued = waiting.pop()?;
        let mut relieved = None;
        // Half of it is free by then, so that a sender that is woken has something to do.
        if waiting.refused && waiting.cost <= self.share / 2 {
            waiting.refused = false;
            relieved = Some(lane);
        }
        if waiting.ends_turn(self.turn) {
            self.singles_next = true;
            if waiting.entries.is_empty() {
                self.waiting.remove(&lane);
                self.turns.pop_front();
                self.release();
            } else {
                self.turns.rotate_left(1);
            }
        }
        Some((queued, relieved))
    }

    /// Takes out all of a stream's that has ended.
    pub(super) fn remove(&mut self, lane: Lane) -> VecDeque<Queued> {
        if self.waiting.is_empty() {
            return VecDeque::new();
        }
        let Some(waiting) = self.waiting.remove(&lane) else {
            return VecDeque::new();
        };
        // It was its turn, which is over.
        self.singles_next |= waiting.taken > 0;
        // To look for its turn costs as much as there are lanes: they are looked through once for many that have gone.
        if self.turns.len() > 2 * self.waiting.len() + MOST_STALE {
            self.turns.retain(|lane| self.waiting.contains_key(lane));
        }
        self.release();
        waiting.entries
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Queued> + use<> {
        let singles = std::mem::take(&mut self.singles).entries;
        let turns = std::mem::take(&mut self.turns);
        let empty = HashMap::with_hasher(*self.waiting.hasher());
        let mut waiting = std::mem::replace(&mut self.waiting, empty);
        let streams = turns
            .into_iter()
            .filter_map(move |lane| waiting.remove(&lane))
            .flat_map(|waiting| waiting.entries);
        singles.into_iter().chain(streams)
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
    fn a_turn_is_over_when_its_stream_ends() {
        let mut lanes = Lanes::new(7, 1 << 20);
        for serial in 0..3 {
            (0..2).for_each(|_| lanes.push(item(serial)));
        }
        let mut single = item(9);
        single.message.op = Op::Request;
        assert_eq!(lanes.pop().map(|(queued, _)| queued.serial), Some(0));
        lanes.singles_next = false;
        lanes.push(single);
        assert_eq!(lanes.remove(lane(2)).len(), 2, "it wasn't its turn");
        assert!(!lanes.singles_next);
        assert_eq!(lanes.remove(lane(0)).len(), 1);
        let serials: Vec<_> = std::iter::from_fn(|| lanes.pop())
            .map(|(queued, _)| queued.serial)
            .collect();
        assert_eq!(serials, [9, 1, 1]);
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
