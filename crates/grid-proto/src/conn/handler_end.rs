//! How a stream ends at its handler: behind its items and once there is a credit for it, or at once (protocol section 7).

use std::collections::VecDeque;

use crate::{
    Payload,
    wire::{Flags, Message, Op, Text},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, TimerKey,
    event::{CancelReason, Event, ServeId},
    handler::open_stream,
    incoming::{Ending, Incoming},
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
    /// The handler of a stream returned. Always succeeds: the end goes out behind the items, once there is a credit
    /// for it.
    ///
    /// A text is cut, between two characters, to 16 KiB; to 1 KiB where there is no credit yet or the queue has no
    /// room; and in any case to what fits into a message. It counts in the queue once it is there, and while it waits
    /// for its credit nowhere.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::{MuxRejection, Text}};
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
    /// let mux = here.open(now, NewStream::new(HandlerId::new(9), Capacity::new(0, 1), Payload::Absent))?;
    /// pass(now, &mut here, &mut there);
    /// let Some(Event::Opened(opened)) = there.poll_event() else { panic!("no stream") };
    /// assert_eq!(there.serve_send(opened.stream, Payload::from("one")), Ok(()));
    /// there.serve_finish(opened.stream, Err(Text::from("the disk is gone")));
    /// pass(now, &mut there, &mut here);
    /// let ended = |here: &mut Connection| std::iter::from_fn(|| here.poll_event()).find_map(|event| match event {
    ///     Event::Ended { outcome, .. } => Some(outcome),
    ///     _ => None,
    /// });
    /// // The end takes a credit too, and waits for that of the item.
    /// assert_eq!(ended(&mut here), None);
    /// here.consumed(mux, 1);
    /// pass(now, &mut here, &mut there);
    /// pass(now, &mut there, &mut here);
    /// assert_eq!(ended(&mut here), Some(Err(CallError::Remote(Text::from("the disk is gone")))));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
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

/// Hands out the text of an end that is not sent.
pub(super) fn unsent_end(events: &mut VecDeque<Event>, end: Result<(), Text>) {
    if let Err(text) = end
        && !text.is_empty()
    {
        events.push_back(Event::Unsent(text.into_bytes()));
    }
}
