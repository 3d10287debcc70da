//! What lies between two nodes: bytes under way in two directions, of the newest socket.

use std::collections::VecDeque;

use bytes::Bytes;
use grid_proto::wire::{ConnectRejection, Message, Timestamp, encode_merged};

use crate::rng::{Rng, mix};

/// What a socket takes before its writer has to wait.
const BUFFER: u64 = 64 << 10;

/// What arrives of a socket.
#[derive(Debug)]
pub(crate) enum Carried {
    Frame(Bytes),
    /// A part of a frame, after which nothing comes.
    Torn(Bytes),
    /// The other end has closed the socket.
    End,
}

/// One direction. Times are in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queue: VecDeque<(u64, Carried)>,
    last_arrival: u64,
    /// When the last byte that was sent has left.
    free_at: u64,
    /// Nothing arrives before.
    pub(crate) stalled_until: u64,
    /// What is sent gets lost, and nobody is told.
    pub(crate) dead: bool,
    /// The lengths of the frames that were sent.
    pub(crate) frames: Vec<usize>,
    /// The frame, and of which byte on, that is not sent any more: the link is cut there.
    pub(crate) tear: Option<(usize, usize)>,
    /// A frame was torn: nothing is sent behind it.
    pub(crate) torn: bool,
}

/// The newest socket between two nodes. Of an older one that an end still holds nothing arrives.
#[derive(Debug)]
pub(crate) struct Link {
    seed: u64,
    pub(crate) rng: Rng,
    /// Names the socket; 0 before there was one.
    pub(crate) socket: u32,
    /// Bytes arrive.
    pub(crate) alive: bool,
    /// Something has gone wrong with this socket that may end what it carries.
    pub(crate) trouble: bool,
    /// Until when no socket carries anything.
    pub(crate) outage_until: u64,
    /// Since when nothing has kept the two nodes from finding each other.
    pub(crate) fit_since: u64,
    /// What the dialer's clock showed when it dialed, and what the acceptor said to it.
    pub(crate) dialed: Option<Timestamp>,
    pub(crate) verdict: Option<Result<(), ConnectRejection>>,
    /// What the lower end sends, what the higher end sends.
    pub(crate) lanes: [Lane; 2],
}

impl Lane {
    /// Takes something in that has `len` bytes; things arrive in the order in which they were sent.
    pub(crate) fn send(&mut self, now: u64, travel: u64, bandwidth: u64, carried: Carried) {
        let len = match &carried {
            Carried::Frame(bytes) | Carried::Torn(bytes) => bytes.len() as u64,
            Carried::End => 0,
        };
        self.free_at = self.free_at.max(now);
        self.free_at += (len * 1_000_000).checked_div(bandwidth).unwrap_or(0);
        self.last_arrival = self.last_arrival.max(self.free_at + travel);
        if !self.dead && !self.torn {
            self.queue.push_back((self.last_arrival, carried));
        }
    }

    /// Takes a frame in, and tears it where that was planned.
    pub(crate) fn send_frame(&mut self, now: u64, travel: u64, bandwidth: u64, frame: Bytes) {
        let number = self.frames.len();
        self.frames.push(frame.len());
        match self.tear {
            Some((torn, byte)) if torn == number => {
                let part = frame.slice(..byte.min(frame.len()));
                let carried = if part.len() == frame.len() {
                    Carried::Frame(part)
                } else {
                    Carried::Torn(part)
                };
                self.send(now, travel, bandwidth, carried);
                self.send(now, travel, bandwidth, Carried::End);
                (self.tear, self.torn) = (None, true);
            }
            _ => self.send(now, travel, bandwidth, Carried::Frame(frame)),
        }
    }

    /// Whether what was sent before has not left yet.
    pub(crate) fn is_busy(&self, now: u64) -> bool {
        self.free_at > now
    }

    /// When the writer of a socket with this bandwidth may go on.
    pub(crate) fn writable_at(&self, bandwidth: u64) -> u64 {
        match (BUFFER * 1_000_000).checked_div(bandwidth) {
            Some(buffered) => self.free_at.saturating_sub(buffered),
            None => 0,
        }
    }

    /// When something arrives next.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue
            .front()
            .map(|(arrival, _)| (*arrival).max(self.stalled_until))
    }

    pub(crate) fn pop(&mut self, now: u64) -> Option<Carried> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.queue.pop_front().map(|(_, carried)| carried))
            .flatten()
    }

    /// What still gets through when the link is cut: some frames, and then a part of one, at any byte.
    pub(crate) fn cut(&mut self, rng: &mut Rng) -> Vec<Carried> {
        let whole = rng.index(self.queue.len() + 1);
        let mut through: Vec<Carried> = Vec::new();
        for _ in 0..whole {
            through.extend(self.queue.pop_front().map(|(_, carried)| carried));
        }
        if let Some((_, Carried::Frame(frame))) = self.queue.pop_front() {
            let end = rng.index(frame.len());
            through.push(Carried::Torn(frame.slice(..end)));
        }
        self.queue.clear();
        through
    }

    /// Nothing of what is under way arrives.
    pub(crate) fn lose(&mut self) {
        self.queue.clear();
    }
}

impl Link {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::new(seed),
            socket: 0,
            alive: false,
            trouble: false,
            outage_until: 0,
            fit_since: 0,
            dialed: None,
            verdict: None,
            lanes: Default::default(),
        }
    }

    /// A new socket; what the last one carried is lost.
    pub(crate) fn dial(&mut self, now: u64, wall: Timestamp) {
        self.socket += 1;
        self.rng = Rng::new(mix(self.seed, u64::from(self.socket), 0));
        let tears = [self.lanes[0].tear, self.lanes[1].tear];
        self.lanes = Default::default();
        for (lane, tear) in self.lanes.iter_mut().zip(tears) {
            lane.tear = tear;
        }
        self.alive = now >= self.outage_until;
        self.trouble = !self.alive;
        (self.dialed, self.verdict) = (Some(wall), None);
    }
}

/// The frames that messages travel in: each alone, all in one, or some of both.
pub(crate) fn frames(rng: &mut Rng, messages: &[Message]) -> Vec<Bytes> {
    let together = match rng.below(4) {
        0 => 1,
        1 => rng.range(2, 5) as usize,
        _ => messages.len().max(1),
    };
    messages
        .chunks(together)
        .map(|chunk| {
            let mut bytes = Vec::new();
            match chunk {
                [single] => single.encode(&mut bytes),
                _ => encode_merged(chunk, &mut bytes),
            }
            bytes.into()
        })
        .collect()
}
