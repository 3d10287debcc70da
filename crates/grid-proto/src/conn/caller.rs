//! What a caller wants: requests, streams, items, credit, cancel (protocol sections 6 and 7, the caller's side).

use std::{collections::VecDeque, time::Instant};

use crate::{
    HandlerId, MuxId, Payload, SubrouteId,
    wire::{Flags, Message, Op},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty, TimerKey,
    config::Capacity,
    error::{CallError, SubmitError},
    event::Event,
    lanes::Lane,
    outgoing::{Call, OutRequest, OutStream},
    table::release,
    time::millis_left,
};

/// A single request to make.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRequest {
    /// The handler to call.
    pub handler: HandlerId,
    /// The part of the handler to call, if it is split.
    pub subroute: Option<SubrouteId>,
    /// The request. One that is present and empty arrives as absent: the wire can't tell them apart here.
    pub payload: Payload,
    /// When to give up; `None` means after the default of the configuration.
    pub deadline: Option<Instant>,
    /// It is written before all that waits and isn't.
    pub urgent: bool,
}

impl NewRequest {
    /// A request without subroute, with the default deadline.
    #[must_use]
    pub fn new(handler: HandlerId, payload: Payload) -> Self {
        Self {
            handler,
            subroute: None,
            payload,
            deadline: None,
            urgent: false,
        }
    }
}

/// A stream to open.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewStream {
    /// The handler to call.
    pub handler: HandlerId,
    /// The part of the handler to call, if it is split.
    pub subroute: Option<SubrouteId>,
    /// The initial payload.
    pub payload: Payload,
    /// The capacities of the handler, by its definition.
    pub capacity: Capacity,
    /// When to give up; `None` means never.
    pub deadline: Option<Instant>,
    /// Its opening and what is sent on it is written before all that waits and isn't, in its order. What the handler sends
    /// is where [its node says so](super::Routes::stream_is_urgent).
    pub urgent: bool,
}

impl NewStream {
    /// A stream without subroute and deadline.
    #[must_use]
    pub fn new(handler: HandlerId, capacity: Capacity, payload: Payload) -> Self {
        Self {
            handler,
            subroute: None,
            payload,
            capacity,
            deadline: None,
            urgent: false,
        }
    }
}

impl Connection {
    /// Makes a single request. [`Event::Answered`] follows, once, unless it is cancelled.
    ///
    /// # Errors
    /// Why nothing was sent.
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

    /// Opens a stream. [`Event::Item`], [`Event::Writable`] and at the end [`Event::Ended`] follow.
    ///
    /// # Errors
    /// Why nothing was sent.
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

    /// Gives up a call of ours: its mux is free at once, no event follows, and the remote is told where it listens.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// connection.cancel(mux);
    /// assert_eq!(connection.open_requests(), 0);
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn cancel(&mut self, mux: MuxId) {
        let Some(call) = self.remove_call(mux.get()) else {
            return;
        };
        match call {
            Call::Request(request) => {
                if request.sent && self.config.peer_cancels_requests {
                    self.tell_cancel(mux.get());
                }
            }
            Call::Stream(stream) => self.cancel_remote(mux.get(), &stream),
        }
    }

    /// Ends a call of ours with an error, and tells the remote if it is a stream that it knows of.
    pub(super) fn fail_call(&mut self, mux: u64, error: CallError) {
        let Some(call) = self.remove_call(mux) else {
            return;
        };
        let event = self.call_event(mux, &call, error);
        self.events.push_back(event);
        if let Call::Stream(stream) = call {
            self.cancel_remote(mux, &stream);
        }
    }

    pub(super) fn remove_call(&mut self, mux: u64) -> Option<Call> {
        let call = self.calls.remove(&mux)?;
        release(&mut self.calls);
        match call {
            Call::Request(_) => self.open_requests -= 1,
            Call::Stream(_) => self.let_go(Lane::Caller(MuxId::new(mux))),
        }
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::TimerLeaks) {
            return Some(call);
        }
        self.timers.clear(TimerKey::Call(mux), call.timer());
        Some(call)
    }

    /// The event by which a call ends.
    pub(super) fn call_event(&self, mux: u64, call: &Call, error: CallError) -> Event {
        let mux = MuxId::new(mux);
        match call {
            Call::Request(_) => Event::Answered {
                mux,
                outcome: Err(error),
            },
            Call::Stream(_) => {
                #[cfg(feature = "__faults")]
                if error == CallError::Closed && self.faulty(Fault::CleanEndOnClose) {
                    return Event::Ended {
                        mux,
                        outcome: Ok(()),
                    };
                }
                Event::Ended {
                    mux,
                    outcome: Err(error),
                }
            }
        }
    }

    fn cancel_remote(&mut self, mux: u64, stream: &OutStream) {
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::CancelNotSent) {
            return;
        }
        // A ConnectMux that has not left is dropped when its turn comes; the remote never hears of the stream.
        if stream.opened {
            self.tell_cancel(mux);
        }
    }

    /// At most one a call, and only for calls that have left for the socket: it needs no bound of its own.
    fn tell_cancel(&mut self, mux: u64) {
        let message = self.message(Op::DisconnectServerMux, mux);
        self.control.push_back((message, 0));
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

/// Hands out the payload of a message that is not sent.
pub(super) fn unsent(events: &mut VecDeque<Event>, message: Message) {
    if !message.payload.is_empty() {
        events.push_back(Event::Unsent(message.payload));
    }
}
