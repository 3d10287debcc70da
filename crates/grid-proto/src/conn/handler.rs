//! What a handler wants: answers, refusals, credit (protocol sections 6 and 7, the handler's side).

use crate::{
    Payload,
    wire::{Flags, MuxConnectError, MuxRejection, Op, Text},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty, TimerKey,
    error::RespondError,
    event::{ServeId, Ticket},
    incoming::{Head, Incoming, Served},
    table::release,
};

impl Connection {
    /// Answers a single request.
    ///
    /// # Errors
    /// Why nothing was sent. After [`RespondError::Gone`] the ticket is spent, else it stays good.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::{MuxRejection, Text}};
    /// use grid_proto::conn::{CallError, Capacity, Config, Connection, Event, NewRequest, Routes};
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
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// assert_eq!(there.respond(request.ticket, Err(Text::from("no such disk"))), Ok(()));
    /// pass(now, &mut there, &mut here);
    /// let Some(Event::Answered { outcome, .. }) = here.poll_event() else { panic!("no answer") };
    /// assert_eq!(outcome, Err(CallError::Remote(Text::from("no such disk"))));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn respond(
        &mut self,
        ticket: Ticket,
        mut answer: Result<Payload, Text>,
    ) -> Result<(), RespondError> {
        self.try_respond(ticket, &mut answer, false)
    }

    /// As [`respond`](Self::respond), but takes the answer only where it is admitted: who asks under a lock can drop it
    /// elsewhere, or send it later. One that is `urgent` is written before all that waits and isn't.
    ///
    /// # Errors
    /// As [`respond`](Self::respond); what was not sent is still in `answer`.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, SubrouteId, wire::{Message, MuxRejection, Op, Text}};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, RespondError, Routes};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.max_message = 1_000;
    /// let mut connection = Connection::new(config, now);
    /// let request = Message { handler: HandlerId::new(9), ..Message::new(Op::Request, MuxId::new(1)) };
    /// connection.handle_message(now, request, &Served);
    /// let Some(Event::Request(request)) = connection.poll_event() else { panic!("no request") };
    /// let mut large = Ok(Payload::from(vec![0; 5_000]));
    /// let refused = connection.try_respond(request.ticket, &mut large, false);
    /// assert!(matches!(refused, Err(RespondError::TooLarge { limit: 1_000, .. })));
    /// // It is here still, and the ticket good for another one.
    /// assert_eq!(large.map(|answer| answer.len()), Ok(5_000));
    /// let mut why = Err(Text::from("too large"));
    /// assert_eq!(connection.try_respond(request.ticket, &mut why, false), Ok(()));
    /// ```
    pub fn try_respond(
        &mut self,
        ticket: Ticket,
        answer: &mut Result<Payload, Text>,
        urgent: bool,
    ) -> Result<(), RespondError> {
        let wanted = self
            .served
            .get(&ticket.serial)
            .is_some_and(|served| !served.cancelled);
        #[cfg(feature = "__faults")]
        let wanted =
            wanted || (self.closed.is_none() && self.faulty(Fault::AnswerAcrossGenerations));
        if !wanted {
            #[cfg(feature = "__faults")]
            if self.faulty(Fault::ServedLeaks) {
                return Err(RespondError::Gone);
            }
            self.abandon(ticket);
            self.counters.discarded_answers += 1;
            return Err(RespondError::Gone);
        }
        let mut message = self.message(Op::Response, ticket.mux.get());
        message.seq = ticket.seq;
        message.flags |= Flags::EOF;
        let message = match std::mem::replace(answer, Ok(Payload::Absent)) {
            Ok(payload) => message.with_content(payload),
            Err(text) => {
                message.flags |= Flags::PAYLOAD_IS_ERR;
                message.payload = text.into_bytes();
                message
            }
        };
        let (len, limit) = (message.encoded_len(), self.config.max_message);
        let error = if len > limit {
            RespondError::TooLarge { len, limit }
        } else if !self.queue.has_room_for(&message, urgent) {
            RespondError::QueueFull
        } else {
            self.abandon(ticket);
            self.queue.push_measured(message, len, 0, urgent);
            return Ok(());
        };
        *answer = if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            Err(Text::from(message.payload))
        } else {
            Ok(message.into_content())
        };
        Err(error)
    }

    /// Refuses a single request that was never run.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{CallError, Capacity, Config, Connection, Event, NewRequest, Routes};
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
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// there.refuse(request.ticket, MuxRejection::Overloaded);
    /// pass(now, &mut there, &mut here);
    /// let Some(Event::Answered { outcome, .. }) = here.poll_event() else { panic!("no answer") };
    /// // So the caller knows that it may try again: it was never run.
    /// assert_eq!(outcome, Err(CallError::Rejected(MuxRejection::Overloaded)));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn refuse(&mut self, ticket: Ticket, rejection: MuxRejection) {
        if let Some(served) = self.abandon(ticket)
            && !served.cancelled
        {
            self.reject(&served.head, &rejection);
        }
    }

    /// Refuses a stream that was never run, in place of serving it.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{CallError, Capacity, Config, Connection, Event, NewStream, Routes};
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
    /// here.open(now, NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Opened(opened)) = there.poll_event() else { panic!("no stream") };
    /// there.refuse_stream(opened.stream, &MuxRejection::Overloaded);
    /// assert_eq!(there.serving_streams(), 0);
    /// pass(now, &mut there, &mut here);
    /// let Some(Event::Ended { outcome, .. }) = here.poll_event() else { panic!("no end") };
    /// assert_eq!(outcome, Err(CallError::Rejected(MuxRejection::Overloaded)));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn refuse_stream(&mut self, stream: ServeId, rejection: &MuxRejection) {
        if open_stream(&mut self.incoming, stream).is_none() {
            return;
        }
        if let Some(open) = self.remove_incoming(stream.mux.get()) {
            self.reject(&open.head, rejection);
        }
    }

    /// Answers a call that is not served.
    pub(super) fn reject(&mut self, head: &Head, rejection: &MuxRejection) {
        self.counters.refused += 1;
        let refusal = head.refusal(self.base_flags(), rejection_payload(rejection));
        self.answer(refusal);
    }

    /// Forgets a single request whose handler ended without an answer; its caller waits until its deadline.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::MuxRejection};
    /// use grid_proto::conn::{RespondError, Capacity, Config, Connection, Event, NewRequest, Routes};
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
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// assert_eq!(there.is_awaited(request.ticket), Some(true));
    /// there.forget(request.ticket);
    /// assert_eq!((there.is_awaited(request.ticket), there.serving_requests()), (None, 0));
    /// assert_eq!(there.respond(request.ticket, Ok(Payload::Absent)), Err(RespondError::Gone));
    /// // It is told nothing.
    /// pass(now, &mut there, &mut here);
    /// assert_eq!((here.open_requests(), here.has_events()), (1, false));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn forget(&mut self, ticket: Ticket) {
        self.abandon(ticket);
    }

    pub(super) fn abandon(&mut self, ticket: Ticket) -> Option<Served> {
        let served = self.served.remove(&ticket.serial)?;
        release(&mut self.served);
        self.timers
            .clear(TimerKey::Served(ticket.serial), served.timer);
        let mux = served.head.mux.get();
        if self.served_by_mux.get(&mux) == Some(&ticket.serial) {
            self.served_by_mux.remove(&mux);
            release(&mut self.served_by_mux);
        }
        Some(served)
    }

    /// Says that `items` items of a stream that is being served were handed to the handler: their credit is returned.
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
    /// pass(now, &mut there, &mut here);
    /// assert_eq!(here.send(mux, Payload::from("one")), Ok(()));
    /// pass(now, &mut here, &mut there);
    /// // There is room for one, until the handler has taken it.
    /// assert_eq!(here.send(mux, Payload::from("two")), Err(SendError::NoCredit));
    /// there.serve_consumed(opened.stream, 1);
    /// pass(now, &mut there, &mut here);
    /// assert_eq!(here.send(mux, Payload::from("two")), Ok(()));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn serve_consumed(&mut self, stream: ServeId, items: u32) {
        #[cfg(feature = "__faults")]
        let twice = self.faulty(Fault::CreditTwice);
        let Some(open) = open_stream(&mut self.incoming, stream) else {
            return;
        };
        let items = items.min(open.unconsumed);
        open.unconsumed -= items;
        // As on the caller's side: more is owed to nobody who keeps to its credit.
        let owed = open.unblock_owed.saturating_add(items);
        open.unblock_owed = owed.min(open.capacity.input);
        #[cfg(feature = "__faults")]
        if twice {
            open.unblock_owed += items;
        }
        if open.unblock_owed > 0 {
            Self::owe(
                &mut self.dirty,
                &mut open.dirty,
                Dirty::Incoming(stream.mux.get()),
            );
        }
    }

    /// The stream that has the number of `stream` now: only a planted fault takes it for the same.
    #[cfg(feature = "__faults")]
    pub(super) fn misled(&self, stream: ServeId) -> ServeId {
        match self.incoming.get(&stream.mux.get()) {
            Some(open) if self.faulty(Fault::StaleHandler) => ServeId {
                serial: open.serial,
                ..stream
            },
            _ => stream,
        }
    }
}

/// The stream that is served under `stream`, if it is still that one.
pub(super) fn open_stream(
    incoming: &mut super::Table<Box<Incoming>>,
    stream: ServeId,
) -> Option<&mut Incoming> {
    incoming
        .get_mut(&stream.mux.get())
        .map(|open| &mut **open)
        .filter(|open| open.serial == stream.serial)
}

/// The payload of a MuxConnectError.
fn rejection_payload(rejection: &MuxRejection) -> bytes::Bytes {
    let refused = MuxConnectError {
        error: rejection.to_text(),
    };
    let mut payload = Vec::with_capacity(refused.encoded_len());
    refused.encode(&mut payload);
    payload.into()
}
