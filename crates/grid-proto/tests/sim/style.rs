//! What kind of history it is: how the link and the nodes are set.

use std::time::Duration;

use crate::rng::Rng;

#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) checksums: bool,
    pub(crate) peer_cancels: bool,
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
    /// How long a write keeps the writer busy at the most, in microseconds.
    pub(crate) write_time: u64,
    /// How much is gathered for a write.
    pub(crate) batch: usize,
    /// How many cuts of a hundred are restarts of a node.
    pub(crate) restarts: u64,
    pub(crate) longest_work: u64,
    /// How long a caller waits at the most before it cancels a stream, in microseconds.
    pub(crate) longest_use: u64,
}

impl Style {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let small_limits = rng.percent(15);
        let long_stalls = rng.percent(12);
        let seconds = |rng: &mut Rng, from: &[u64]| Duration::from_secs(rng.pick(from));
        Self {
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
            max_inbound: if rng.percent(10) { 2_000 } else { 128 << 20 },
            long_stalls,
            longest_use: if long_stalls { 12_000_000 } else { 150_000 },
            latency: rng.pick(&[300, 3_000, 30_000]),
            write_time: rng.pick(&[0, 200, 3_000]),
            batch: rng.pick(&[1, 200, 4_096, 31 << 10]),
            restarts: rng.pick(&[0, 40, 80]),
            longest_work: if rng.percent(20) {
                4_000_000
            } else {
                1_500_000
            },
        }
    }

    pub(crate) fn small_limits(&self) -> bool {
        self.max_streams < 100
    }

    pub(crate) fn tight(&self) -> bool {
        self.max_inbound < 1 << 20
    }
}
