//! What a connection is told when it is made: limits, periods, and what chance or a clock would give.

use std::{sync::Arc, time::Duration};

use crate::{MuxId, wire::Timestamp};

use super::budget::Budget;

/// Settings of one [`Connection`](super::Connection).
///
/// Times are in 1 ms to 2^32 - 1 ms, which is what a message has room for, and a message is below 4 GiB; a value beyond
/// is taken for the nearest.
///
/// The defaults are those of a node; `wall_clock`, `first_mux`, `generation` and `hash_seed` are what differs from one
/// connection to the next.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Whether messages carry a checksum; not when both names begin with `https://` (protocol section 3).
    pub checksums: bool,
    /// The number of the first call; goes on over reconnects ([`Connection::next_mux`](super::Connection::next_mux)).
    pub first_mux: MuxId,
    /// Tells this connection from earlier and later ones of its link, so that a late answer finds no call.
    pub generation: u32,
    /// A secret number: keeps a peer from choosing mux ids that meet in one slot of a table.
    pub hash_seed: u64,
    /// The wall clock at the time that the connection is made; only pings carry it.
    pub wall_clock: Timestamp,
    /// Whether the peer is a node of ours, which ends a single request's handler when its caller gives up.
    pub peer_cancels_requests: bool,
    /// Whether the peer is a node of ours that counts credit: several are returned to it by one message, whose
    /// `deadline_ms` says how many. What it returns itself is always read so.
    pub peer_counts_credit: bool,
    /// How often the link is pinged; it is lost when no byte came for two periods (10 s).
    pub ping_interval: Duration,
    /// How often a long stream is pinged by its caller; lost when nothing came for two periods (15 s), or sixteen
    /// where pings of the link that left no earlier are not answered in time either, since pongs wait behind bulk
    /// data; with less than `ping_interval` there may be none that did. Other nodes stop a handler that has not been
    /// pinged for 60 s, so more than half of that is too much.
    pub stream_ping_interval: Duration,
    /// The deadline of a single request that sets none (60 s).
    pub default_deadline: Duration,
    /// The largest encoded message (64 MiB).
    pub max_message: usize,
    /// Single requests in progress, in each direction (65,536).
    pub max_requests: usize,
    /// Streams open, in each direction (16,384).
    pub max_streams: usize,
    /// Bytes waiting to be written, each message with what its entry takes; a message is admitted while the queue is
    /// below it (64 MiB).
    pub max_queued_bytes: usize,
    /// Bytes of answers that belong to no mux, such as refusals. A peer that leaves more waiting for a second, or four
    /// times as much at any time, does not read (1 MiB).
    pub max_control_bytes: usize,
    /// Messages for muxes that are not open, beyond what may come late for those that were, which are no abuse yet: what
    /// an honest peer had waiting when an
    /// earlier connection ended comes out on this one, and the queue of a MinIO node holds 65,535 (65,536).
    pub max_leftovers: u32,
    /// Messages within a ping period that no honest peer sends in number: for muxes that are not open, as far as there are
    /// more than may come late for those that were (a request allows for one, a stream for its capacities and three, and
    /// for its output and two that a MinIO node answers; of ours for two, and for four; all together for 2²²), streams that
    /// are open already, unknown ops, nested merges, pings, those of a stream where they come often, and frames that carry
    /// no message. More closes the connection (10,000).
    pub max_abuse: u32,
    /// Bytes held for handlers and readers, of this link and of its node; each item of a stream counts [`ITEM_COST`]
    /// beside its own (128 MiB). A [child](Budget::child) of the node's keeps a share of that for its link.
    ///
    /// [`ITEM_COST`]: super::ITEM_COST
    pub inbound: Arc<Budget>,
    /// Bytes waiting to be written on the whole node.
    pub queued: Option<Arc<Budget>>,
    /// A fault planted for the simulation to find.
    #[cfg(feature = "__faults")]
    pub fault: Option<super::fault::Fault>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checksums: true,
            first_mux: MuxId::new(1),
            generation: 0,
            hash_seed: 0,
            wall_clock: Timestamp::ZERO,
            peer_cancels_requests: false,
            peer_counts_credit: false,
            ping_interval: Duration::from_secs(10),
            stream_ping_interval: Duration::from_secs(15),
            default_deadline: Duration::from_secs(60),
            max_message: 64 << 20,
            max_requests: 65_536,
            max_streams: 16_384,
            max_queued_bytes: 64 << 20,
            max_control_bytes: 1 << 20,
            max_leftovers: 65_536,
            max_abuse: 10_000,
            inbound: Budget::new(128 << 20),
            queued: None,
            #[cfg(feature = "__faults")]
            fault: None,
        }
    }
}

impl Config {
    /// How many pings of one stream may come at once, when none has come for half of their period: those that became due
    /// while nothing came for as long as a link may be silent, and one more.
    pub(super) fn early_pings(&self) -> u8 {
        let silent = self.ping_interval * 2;
        let due = silent
            .as_nanos()
            .div_ceil(self.stream_ping_interval.as_nanos().max(1));
        u8::try_from(due + 1).unwrap_or(u8::MAX)
    }

    /// Takes what no message can say, what would be due for ever and what lies beyond the end of time for the nearest
    /// value that works.
    pub(super) fn keep_in_range(&mut self) {
        let range = Duration::from_millis(1)..=Duration::from_millis(u32::MAX.into());
        for time in [
            &mut self.ping_interval,
            &mut self.stream_ping_interval,
            &mut self.default_deadline,
        ] {
            *time = (*time).clamp(*range.start(), *range.end());
        }
        let longest = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        self.max_message = self.max_message.min(longest);
        // 0 is the connection itself.
        self.first_mux = self.first_mux.max(MuxId::new(1));
    }
}

/// How many items a stream may have under way in each direction, known to both nodes from the handler's definition
/// (protocol section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capacity {
    /// Items towards the handler (IN); 0 means that the stream takes none.
    pub input: u32,
    /// Items from the handler (OUT), at least 1.
    pub output: u32,
}

impl Capacity {
    /// A stream with `input` items towards the handler and `output` from it; an `output` of 0 is raised to 1, because
    /// the message that ends a stream takes a credit too.
    #[must_use]
    pub const fn new(input: u32, output: u32) -> Self {
        Self {
            input,
            output: if output == 0 { 1 } else { output },
        }
    }
}
