//! The numbers of a link, which never go back: those of the sessions before, and of the one that is not among them yet.

use std::sync::Arc;

use parking_lot::Mutex;

use super::shared::LinkShared;
use crate::{
    session::Session,
    stats::{LinkStats, SessionStats},
};

/// The session that counts for itself, live or on its way down.
#[derive(Default)]
pub(crate) struct Counted(Mutex<Option<Arc<Session>>>);

/// From the beginning of a session until its numbers are among those of the sessions before; so it is also where the
/// runtime ends under it.
pub(crate) struct Counting<'a>(&'a LinkShared);

impl<'a> Counting<'a> {
    pub(crate) fn new(link: &'a LinkShared, session: &Arc<Session>) -> Self {
        let before = link.counted.0.lock().replace(session.clone());
        drop(before);
        Self(link)
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let mut counted = self.0.counted.0.lock();
        let session = counted.take();
        if let Some(session) = &session {
            self.0.counters.absorb(&session.stats());
        }
        drop(counted);
        drop(session);
    }
}

impl LinkShared {
    /// The link in numbers.
    pub(crate) fn stats(&self) -> LinkStats {
        // Held to the end, so that nothing is counted twice or not at all.
        let counted = self.counted.0.lock();
        let current = counted.as_ref().map(|session| session.stats());
        let current = match (current, self.session()) {
            (Some(live), Some(_)) => live,
            // What is open or waits there is nobody's any more.
            (Some(ending), None) => SessionStats {
                counters: ending.counters,
                bytes_in: ending.bytes_in,
                bytes_out: ending.bytes_out,
                ..SessionStats::default()
            },
            (None, _) => SessionStats::default(),
        };
        self.counters.snapshot(
            self.name.clone(),
            self.dials,
            self.state(),
            self.handlers.used(),
            &current,
        )
    }
}
