//! Turns what is owed and what waits into numbered messages.

use std::{collections::VecDeque, time::Instant};

use crate::{
    MuxId,
    wire::{Flags, Message, Op, Ping, uint_len},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty,
    caller_end::unsent,
    credit::returned,
    event::{Event, ServeId},
    handler::open_stream,
    lanes::Lane,
    outgoing::Call,
    queue::Queued,
    time::millis_left,
};

/// Messages on their way out, and how many bytes they take.
struct Batch<'a> {
    out: &'a mut Vec<Message>,
    /// Of each, for whoever wants it.
    lens: Option<&'a mut Vec<usize>>,
    bytes: usize,
    max: usize,
}

impl Batch<'_> {
    fn push(&mut self, message: Message) {
        let bytes = message.encoded_len();
        self.push_measured(message, bytes);
    }

    /// As [`push`](Self::push), where the encoded length is known already.
    fn push_measured(&mut self, message: Message, bytes: usize) {
        debug_assert_eq!(bytes, message.encoded_len());
        self.bytes += bytes;
        self.out.push(message);
        if let Some(lens) = &mut self.lens {
            lens.push(bytes);
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.max
    }
}

impl Connection {
    /// Appends what has to be sent, in order, until about `max_bytes` are reached: at least one message if there is
    /// any, and never a part of one. Gives the encoded length of what it appended.
    ///
    /// What a mux owes goes first, because it is small and somebody waits for it; then what is urgent: while others wait,
    /// 256 KiB of it and beyond that four fifths of what leaves; then the rest: in order of submission while it is little.
    /// What is much, or urgent, takes turns: streams one after the other, and after each of them the single requests and
    /// answers. It may leave events behind.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// for _ in 0..3 {
    ///     connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// }
    /// let mut out = Vec::new();
    /// // One at least, however little may be sent.
    /// let bytes = connection.poll_transmit(now, &mut out, 1);
    /// assert_eq!((out.len(), bytes), (1, out[0].encoded_len()));
    /// connection.poll_transmit(now, &mut out, 64 << 10);
    /// assert_eq!((out.len(), connection.wants_transmit()), (3, false));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        out: &mut Vec<Message>,
        max_bytes: usize,
    ) -> usize {
        let batch = Batch {
            out,
            lens: None,
            bytes: 0,
            max: max_bytes.max(1),
        };
        self.transmit(now, batch)
    }

    /// As [`poll_transmit`](Self::poll_transmit), and appends the [encoded length](Message::encoded_len) of each message to
    /// `lens`: it is known here already, and who puts them together needs it.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// for _ in 0..3 {
    ///     connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// }
    /// let (mut out, mut lens) = (Vec::new(), Vec::new());
    /// let bytes = connection.poll_transmit_measured(now, &mut out, &mut lens, 64 << 10);
    /// let measured: Vec<usize> = out.iter().map(|message| message.encoded_len()).collect();
    /// assert_eq!(lens, measured);
    /// assert_eq!((lens.len(), lens.iter().sum::<usize>()), (3, bytes));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn poll_transmit_measured(
        &mut self,
        now: Instant,
        out: &mut Vec<Message>,
        lens: &mut Vec<usize>,
        max_bytes: usize,
    ) -> usize {
        let batch = Batch {
            out,
            lens: Some(lens),
            bytes: 0,
            max: max_bytes.max(1),
        };
        self.transmit(now, batch)
    }

    fn transmit(&mut self, now: Instant, mut batch: Batch<'_>) -> usize {
        self.clock = self.clock.max(now);
        let before = batch.out.len();
        self.transmit_link(now, &mut batch);
        while !batch.is_full()
            && let Some((message, counted)) = self.control.pop_front()
        {
            self.control_bytes -= counted;
            batch.push(message);
        }
        if self.control.is_empty() && self.control.capacity() > 1024 {
            self.control = VecDeque::new();
        }
        if self.control_bytes <= self.config.max_control_bytes {
            self.control_over = None;
        }
        while !batch.is_full()
            && let Some(dirty) = self.dirty.pop_front()
        {
            match dirty {
                Dirty::Call(mux) => self.transmit_call(now, mux, &mut batch),
                Dirty::Incoming(mux) => self.transmit_incoming(mux, &mut batch),
            }
        }
        if self.dirty.is_empty() && self.dirty.capacity() > 1024 {
            self.dirty = VecDeque::new();
        }
        while !batch.is_full()
            && let Some(queued) = self.queue.pop()
        {
            self.transmit_queued(now, queued, &mut batch);
        }
        for lane in self.queue.take_relieved() {
            self.relieve(lane);
        }
        self.queue.settle();
        let (bytes, sent) = (batch.bytes, batch.out.len() - before);
        self.counters.messages_out += sent as u64;
        bytes
    }

    /// Hands out what waits of a stream that has ended.
    pub(super) fn let_go(&mut self, stream: Lane) {
        for message in self.queue.remove(stream) {
            unsent(&mut self.events, message);
        }
    }

    /// Tells a sender that more of its stream may wait, unless the stream is over.
    fn relieve(&mut self, lane: Lane) {
        match lane {
            Lane::Caller(mux) if self.calls.contains_key(&mux.get()) => {
                self.events.push_back(Event::Writable { mux });
            }
            Lane::Handler(stream) => {
                let open = open_stream(&mut self.incoming, stream);
                if open.is_some_and(|open| open.ending.is_open()) {
                    self.events.push_back(Event::ServeWritable { stream });
                }
            }
            Lane::Caller(_) => {}
        }
    }

    fn transmit_link(&mut self, now: Instant, batch: &mut Batch<'_>) {
        if std::mem::take(&mut self.link_ping_owed) {
            let ping = Ping {
                time: self.wall_clock(now),
            };
            let mut payload = Vec::with_capacity(ping.encoded_len());
            ping.encode(&mut payload);
            let mut message = self.message(Op::Ping, MuxId::CONNECTION.get());
            // The one message after the handshake that has no checksum (protocol section 3).
            message.flags = Flags::empty();
            message.deadline_ms =
                u32::try_from(self.config.ping_interval.as_millis()).unwrap_or(u32::MAX);
            message.payload = payload.into();
            self.keepalive.ping_left(now, ping.time);
            batch.push(message);
        }
        if let Some((ping, time)) = self.link_pong_owed.take() {
            batch.push(self.link_pong(&ping, time));
        }
    }

    fn counts_credit(&self) -> bool {
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::CreditCounted) {
            return true;
        }
        self.config.peer_counts_credit
    }

    fn transmit_call(&mut self, now: Instant, mux: u64, batch: &mut Batch<'_>) {
        let (unblock, ping) = (
            self.message(Op::UnblockSrvMux, mux),
            self.message(Op::Ping, mux),
        );
        let counted = self.counts_credit();
        #[cfg(feature = "__faults")]
        let uncounted = self.faulty(Fault::WrongSeqAfterPing);
        let Some(Call::Stream(stream)) = self.calls.get_mut(&mux) else {
            return;
        };
        stream.dirty = false;
        while stream.unblock_owed > 0 && !batch.is_full() {
            let count = returned(&mut stream.unblock_owed, counted);
            batch.push(Message {
                seq: stream.number(),
                deadline_ms: count,
                ..unblock.clone()
            });
        }
        if stream.ping_owed && stream.opened {
            stream.ping_owed = false;
            stream.pinged.get_or_insert(now);
            batch.push(Message {
                seq: stream.number(),
                ..ping
            });
            #[cfg(feature = "__faults")]
            if uncounted {
                stream.send_seq -= 1;
            }
        }
        if stream.unblock_owed > 0 {
            Self::owe(&mut self.dirty, &mut stream.dirty, Dirty::Call(mux));
        }
    }

    fn transmit_incoming(&mut self, mux: u64, batch: &mut Batch<'_>) {
        let (ack, unblock) = (
            self.message(Op::AckMux, mux),
            self.message(Op::UnblockClMux, mux),
        );
        let counted = self.counts_credit();
        let Some(open) = self.incoming.get_mut(&mux) else {
            return;
        };
        open.dirty = false;
        if std::mem::take(&mut open.ack_owed) {
            batch.push(Message {
                seq: open.number(),
                ..ack
            });
        }
        while open.unblock_owed > 0 && !batch.is_full() {
            let count = returned(&mut open.unblock_owed, counted);
            batch.push(Message {
                seq: open.number(),
                deadline_ms: count,
                ..unblock.clone()
            });
        }
        if let Some(pong) = open.pong_owed.take() {
            batch.push(*pong);
        }
        if open.unblock_owed > 0 {
            Self::owe(&mut self.dirty, &mut open.dirty, Dirty::Incoming(mux));
        }
    }

    /// Numbers a message that waited, or drops it when its mux is gone.
    fn transmit_queued(&mut self, now: Instant, queued: Queued, batch: &mut Batch<'_>) {
        let Queued {
            mut message,
            serial,
            bytes,
            cost: _,
        } = queued;
        let unnumbered = bytes - variable_len(&message);
        let mux = message.mux.get();
        match message.op {
            Op::Request => {
                let Some(Call::Request(request)) = self.calls.get_mut(&mux) else {
                    return unsent(&mut self.events, message);
                };
                if request.explicit_deadline {
                    message.deadline_ms = millis_left(request.deadline, now);
                    if message.deadline_ms == 0 {
                        // 0 would mean "none" to the remote; the caller is about to get its deadline error.
                        return unsent(&mut self.events, message);
                    }
                }
                request.sent = true;
            }
            Op::ConnectMux => {
                let Some(Call::Stream(stream)) = self.calls.get_mut(&mux) else {
                    return unsent(&mut self.events, message);
                };
                if let Some(deadline) = stream.deadline {
                    message.deadline_ms = millis_left(deadline, now);
                    if message.deadline_ms == 0 {
                        return unsent(&mut self.events, message);
                    }
                }
                stream.opened = true;
                stream.heard = now;
                message.seq = stream.number();
            }
            Op::MuxClientMsg => {
                let Some(Call::Stream(stream)) = self.calls.get_mut(&mux) else {
                    return unsent(&mut self.events, message);
                };
                if !stream.opened {
                    return unsent(&mut self.events, message);
                }
                message.seq = stream.number();
            }
            Op::MuxServerMsg => {
                let stream = ServeId {
                    mux: message.mux,
                    serial,
                };
                let Some(open) = open_stream(&mut self.incoming, stream) else {
                    return unsent(&mut self.events, message);
                };
                message.seq = open.number();
                if message.flags.contains(Flags::EOF) {
                    // The stream is over on this side: what else it owes nobody waits for.
                    let bytes = unnumbered + variable_len(&message);
                    batch.push_measured(message, bytes);
                    self.remove_incoming(mux);
                    let disconnect = self.disconnect_client(mux, None);
                    batch.push(disconnect);
                    return;
                }
            }
            _ => {}
        }
        let bytes = unnumbered + variable_len(&message);
        batch.push_measured(message, bytes);
    }
}

/// What the fields take that a message gets only when it leaves.
fn variable_len(message: &Message) -> usize {
    uint_len(message.seq.into()) + uint_len(message.deadline_ms.into())
}
