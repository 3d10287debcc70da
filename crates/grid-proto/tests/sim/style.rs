//! What kind of history it is: how many nodes there are, and how they and their links are set.

use std::time::Duration;

use crate::{
    node::Kind,
    rng::{Rng, mix},
};

#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) nodes: usize,
    /// What the last node is; the others are ours.
    pub(crate) guest: Kind,
    pub(crate) checksums: bool,
    /// Nodes of ours know that the others are, and cancel requests.
    pub(crate) peer_cancels: bool,
    /// Who of those is known to count credit.
    pub(crate) counts: Counts,
    pub(crate) ping: Duration,
    pub(crate) stream_ping: Duration,
    pub(crate) default_deadline: Duration,
    pub(crate) max_requests: usize,
    pub(crate) max_streams: usize,
    pub(crate) max_queued: usize,
    pub(crate) max_inbound: usize,
    /// The link stands still for so long that streams and connections die of it.
    pub(crate) long_stalls: bool,
    /// How long a frame travels at the most, in microseconds.
    pub(crate) latency: u64,
    /// Bytes in a second; 0 for any number.
    pub(crate) bandwidth: u64,
    /// How long a write keeps the writer busy at the most, in microseconds.
    pub(crate) write_time: u64,
    /// How much is gathered for a write.
    pub(crate) batch: usize,
    /// Whether what came of a torn frame is handed to the reader, or dropped before it.
    pub(crate) reads_torn: bool,
    /// How many cuts of a hundred are restarts of a node.
    pub(crate) restarts: u64,
    /// How many cuts of a hundred are such that a side isn't told.
    pub(crate) silent: u64,
    pub(crate) longest_work: u64,
    /// How long a caller waits at the most before it cancels a stream, in microseconds.
    pub(crate) longest_use: u64,
    /// How far the wall clocks are apart at the most, either way from the truth, in microseconds.
    pub(crate) skew: i64,
    /// Wall clocks jump.
    pub(crate) jumps: bool,
}

/// Who of our nodes says that it counts credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    All,
    /// One end of each link.
    One,
    Nobody,
}

impl Counts {
    /// Drawn by itself, so that all else about a seed stays as it was.
    pub(crate) fn of(seed: u64) -> Self {
        match mix(seed, 0, 12) % 3 {
            0 => Self::All,
            1 => Self::One,
            _ => Self::Nobody,
        }
    }
}

impl Style {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let small_limits = rng.percent(15);
        let long_stalls = rng.percent(12);
        let seconds = |rng: &mut Rng, from: &[u64]| Duration::from_secs(rng.pick(from));
        let nodes = rng.pick(&[2, 2, 2, 3, 3, 4, 5]);
        let guest = match rng.below(20) {
            0..=3 => Kind::Reference,
            4..=5 => Kind::Hostile,
            _ => Kind::Ours,
        };
        Self {
            // What a hostile node must not hurt is there.
            nodes: if guest == Kind::Hostile {
                nodes.max(3)
            } else {
                nodes
            },
            guest,
            checksums: rng.percent(80),
            peer_cancels: rng.percent(50),
            ping: seconds(
                rng,
                if long_stalls {
                    &[10, 10, 10, 1]
                } else {
                    &[10, 10, 1]
                },
            ),
            stream_ping: seconds(
                rng,
                if long_stalls {
                    &[15, 1, 1, 1]
                } else {
                    &[15, 1]
                },
            ),
            default_deadline: seconds(rng, &[60, 3]),
            max_requests: if small_limits { 6 } else { 65_536 },
            max_streams: if small_limits { 4 } else { 16_384 },
            max_queued: rng.pick(&[64 << 20, 64 << 20, 4_096, 300]),
            max_inbound: if rng.percent(10) && guest != Kind::Hostile {
                2_000
            } else {
                128 << 20
            },
            long_stalls,
            longest_use: if long_stalls { 12_000_000 } else { 150_000 },
            latency: rng.pick(&[300, 3_000, 30_000]),
            bandwidth: rng.pick(&[0, 0, 0, 10 << 20, 1 << 20, 256 << 10]),
            write_time: rng.pick(&[0, 200, 3_000]),
            batch: rng.pick(&[1, 200, 4_096, 31 << 10]),
            reads_torn: rng.percent(50),
            restarts: rng.pick(&[0, 20, 40]),
            silent: rng.pick(&[0, 0, 0, 15, 40]),
            longest_work: if rng.percent(20) {
                4_000_000
            } else {
                1_500_000
            },
            skew: rng.pick(&[0, 1_000_000, 149_000_000]),
            jumps: rng.percent(12),
            counts: Counts::All,
        }
    }

    pub(crate) fn small_limits(&self) -> bool {
        self.max_streams < 100
    }

    pub(crate) fn tight(&self) -> bool {
        self.max_inbound < 1 << 20
    }

    /// What a node is.
    pub(crate) fn kind(&self, node: usize) -> Kind {
        if node + 1 == self.nodes {
            self.guest
        } else {
            Kind::Ours
        }
    }

    /// The ends of links: each node is joined to each other.
    pub(crate) fn ends(&self) -> usize {
        self.nodes * (self.nodes - 1)
    }

    /// How far a node's wall clock is ahead at first.
    pub(crate) fn skew(&self, node: usize) -> i64 {
        let range = 2 * self.skew.unsigned_abs() + 1;
        let ahead = mix(node as u64, self.latency, 3) % range;
        ahead as i64 - self.skew
    }
}
