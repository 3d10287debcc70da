//! The link between the two nodes: bytes under way in two directions.

use std::collections::VecDeque;

use bytes::Bytes;
use grid_proto::wire::{Message, encode_merged};

use crate::rng::Rng;

/// One direction. Times are in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    frames: VecDeque<(u64, Bytes)>,
    last_arrival: u64,
    /// Nothing arrives before.
    pub(crate) stalled_until: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// What node 0 sends, what node 1 sends.
    pub(crate) lanes: [Lane; 2],
}

impl Lane {
    /// Takes frames in; they arrive in the order in which they were sent.
    pub(crate) fn send(&mut self, now: u64, travel: u64, frames: Vec<Bytes>) {
        self.last_arrival = self.last_arrival.max(now + travel);
        let arrival = self.last_arrival;
        self.frames
            .extend(frames.into_iter().map(|frame| (arrival, frame)));
    }

    /// When the next frame arrives.
    pub(crate) fn next(&self) -> Option<u64> {
        self.frames
            .front()
            .map(|(arrival, _)| (*arrival).max(self.stalled_until))
    }

    pub(crate) fn pop(&mut self, now: u64) -> Option<Bytes> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.frames.pop_front().map(|(_, frame)| frame))
            .flatten()
    }

    /// What still gets through when the link is cut: some frames, and then a part of one, at any byte.
    pub(crate) fn cut(&mut self, rng: &mut Rng) -> (Vec<Bytes>, Option<Bytes>) {
        let whole = rng.index(self.frames.len() + 1);
        let mut through: Vec<Bytes> = Vec::new();
        for _ in 0..whole {
            through.extend(self.frames.pop_front().map(|(_, frame)| frame));
        }
        let torn = self.frames.pop_front().map(|(_, frame)| {
            let end = rng.index(frame.len());
            frame.slice(..end)
        });
        *self = Self::default();
        (through, torn)
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
