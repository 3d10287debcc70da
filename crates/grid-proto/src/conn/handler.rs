//! What a handler wants: answers, items, credit, the end (protocol sections 6 and 7, the handler's side).

use std::collections::VecDeque;

use crate::{
    Payload,
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op, Text},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty, TimerKey,
    error::RespondError,
    event::{CancelReason, Event, ServeId, Ticket},
    incoming::{Ending, Head, Incoming, Served},
    lanes::Lane,
    table::release,
};

/// More than a message has beside its payload.
const LONGEST_HEAD: usize = 64;

/// The longest text that ends a stream: such an end always goes in, so there may be as many as streams.
const LONGEST_END: usize = 16 << 10;

/// The same of one that nothing else counts, since it waits for a credit or the queue is full: what is left of the room
/// that a stream is counted with.
const LONGEST_UNCOUNTED_END: usize = 1 << 10;

impl Connection {
    /// Answers a single request.
    ///
    /// # Errors
    /// Why nothing was sent. After [`RespondError::Gone`] the ticket is spent, else it stays good.
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
    pub fn refuse(&mut self, ticket: Ticket, rejection: MuxRejection) {
        if let Some(served) = self.abandon(ticket)
            && !served.cancelled
        {
            self.reject(&served.head, &rejection);
        }
    }

    /// Refuses a stream that was never run, in place of serving it.
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

    /// The handler of a stream returned. Always succeeds: the end goes out behind the items, once there is a credit
    /// for it.
    ///
    /// A text is cut, between two characters, to 16 KiB; to 1 KiB where there is no credit yet or the queue has no
    /// room; and in any case to what fits into a message. It counts in the queue once it is there, and while it waits
    /// for its credit nowhere.
    pub fn serve_finish(&mut self, stream: ServeId, end: Result<(), Text>) {
        #[cfg(feature = "__faults")]
        let (forget, clean) = (
            self.faulty(Fault::HeldEndForgotten),
            self.faulty(Fault::ErrorAsCleanEnd),
        );
        #[cfg(feature = "__faults")]
        let end = if clean { Ok(()) } else { end };
        let open = open_stream(&mut self.incoming, stream);
        let Some(open) = open.filter(|open| open.ending.is_open()) else {
            return unsent_end(&mut self.events, end);
        };
        open.ending = Ending::Queued;
        let credit = open.credits.take();
        let longest = if credit && self.queue.has_room() {
            LONGEST_END
        } else {
            LONGEST_UNCOUNTED_END
        };
        let end = end.map_err(|text| self.cut_end(text, longest));
        if credit {
            return self.queue_end(stream, end);
        }
        #[cfg(feature = "__faults")]
        if forget {
            return;
        }
        if let Some(open) = open_stream(&mut self.incoming, stream) {
            open.ending = Ending::Held(end);
        }
    }

    /// As much of a text as may end a stream, in a buffer of its own where that is not all of it.
    fn cut_end(&mut self, text: Text, longest: usize) -> Text {
        let fits = self.config.max_message.saturating_sub(LONGEST_HEAD);
        let longest = longest.min(fits);
        if text.len() <= longest {
            return text;
        }
        let cut = text.clone().cut_to(longest).detached();
        unsent_end(&mut self.events, Err(text));
        cut
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

    /// Queues the message that ends a stream; its credit has been taken.
    pub(super) fn queue_end(&mut self, stream: ServeId, end: Result<(), Text>) {
        let mut message = self.message(Op::MuxServerMsg, stream.mux.get());
        message.flags |= Flags::EOF;
        if let Err(text) = end {
            message.flags |= Flags::PAYLOAD_IS_ERR;
            message = message.with_content(Payload::Present(text.into_bytes()));
        }
        let open = open_stream(&mut self.incoming, stream);
        let urgent = open.is_some_and(|open| open.urgent);
        self.queue.push(message, stream.serial, urgent);
    }

    /// Ends a served stream at once: what waits for it is dropped, its handler is told to stop, its caller gets a
    /// DisconnectClientMux.
    pub(super) fn cut_incoming(&mut self, mux: u64, why: CancelReason) {
        let Some(stream) = self.remove_incoming(mux) else {
            return;
        };
        let text = match &why {
            CancelReason::Protocol(text) => Some(text.clone()),
            CancelReason::Overloaded => Some(Text::from("too many bytes were held unread")),
            _ => None,
        };
        self.cancelled(mux, &stream, why);
        let message = self.disconnect_client(mux, text);
        self.answer(message);
    }

    /// A DisconnectClientMux, with an error text or plain.
    pub(super) fn disconnect_client(&self, mux: u64, text: Option<Text>) -> Message {
        let mut message = self.message(Op::DisconnectClientMux, mux);
        if let Some(text) = text {
            message.flags |= Flags::PAYLOAD_IS_ERR;
            message.payload = text.into_bytes();
        }
        message
    }

    /// Tells the handler of a stream to stop, unless it has returned.
    pub(super) fn cancelled(&mut self, mux: u64, stream: &Incoming, why: CancelReason) {
        if stream.ending.is_open() {
            let stream = ServeId {
                mux: crate::MuxId::new(mux),
                serial: stream.serial,
            };
            self.events.push_back(Event::Cancelled { stream, why });
        }
    }

    pub(super) fn remove_incoming(&mut self, mux: u64) -> Option<Box<Incoming>> {
        let mut stream = self.incoming.remove(&mux)?;
        release(&mut self.incoming);
        self.timers.clear(TimerKey::Incoming(mux), stream.timer);
        if matches!(stream.ending, Ending::Held(..))
            && let Ending::Held(end) = std::mem::replace(&mut stream.ending, Ending::Queued)
        {
            unsent_end(&mut self.events, end);
        }
        self.let_go(Lane::Handler(ServeId {
            mux: crate::MuxId::new(mux),
            serial: stream.serial,
        }));
        Some(stream)
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

/// Hands out the text of an end that is not sent.
pub(super) fn unsent_end(events: &mut VecDeque<Event>, end: Result<(), Text>) {
    if let Err(text) = end
        && !text.is_empty()
    {
        events.push_back(Event::Unsent(text.into_bytes()));
    }
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
