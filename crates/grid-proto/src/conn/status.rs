//! What can be read off a connection.

use std::{fmt, time::Duration};

use crate::MuxId;

use super::{Connection, counters::Counters, error::CloseReason, event::Ticket};

impl Connection {
    /// Why the connection ended, if it has.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::conn::{CloseReason, Config, Connection};
    ///
    /// let mut connection = Connection::new(Config::default(), Instant::now());
    /// assert_eq!(connection.close_reason(), None);
    /// connection.close(CloseReason::ShuttingDown);
    /// connection.close(CloseReason::Local);
    /// // What came first counts.
    /// assert_eq!(connection.close_reason(), Some(&CloseReason::ShuttingDown));
    /// ```
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Whether a message of the application would be admitted to the queue.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest, SubmitError}};
    ///
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.max_queued_bytes = 10_000;
    /// let mut connection = Connection::new(config, now);
    /// let large = || NewRequest::new(HandlerId::new(9), Payload::from(vec![0; 10_000]));
    /// connection.request(now, large())?;
    /// assert!(!connection.has_room());
    /// assert_eq!(connection.request(now, large()), Err(SubmitError::QueueFull));
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// assert!(connection.has_room());
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether an urgent request, opening or answer was refused for want of [room](Self::has_room) and may be admitted now,
    /// since half of what is reserved for such is free; says so once. Urgent items are told by their events.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest, SubmitError}};
    ///
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.max_queued_bytes = 10_000;
    /// let mut connection = Connection::new(config, now);
    /// let request = |len, urgent| {
    ///     let mut new = NewRequest::new(HandlerId::new(9), Payload::from(vec![0; len]));
    ///     new.urgent = urgent;
    ///     new
    /// };
    /// connection.request(now, request(10_000, false))?;
    /// // A quarter of the queue is for what is urgent.
    /// while connection.request(now, request(500, true)) != Err(SubmitError::QueueFull) {}
    /// assert!(!connection.take_urgent_room());
    /// let mut out = Vec::new();
    /// connection.poll_transmit(now, &mut out, 1_500);
    /// assert!(connection.take_urgent_room() && !connection.take_urgent_room());
    /// assert!(connection.request(now, request(500, true)).is_ok() && !connection.has_room());
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn take_urgent_room(&mut self) -> bool {
        self.queue.take_urgent_room()
    }

    /// Whether nothing is open, being served, or waiting to be sent.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::Absent))?;
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// // Its answer is not there.
    /// assert!(!connection.is_idle());
    /// connection.cancel(mux);
    /// assert!(connection.is_idle());
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.served.is_empty()
            && self.incoming.is_empty()
            && !self.wants_transmit()
    }

    /// The number of the next call: where the next connection of the link goes on.
    ///
    /// See [`new`](Self::new) for an example.
    #[must_use]
    pub fn next_mux(&self) -> MuxId {
        MuxId::new(self.next_mux)
    }

    /// Single requests of ours that wait for their answer.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Capacity, Config, Connection, NewRequest, NewStream}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// for _ in 0..3 {
    ///     connection.request(now, NewRequest::new(HandlerId::new(9), Payload::Absent))?;
    /// }
    /// let new = NewStream::new(HandlerId::new(10), Capacity::new(1, 1), Payload::Absent);
    /// let stream = connection.open(now, new)?;
    /// assert_eq!((connection.open_requests(), connection.open_streams()), (3, 1));
    /// connection.cancel(stream);
    /// assert_eq!((connection.open_requests(), connection.open_streams()), (3, 0));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.open_requests
    }

    /// Streams of ours that are open.
    ///
    /// See [`open_requests`](Self::open_requests) for an example.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.calls.len() - self.open_requests
    }

    /// Single requests of the peer that are being served.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewRequest, NewStream, Routes};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// # fn pass(now: Instant, from: &mut Connection, to: &mut Connection) {
    /// #     let mut out = Vec::new();
    /// #     while from.wants_transmit() { from.poll_transmit(now, &mut out, 64 << 10); }
    /// #     for message in out { to.handle_message(now, message, &Served); }
    /// # }
    /// let now = Instant::now();
    /// let mut here = Connection::new(Config::default(), now);
    /// let mut there = Connection::new(Config::default(), now);
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::Absent))?;
    /// here.open(now, NewStream::new(HandlerId::new(10), Capacity::new(1, 1), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// assert_eq!((there.serving_requests(), there.serving_streams()), (1, 1));
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// assert_eq!(there.respond(request.ticket, Ok(Payload::Absent)), Ok(()));
    /// assert_eq!((there.serving_requests(), there.serving_streams()), (0, 1));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn serving_requests(&self) -> usize {
        self.served.len()
    }

    /// Whether somebody waits for the answer to this request; `None` where it has been answered. Nobody does once
    /// [`Event::RequestCancelled`](super::Event::RequestCancelled) is told of it, or the connection has ended.
    ///
    /// See [`forget`](Self::forget) for an example.
    #[must_use]
    pub fn is_awaited(&self, ticket: Ticket) -> Option<bool> {
        if self.closed.is_some() {
            return Some(false);
        }
        let served = self.served.get(&ticket.serial)?;
        Some(!served.cancelled)
    }

    /// Whether [`poll_event`](Self::poll_event) has something to give.
    ///
    /// See [`poll_event`](Self::poll_event) for an example.
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
    ///
    /// See [`serving_requests`](Self::serving_requests) for an example.
    #[must_use]
    pub fn serving_streams(&self) -> usize {
        self.incoming.len()
    }

    /// Timers that are set: never more than there are open muxes.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::Absent))?;
    /// assert_eq!(connection.timers(), 1);
    /// connection.cancel(mux);
    /// assert_eq!(connection.timers(), 0);
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Bytes that wait to be written.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest, QUEUED_COST}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from(vec![0; 1_000])))?;
    /// // With the head of the message; and what counts, with its place in the queue.
    /// assert!((1_001..1_100).contains(&connection.queued_bytes()));
    /// assert_eq!(connection.queued_cost(), 1_000 + QUEUED_COST);
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// assert_eq!((connection.queued_bytes(), connection.queued_cost()), (0, 0));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes() + self.control_bytes
    }

    /// What counts against [`Config::max_queued_bytes`](super::Config::max_queued_bytes): [`QUEUED_COST`](super::QUEUED_COST)
    /// for each message beside its payload, and texts that will come into the queue. When it falls there may be room
    /// in [`Config::queued`](super::Config::queued), also for other connections.
    ///
    /// See [`queued_bytes`](Self::queued_bytes) for an example.
    #[must_use]
    pub fn queued_cost(&self) -> usize {
        self.queue.cost()
    }

    /// The round-trip time that the last ping of the link measured.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use grid_proto::{HandlerId, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Routes};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// # fn pass(now: Instant, from: &mut Connection, to: &mut Connection) {
    /// #     let mut out = Vec::new();
    /// #     while from.wants_transmit() { from.poll_transmit(now, &mut out, 64 << 10); }
    /// #     for message in out { to.handle_message(now, message, &Served); }
    /// # }
    /// let now = Instant::now();
    /// let mut here = Connection::new(Config::default(), now);
    /// let mut there = Connection::new(Config::default(), now);
    /// assert_eq!(here.round_trip(), None);
    /// here.ping();
    /// pass(now, &mut here, &mut there);
    /// let later = now + Duration::from_millis(7);
    /// pass(later, &mut there, &mut here);
    /// assert_eq!(here.round_trip(), Some(Duration::from_millis(7)));
    /// ```
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// Counts since the connection was made.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, NewRequest, Routes};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// # fn pass(now: Instant, from: &mut Connection, to: &mut Connection) {
    /// #     let mut out = Vec::new();
    /// #     while from.wants_transmit() { from.poll_transmit(now, &mut out, 64 << 10); }
    /// #     for message in out { to.handle_message(now, message, &Served); }
    /// # }
    /// let now = Instant::now();
    /// let mut here = Connection::new(Config::default(), now);
    /// let mut there = Connection::new(Config::default(), now);
    /// there.refuse_new();
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// assert_eq!((here.counters().messages_out, there.counters().messages_in), (1, 1));
    /// assert_eq!(there.counters().refused, 1);
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
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
