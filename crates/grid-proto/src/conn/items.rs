//! Items of streams on their way out, of either side (protocol section 7).

use std::mem;

use crate::{
    MuxId, Payload,
    wire::{Flags, Message, Op, bin_len, uint_len},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, error::SendError, event::ServeId, handler::open_stream, lanes::Lane, outgoing::Call,
};

impl Connection {
    /// Sends an item on a stream of ours.
    ///
    /// # Errors
    /// Why nothing was sent; on [`SendError::NoCredit`] wait for [`Event::Writable`](super::Event::Writable).
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, NewStream, Routes, SendError};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let new = NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent);
    /// let mux = connection.open(now, new)?;
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// // The handler is there, and takes one item before it returns a credit.
    /// connection.handle_message(now, Message::new(Op::AckMux, mux), &Served);
    /// assert_eq!(connection.send(mux, Payload::from("one")), Ok(()));
    /// assert_eq!(connection.send(mux, Payload::from("two")), Err(SendError::NoCredit));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn send(&mut self, mux: MuxId, mut item: Payload) -> Result<(), SendError> {
        self.try_send(mux, &mut item)
    }

    /// As [`send`](Self::send), but takes the item only where it is admitted: who asks under a lock can drop it elsewhere,
    /// or send it later.
    ///
    /// # Errors
    /// As [`send`](Self::send); what was not sent is still in `item`.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, NewStream, Routes, SendError};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let new = NewStream::new(HandlerId::new(9), Capacity::new(1, 1), Payload::Absent);
    /// let mux = connection.open(now, new)?;
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// // The handler is there, and takes one item before it returns a credit.
    /// connection.handle_message(now, Message::new(Op::AckMux, mux), &Served);
    /// let (mut one, mut two) = (Payload::from("one"), Payload::from("two"));
    /// assert_eq!(connection.try_send(mux, &mut one), Ok(()));
    /// assert_eq!(connection.try_send(mux, &mut two), Err(SendError::NoCredit));
    /// assert!(one.is_absent());
    /// assert_eq!(two.as_slice(), b"two");
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn try_send(&mut self, mux: MuxId, item: &mut Payload) -> Result<(), SendError> {
        let head = self.item(Op::MuxClientMsg, mux, item);
        let (len, limit) = (numbered_len(&head, item.len()), self.config.max_message);
        let Some(Call::Stream(stream)) = self.calls.get_mut(&mux.get()) else {
            return Err(SendError::Ended);
        };
        if stream.capacity.input == 0 {
            return Err(SendError::NoInput);
        }
        if stream.finished {
            return Err(SendError::Finished);
        }
        if len > limit {
            return Err(SendError::TooLarge { len, limit });
        }
        let (lane, urgent) = (Lane::Caller(mux), stream.urgent);
        if urgent {
            self.queue.admit_urgent(lane, item.len())?;
        } else if !self.queue.has_room() {
            return Err(SendError::QueueFull);
        } else if self.queue.is_full_of(lane) {
            return Err(SendError::NoCredit);
        }
        if !stream.credits.take() {
            return Err(SendError::NoCredit);
        }
        self.push_item(head, item, len, 0, urgent);
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::ItemsSwapped) {
            self.queue.swap_last();
        }
        Ok(())
    }

    /// Sends an item on a stream that is being served.
    ///
    /// # Errors
    /// Why nothing was sent; on [`SendError::NoCredit`] wait for
    /// [`Event::ServeWritable`](super::Event::ServeWritable).
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, Routes, SendError};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let open = Message { handler: HandlerId::new(9), ..Message::new(Op::ConnectMux, MuxId::new(1)) };
    /// // `Served` gives its handler room for one item on the way.
    /// connection.handle_message(now, open, &Served);
    /// let Some(Event::Opened(opened)) = connection.poll_event() else { panic!("no stream") };
    /// assert_eq!(connection.serve_send(opened.stream, Payload::from("one")), Ok(()));
    /// assert_eq!(connection.serve_send(opened.stream, Payload::from("two")), Err(SendError::NoCredit));
    /// ```
    pub fn serve_send(&mut self, stream: ServeId, mut item: Payload) -> Result<(), SendError> {
        self.try_serve_send(stream, &mut item)
    }

    /// As [`serve_send`](Self::serve_send), but takes the item only where it is admitted, as [`try_send`](Self::try_send)
    /// does.
    ///
    /// # Errors
    /// As [`serve_send`](Self::serve_send); what was not sent is still in `item`.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, Routes, SendError};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(1, 1)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let open = Message { handler: HandlerId::new(9), ..Message::new(Op::ConnectMux, MuxId::new(1)) };
    /// // `Served` gives its handler room for one item on the way.
    /// connection.handle_message(now, open, &Served);
    /// let Some(Event::Opened(opened)) = connection.poll_event() else { panic!("no stream") };
    /// let (mut one, mut two) = (Payload::from("one"), Payload::from("two"));
    /// assert_eq!(connection.try_serve_send(opened.stream, &mut one), Ok(()));
    /// assert_eq!(connection.try_serve_send(opened.stream, &mut two), Err(SendError::NoCredit));
    /// assert!(one.is_absent());
    /// assert_eq!(two.as_slice(), b"two");
    /// ```
    pub fn try_serve_send(&mut self, stream: ServeId, item: &mut Payload) -> Result<(), SendError> {
        let head = self.item(Op::MuxServerMsg, stream.mux, item);
        let (len, limit) = (numbered_len(&head, item.len()), self.config.max_message);
        let lane = Lane::Handler(stream);
        #[cfg(feature = "__faults")]
        let stream = self.misled(stream);
        #[cfg(feature = "__faults")]
        let over = self.faulty(Fault::CapacityOffByOne);
        let Some(open) = open_stream(&mut self.incoming, stream) else {
            return Err(SendError::Ended);
        };
        if !open.ending.is_open() {
            return Err(SendError::Ended);
        }
        if len > limit {
            return Err(SendError::TooLarge { len, limit });
        }
        let urgent = open.urgent;
        if urgent {
            self.queue.admit_urgent(lane, item.len())?;
        } else if !self.queue.has_room() {
            return Err(SendError::QueueFull);
        } else if self.queue.is_full_of(lane) {
            return Err(SendError::NoCredit);
        }
        let credit = open.credits.take();
        #[cfg(feature = "__faults")]
        let credit = credit || (over && open.send_seq.is_multiple_of(5));
        if !credit {
            return Err(SendError::NoCredit);
        }
        self.push_item(head, item, len, stream.serial, urgent);
        Ok(())
    }

    /// The message of an item, without the item. Every item is present.
    fn item(&self, op: Op, mux: MuxId, item: &Payload) -> Message {
        let mut head = self.message(op, mux.get());
        head.flags.set(Flags::PAYLOAD_IS_ZERO, item.is_empty());
        head
    }

    /// `len` is the [numbered length](numbered_len).
    fn push_item(
        &mut self,
        mut message: Message,
        item: &mut Payload,
        len: usize,
        serial: u64,
        urgent: bool,
    ) {
        message.payload = mem::take(item).into_bytes();
        self.queue
            .push_measured(message, len - NUMBER_GROWS, serial, urgent);
    }
}

/// How much longer a message may be once it has its number.
const NUMBER_GROWS: usize = uint_len(u32::MAX as u64) - uint_len(0);

/// The encoded length of a message that gets its payload and its sequence number later: with the longest number that it
/// can get.
fn numbered_len(message: &Message, payload: usize) -> usize {
    message.encoded_len() - bin_len(0) + bin_len(payload) + NUMBER_GROWS
}

/// Every stream item is present (protocol section 7).
pub(super) fn present(item: Payload) -> Payload {
    Payload::Present(item.into_bytes())
}
