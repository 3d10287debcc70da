//! What can be read off a connection.

use std::{fmt, time::Duration};

use crate::MuxId;

use super::{Connection, counters::Counters, error::CloseReason, event::Ticket};

impl Connection {
    /// Why the connection ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Whether a message of the application would be admitted to the queue.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether an urgent request, opening or answer was refused for want of [room](Self::has_room) and may be admitted now,
    /// since half of what is reserved for such is free; says so once. Urgent items are told by their events.
    #[must_use]
    pub fn take_urgent_room(&mut self) -> bool {
        self.queue.take_urgent_room()
    }

    /// Whether nothing is open, being served, or waiting to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.served.is_empty()
            && self.incoming.is_empty()
            && !self.wants_transmit()
    }

    /// The number of the next call: where the next connection of the link goes on.
    #[must_use]
    pub fn next_mux(&self) -> MuxId {
        MuxId::new(self.next_mux)
    }

    /// Single requests of ours that wait for their answer.
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.open_requests
    }

    /// Streams of ours that are open.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.calls.len() - self.open_requests
    }

    /// Single requests of the peer that are being served.
    #[must_use]
    pub fn serving_requests(&self) -> usize {
        self.served.len()
    }

    /// Whether somebody waits for the answer to this request; `None` where it has been answered. Nobody does once
    /// [`Event::RequestCancelled`](super::Event::RequestCancelled) is told of it, or the connection has ended.
    #[must_use]
    pub fn is_awaited(&self, ticket: Ticket) -> Option<bool> {
        if self.closed.is_some() {
            return Some(false);
        }
        let served = self.served.get(&ticket.serial)?;
        Some(!served.cancelled)
    }

    /// Whether [`poll_event`](Self::poll_event) has something to give.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether all credit is back of a stream of ours that is acknowledged, or of one that is served; `None` where there
    /// is no such stream.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn has_all_credit(&self, mux: MuxId, served: bool) -> Option<bool> {
        let credits = if served {
            self.incoming.get(&mux.get())?.credits
        } else {
            match self.calls.get(&mux.get())? {
                super::outgoing::Call::Stream(stream) => stream.credits,
                _ => return None,
            }
        };
        Some(credits.is_whole())
    }

    /// Streams of the peer that are being served.
    #[must_use]
    pub fn serving_streams(&self) -> usize {
        self.incoming.len()
    }

    /// Timers that are set: never more than there are open muxes.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes() + self.control_bytes
    }

    /// What counts against [`Config::max_queued_bytes`](super::Config::max_queued_bytes): [`QUEUED_COST`](super::QUEUED_COST)
    /// for each message beside its payload, and texts that will come into the queue. When it falls there may be room
    /// in [`Config::queued`](super::Config::queued), also for other connections.
    #[must_use]
    pub fn queued_cost(&self) -> usize {
        self.queue.cost()
    }

    /// The round-trip time that the last ping of the link measured.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// Counts since the connection was made.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("next_mux", &self.next_mux)
            .field("open_requests", &self.open_requests)
            .field("open_streams", &self.open_streams())
            .field("serving_requests", &self.served.len())
            .field("serving_streams", &self.incoming.len())
            .field("queued_bytes", &self.queued_bytes())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
