//! What the leader says to a follower, and what it gets back: the part that all nodes share.

use grid_typed::{Capacity, HandlerId, Streaming};
use serde::{Deserialize, Serialize};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its place, from 0.
    pub(crate) index: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) data: Vec<u8>,
}

/// What opens the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// How many entries the leader has: a follower of it can't have more.
    pub(crate) entries: u64,
}

/// How many entries a follower has stored: the first item of the stream, so that the leader knows where
/// to go on, and then one for each entry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) entries: u64,
}

/// How many entries may be on their way to a follower, or wait there to be stored. One that is slower
/// than the others has no more than these waiting for it, and holds up nobody.
pub(crate) const WINDOW: u32 = 16;

/// Entries to the follower, and what it has stored back. One stream for as long as the link lives.
pub(crate) static FOLLOW: Streaming<Opening, Entry, Stored> =
    Streaming::new(HandlerId::new(230), Capacity::new(WINDOW, WINDOW));
