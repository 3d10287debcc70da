//! One connection as a state machine: muxes, sequence numbers, credits, deadlines, pings (protocol sections 6 to 9).
//!
//! A [`Connection`] holds no socket, task, lock or clock. Whoever drives it feeds it with messages and the time, tells
//! it what the application wants, and asks it what to do next:
//!
//! | class | methods |
//! | --- | --- |
//! | what the world did | [`handle_message`](Connection::handle_message), [`handle_alive`](Connection::handle_alive), [`handle_timeout`](Connection::handle_timeout) |
//! | what a caller wants | [`request`](Connection::request), [`open`](Connection::open), [`send`](Connection::send), [`consumed`](Connection::consumed), [`finish`](Connection::finish), [`cancel`](Connection::cancel), [`ping`](Connection::ping) |
//! | what a handler wants | [`respond`](Connection::respond), [`refuse`](Connection::refuse), [`serve_send`](Connection::serve_send), [`serve_consumed`](Connection::serve_consumed), [`serve_finish`](Connection::serve_finish) |
//! | what to do next | [`poll_event`](Connection::poll_event), [`poll_transmit`](Connection::poll_transmit), [`poll_timeout`](Connection::poll_timeout) |
//!
//! After any of the first three classes: drain `poll_event`, then `poll_transmit` while
//! [`wants_transmit`](Connection::wants_transmit), then arm a timer for `poll_timeout`.
//!
//! What a mux owes (an ack, credits, a pong, a cancel) is state and not bytes in a queue: it becomes messages, and is
//! numbered, when there is room to send. So a cancel always succeeds, and reading never waits for writing.
//!
//! ```
//! use std::time::Instant;
//! use grid_proto::{HandlerId, Payload, conn::{Config, Connection, Event, NewRequest}, wire::Op};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(Config::default(), now);
//! let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
//!
//! let mut out = Vec::new();
//! connection.poll_transmit(now, &mut out, 64 << 10);
//! assert_eq!((out[0].op, out[0].mux, out[0].deadline_ms), (Op::Request, mux, 60_000));
//! # Ok::<(), grid_proto::conn::SubmitError>(())
//! ```

mod answered;
mod budget;
mod caller;
mod caller_end;
mod caller_recv;
mod close;
mod config;
mod counters;
mod credit;
mod driver;
mod error;
mod event;
#[cfg(feature = "__faults")]
mod fault;
mod handler;
mod handler_end;
mod handler_recv;
pub mod handshake;
mod incoming;
#[cfg(test)]
mod inner_tests;
mod items;
mod keepalive;
mod lanes;
mod late;
mod new_call;
mod outgoing;
mod ping;
mod queue;
mod shed;
mod status;
mod table;
mod time;
mod timers;
mod transmit;
mod unread;
mod urgent;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, Timestamp},
};

#[cfg(feature = "__faults")]
pub use self::fault::Fault;
use self::{
    answered::Answered,
    incoming::{Incoming, Served},
    keepalive::Keepalive,
    late::Late,
    outgoing::Call,
    queue::OutQueue,
    shed::Holders,
    table::{Seeded, Table},
    timers::{TimerKey, Timers},
};
pub use self::{
    budget::{Budget, Charge},
    config::{Capacity, Config},
    counters::Counters,
    credit::ITEM_COST,
    error::{CallError, CloseReason, RespondError, SendError, SubmitError},
    event::{CancelReason, Event, InboundRequest, InboundStream, PingId, Routes, ServeId, Ticket},
    new_call::{NewRequest, NewStream},
    queue::QUEUED_COST,
};

/// How long a peer may leave more unread than it should.
const NOT_READING: Duration = Duration::from_secs(1);

/// Pings that leave in a period because somebody asks: a tenth of what peers take for a flood, as theirs may be the
/// longer period.
const MOST_ASKED_PINGS: u32 = 1_000;

/// Something that a mux owes the peer.
#[derive(Debug, Clone, Copy)]
enum Dirty {
    Call(u64),
    Incoming(u64),
}

/// One connection between two nodes; see the [module](self).
pub struct Connection {
    config: Config,
    born: Instant,
    calls: Table<Call>,
    first_mux: u64,
    next_mux: u64,
    open_requests: usize,
    served: Table<Served>,
    /// The serial of the latest request of a mux, for peers that cancel requests.
    served_by_mux: Table<u64>,
    /// In boxes: a table has room for more than it holds, and these are large.
    incoming: Table<Box<Incoming>>,
    next_serial: u64,
    answered_streams: Answered,
    answered_calls: Answered,
    /// What may still come for calls of the peer's that are over, and for ours.
    late_incoming: Late,
    late_calls: Late,
    timers: Timers,
    keepalive: Keepalive,
    queue: OutQueue,
    /// Messages that belong to no open mux, with what they count of `max_control_bytes`.
    control: VecDeque<(Message, usize)>,
    control_bytes: usize,
    link_ping_owed: bool,
    /// The newest ping that the application asked for and that was not answered yet.
    asked_ping: Option<PingId>,
    /// How many more pings may leave in this period because somebody asks.
    asked_left: u32,
    /// The newest ping, and the time in it.
    link_pong_owed: Option<(Message, Timestamp)>,
    dirty: VecDeque<Dirty>,
    events: VecDeque<Event>,
    counters: Counters,
    /// Since when `control_bytes` has been above its limit.
    control_over: Option<Instant>,
    /// The latest time that the connection was told.
    clock: Instant,
    /// Bytes of streams that were ended to make room, by events that have not been taken yet.
    shed_bytes: usize,
    holders: Holders,
    abuse: u32,
    leftovers: u32,
    draining: bool,
    closed: Option<CloseReason>,
}

impl Connection {
    /// A connection whose handshake has just been done.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.first_mux = MuxId::new(70);
    /// let mut connection = Connection::new(config, now);
    /// assert!(connection.is_idle());
    /// let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// assert_eq!(mux, MuxId::new(70));
    /// // Where the next connection of the link goes on.
    /// assert_eq!(connection.next_mux(), MuxId::new(71));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[must_use]
    pub fn new(mut config: Config, now: Instant) -> Self {
        config.keep_in_range();
        let seed = Seeded(config.hash_seed);
        Self {
            born: now,
            calls: Table::with_hasher(seed),
            first_mux: config.first_mux.get(),
            next_mux: config.first_mux.get(),
            open_requests: 0,
            served: Table::with_hasher(seed),
            served_by_mux: Table::with_hasher(seed),
            incoming: Table::with_hasher(seed),
            next_serial: handler_recv::first_serial(config.generation),
            answered_streams: Answered::new(config.hash_seed),
            answered_calls: Answered::new(config.hash_seed),
            late_incoming: Late::default(),
            late_calls: Late::default(),
            timers: Timers::default(),
            keepalive: Keepalive::new(config.ping_interval, now),
            queue: OutQueue::new(
                config.max_queued_bytes,
                config.queued.clone(),
                config.hash_seed,
            ),
            control: VecDeque::new(),
            control_bytes: 0,
            link_ping_owed: false,
            asked_ping: None,
            asked_left: MOST_ASKED_PINGS,
            link_pong_owed: None,
            dirty: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            control_over: None,
            clock: now,
            shed_bytes: 0,
            holders: Holders::default(),
            abuse: 0,
            leftovers: config.max_leftovers,
            draining: false,
            closed: None,
            config,
        }
    }

    /// A message of this connection with nothing in it but what all have.
    fn message(&self, op: Op, mux: u64) -> Message {
        Message {
            mux: MuxId::new(mux),
            seq: 0,
            deadline_ms: 0,
            handler: HandlerId::new(0),
            op,
            flags: self.base_flags(),
            payload: Bytes::new(),
            subroute: None,
        }
    }

    fn base_flags(&self) -> Flags {
        if self.config.checksums {
            Flags::CRC
        } else {
            Flags::empty()
        }
    }

    /// The wall clock, as far as it can be told from the time that has passed since the connection was made.
    fn wall_clock(&self, now: Instant) -> Timestamp {
        self.config
            .wall_clock
            .saturating_add(now.saturating_duration_since(self.born))
    }

    /// Sends an answer that belongs to no open mux.
    fn answer(&mut self, message: Message) {
        // What is being handled may have closed the connection before it comes to its answer.
        if self.closed.is_some() {
            return;
        }
        let bytes = message.encoded_len();
        self.control_bytes += bytes;
        self.control.push_back((message, bytes));
        let limit = self.config.max_control_bytes;
        if self.control_bytes > limit {
            // A burst that is refused fills this faster than the writer gets its turn: only time tells the two apart.
            let since = *self.control_over.get_or_insert(self.clock);
            if self.clock.saturating_duration_since(since) >= NOT_READING
                || self.control_bytes > limit.saturating_mul(4)
            {
                self.close(CloseReason::PeerNotReading);
            }
        }
    }

    /// Counts a message for a mux that is not open, of which there are more than may be late.
    fn stray(&mut self, what: &'static str) {
        match self.leftovers.checked_sub(1) {
            Some(left) => self.leftovers = left,
            None => self.abuse(what),
        }
    }

    /// Counts something that no honest peer does in number.
    fn abuse(&mut self, what: &'static str) {
        self.count_abuse(1, what);
    }

    fn count_abuse(&mut self, times: u32, what: &'static str) {
        self.abuse = self.abuse.saturating_add(times);
        if self.abuse > self.config.max_abuse {
            self.close(CloseReason::Abuse(what));
        }
    }

    /// Lists a mux among those that owe something.
    fn owe(dirty: &mut VecDeque<Dirty>, listed: &mut bool, entry: Dirty) {
        if !*listed {
            *listed = true;
            dirty.push_back(entry);
        }
    }

    #[cfg(feature = "__faults")]
    fn faulty(&self, fault: Fault) -> bool {
        self.config.fault == Some(fault)
    }
}
