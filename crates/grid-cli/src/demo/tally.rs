//! The counts of a node, shared by everything that works in it.

use std::sync::{Mutex, PoisonError};

use super::message::PeerTally;

/// What a node has done so far, by peer.
#[derive(Debug)]
pub(super) struct Tally(Mutex<Vec<PeerTally>>);

impl Tally {
    pub(super) fn new(peers: usize) -> Self {
        Self(Mutex::new(vec![PeerTally::default(); peers]))
    }

    /// Counts something about a peer.
    pub(super) fn count(&self, peer: usize, count: impl FnOnce(&mut PeerTally)) {
        if let Some(tally) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(peer)
        {
            count(tally);
        }
    }

    pub(super) fn snapshot(&self) -> Vec<PeerTally> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
