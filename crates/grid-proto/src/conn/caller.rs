//! What a caller wants: requests, streams, items, credit, cancel (protocol sections 6 and 7, the caller's side).

use std::time::Instant;

use crate::{
    MuxId, Payload,
    wire::{Flags, Message, Op},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty, NewRequest, NewStream, TimerKey,
    error::SubmitError,
    outgoing::{Call, OutRequest, OutStream},
    time::millis_left,
};

impl Connection {
    /// Makes a single request. [`Event::Answered`](super::Event::Answered) follows, once, unless it is cancelled.
    ///
    /// # Errors
    /// Why nothing was sent.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewRequest, Routes};
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
    /// let asked = here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("2 + 2")))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// assert_eq!(there.respond(request.ticket, Ok(Payload::from("4"))), Ok(()));
    /// pass(now, &mut there, &mut here);
    /// let Some(Event::Answered { mux, outcome }) = here.poll_event() else { panic!("no answer") };
    /// assert_eq!((mux, outcome), (asked, Ok(Payload::from("4"))));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn request(&mut self, now: Instant, mut new: NewRequest) -> Result<MuxId, SubmitError> {
        self.try_request(now, &mut new)
    }

    /// As [`request`](Self::request), but takes the payload only where the request is admitted: who asks under a lock can
    /// drop it elsewhere, or send it later.
    ///
    /// # Errors
    /// As [`request`](Self::request); the payload is still in `new`.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest, SubmitError}};
    ///
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.max_requests = 1;
    /// let mut connection = Connection::new(config, now);
    /// let hello = || NewRequest::new(HandlerId::new(9), Payload::from("hello"));
    /// let (mut first, mut second) = (hello(), hello());
    /// assert!(connection.try_request(now, &mut first).is_ok() && first.payload.is_absent());
    /// let refused = connection.try_request(now, &mut second);
    /// assert_eq!(refused, Err(SubmitError::TooManyOpen { limit: 1 }));
    /// assert_eq!(second.payload.as_slice(), b"hello");
    /// ```
    pub fn try_request(
        &mut self,
        now: Instant,
        new: &mut NewRequest,
    ) -> Result<MuxId, SubmitError> {
        if self.open_requests >= self.config.max_requests {
            return Err(SubmitError::TooManyOpen {
                limit: self.config.max_requests,
            });
        }
        let mut message = self.message(Op::Request, self.next_mux);
        message.flags |= Flags::EOF;
        message.handler = new.handler;
        message.subroute = new.subroute;
        let was_absent = new.payload.is_absent();
        message.payload = std::mem::take(&mut new.payload).into_bytes();
        // What is left when the message leaves is no more, so its length is known now.
        message.deadline_ms = match new.deadline {
            Some(deadline) => millis_left(deadline, now),
            None => u32::try_from(self.config.default_deadline.as_millis()).unwrap_or(u32::MAX),
        };
        let len = match self.admit(&message, new.deadline, new.urgent) {
            Ok(len) => len,
            Err(error) => {
                if !was_absent {
                    new.payload = Payload::Present(message.payload);
                }
                return Err(error);
            }
        };
        let deadline = new.deadline.unwrap_or(now + self.config.default_deadline);
        let mux = self.take_mux();
        let mut request = OutRequest {
            explicit_deadline: new.deadline.is_some(),
            deadline,
            sent: false,
            timer: None,
        };
        self.timers
            .set(TimerKey::Call(mux), &mut request.timer, Some(deadline));
        self.calls.insert(mux, Call::Request(request));
        self.open_requests += 1;
        self.late_calls.allow(LATE_ANSWERS);
        self.queue.push_measured(message, len, 0, new.urgent);
        Ok(MuxId::new(mux))
    }

    /// Opens a stream. [`Event::Item`](super::Event::Item), [`Event::Writable`](super::Event::Writable) and at the end
    /// [`Event::Ended`](super::Event::Ended) follow.
    ///
    /// # Errors
    /// Why nothing was sent.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewStream, Routes};
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
    /// let opened = here.open(now, NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Opened(stream)) = there.poll_event() else { panic!("no stream") };
    /// assert_eq!(there.serve_send(stream.stream, Payload::from("item")), Ok(()));
    /// pass(now, &mut there, &mut here);
    /// // Behind the acknowledgement, by which it may send.
    /// assert!(matches!(here.poll_event(), Some(Event::Writable { mux }) if mux == opened));
    /// let Some(Event::Item { payload, .. }) = here.poll_event() else { panic!("no item") };
    /// assert_eq!(payload.as_slice(), b"item");
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn open(&mut self, now: Instant, new: NewStream) -> Result<MuxId, SubmitError> {
        if self.open_streams() >= self.config.max_streams {
            return Err(SubmitError::TooManyOpen {
                limit: self.config.max_streams,
            });
        }
        let mut message = self
            .message(Op::ConnectMux, self.next_mux)
            .with_content(new.payload);
        if new.capacity.input == 0 {
            message.flags |= Flags::EOF;
        }
        message.handler = new.handler;
        message.subroute = new.subroute;
        message.deadline_ms = new
            .deadline
            .map_or(0, |deadline| millis_left(deadline, now));
        let len = self.admit(&message, new.deadline, new.urgent)?;
        let mux = self.take_mux();
        let mut stream = OutStream::new(
            new.capacity,
            new.deadline,
            now,
            self.config.stream_ping_interval,
        );
        stream.urgent = new.urgent;
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::DeadlineIgnored) {
            stream.deadline = None;
        }
        let due = stream.due(now, self.config.stream_ping_interval);
        self.timers.set(TimerKey::Call(mux), &mut stream.timer, due);
        self.calls.insert(mux, Call::Stream(Box::new(stream)));
        self.late_calls
            .allow(LATE_STREAM + u64::from(new.capacity.input) + u64::from(new.capacity.output));
        self.queue.push_measured(message, len, 0, new.urgent);
        Ok(MuxId::new(mux))
    }

    /// Says that no more items are sent on a stream of ours; what was sent goes before. Always succeeds.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewStream, Routes, SendError};
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
    /// let mux = here.open(now, NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent))?;
    /// here.finish(mux);
    /// assert_eq!(here.send(mux, Payload::from("late")), Err(SendError::Finished));
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Opened(opened)) = there.poll_event() else { panic!("no stream") };
    /// assert!(matches!(there.poll_event(), Some(Event::InputEnded { stream }) if stream == opened.stream));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn finish(&mut self, mux: MuxId) {
        let mut message = self.message(Op::MuxClientMsg, mux.get());
        message.flags |= Flags::EOF;
        if let Some(Call::Stream(stream)) = self.calls.get_mut(&mux.get())
            && stream.capacity.input > 0
            && !stream.finished
        {
            stream.finished = true;
            self.queue.push(message, 0, stream.urgent);
            #[cfg(feature = "__faults")]
            if self.faulty(Fault::EofOvertakesItem) {
                self.queue.swap_last();
            }
        }
    }

    /// Says that `items` items of a stream of ours were handed to the user: their credit is returned.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewStream, Routes, SendError};
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
    /// let mux = here.open(now, NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Opened(opened)) = there.poll_event() else { panic!("no stream") };
    /// assert_eq!(there.serve_send(opened.stream, Payload::from("one")), Ok(()));
    /// pass(now, &mut there, &mut here);
    /// // There is room for one, until it was taken here.
    /// assert_eq!(there.serve_send(opened.stream, Payload::from("two")), Err(SendError::NoCredit));
    /// here.consumed(mux, 1);
    /// pass(now, &mut here, &mut there);
    /// assert_eq!(there.serve_send(opened.stream, Payload::from("two")), Ok(()));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn consumed(&mut self, mux: MuxId, items: u32) {
        #[cfg(feature = "__faults")]
        let lose = self.faulty(Fault::CreditLost) && self.counters.messages_in % 8 == 7;
        let Some(Call::Stream(stream)) = self.calls.get_mut(&mux.get()) else {
            return;
        };
        let items = items.min(stream.unconsumed);
        stream.unconsumed -= items;
        #[cfg(feature = "__faults")]
        if lose {
            return;
        }
        // No peer that keeps to its credit is owed more, and what one that doesn't can make us send has a bound.
        let owed = stream.unblock_owed.saturating_add(items);
        stream.unblock_owed = owed.min(stream.capacity.output);
        if stream.unblock_owed > 0 {
            Self::owe(&mut self.dirty, &mut stream.dirty, Dirty::Call(mux.get()));
        }
    }

    /// What has to hold before a call may be started, whose message says how much time it has. Gives the encoded length.
    fn admit(
        &mut self,
        message: &Message,
        deadline: Option<Instant>,
        urgent: bool,
    ) -> Result<usize, SubmitError> {
        if self.closed.is_some() {
            return Err(SubmitError::Closed);
        }
        if deadline.is_some() && message.deadline_ms == 0 {
            return Err(SubmitError::DeadlinePassed);
        }
        let (len, limit) = (message.encoded_len(), self.config.max_message);
        if len > limit {
            return Err(SubmitError::TooLarge { len, limit });
        }
        if !self.queue.has_room_for(message, urgent) {
            return Err(SubmitError::QueueFull);
        }
        Ok(len)
    }

    fn take_mux(&mut self) -> u64 {
        let mux = self.next_mux;
        // 0 is the connection itself.
        self.next_mux = self.next_mux.checked_add(1).unwrap_or(1);
        mux
    }
}

/// What may come for a request that was given up: its answer, and that its time is up.
const LATE_ANSWERS: u64 = 2;

/// What may come for a stream that was given up but for items and credits: its ack, its end, a pong, and that its time is
/// up.
const LATE_STREAM: u64 = 4;
