//! A machine and the hand that plays its peer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId, Payload, SubrouteId,
    conn::{
        Capacity, Config, Connection, Event, InboundRequest, InboundStream, NewRequest, NewStream,
        Routes, ServeId, Ticket,
    },
    wire::{Flags, Message, MuxRejection, Op, Ping, Pong},
};

/// The handler that nobody has.
pub(crate) const NOBODY: HandlerId = HandlerId::new(99);
pub(crate) const HANDLER: HandlerId = HandlerId::new(7);
/// The one whose streams are urgent.
pub(crate) const URGENT: HandlerId = HandlerId::new(8);

/// Every handler but one; streams have these capacities.
pub(crate) struct Handlers(pub(crate) Capacity);

impl Routes for Handlers {
    fn single(&self, handler: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> {
        match handler {
            NOBODY => Err(MuxRejection::UnknownHandler("Nobody".into())),
            other => Ok(u32::from(other.get())),
        }
    }

    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        self.single(handler, subroute).map(|route| (route, self.0))
    }

    fn stream_is_urgent(&self, route: u32) -> bool {
        route == u32::from(URGENT.get())
    }
}

/// A machine, its clock, and the capacities of its stream handlers.
pub(crate) struct Machine {
    pub(crate) conn: Connection,
    pub(crate) now: Instant,
    pub(crate) capacity: Capacity,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(tune: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        tune(&mut config);
        let now = Instant::now();
        Self {
            conn: Connection::new(config, now),
            now,
            capacity: Capacity::new(4, 4),
        }
    }

    pub(crate) fn gets(&mut self, message: Message) {
        self.conn
            .handle_message(self.now, message, &Handlers(self.capacity));
    }

    /// All that it sends now.
    pub(crate) fn sends(&mut self) -> Vec<Message> {
        let mut out = Vec::new();
        while self.conn.wants_transmit() {
            self.conn.poll_transmit(self.now, &mut out, 1 << 20);
        }
        out
    }

    /// The ops of all that it sends now.
    pub(crate) fn sent_ops(&mut self) -> Vec<Op> {
        self.sends().iter().map(|message| message.op).collect()
    }

    /// What has happened, but for the payloads that were not sent; see [`unsent`](Self::unsent).
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.conn.poll_event())
            .filter(|event| !matches!(event, Event::Unsent(_)))
            .collect()
    }

    /// The payloads that are handed out because they will not be sent; other events are lost.
    pub(crate) fn unsent(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.conn.poll_event())
            .filter_map(|event| match event {
                Event::Unsent(payload) => Some(payload),
                _ => None,
            })
            .collect()
    }

    /// The only thing that has happened.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    #[track_caller]
    pub(crate) fn no_event(&mut self) {
        let events = self.events();
        assert!(events.is_empty(), "{events:?}");
    }

    /// Lets time pass, and does what is due when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.conn.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.conn.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// As [`pass`](Self::pass), while bytes of the peer keep the link alive.
    pub(crate) fn pass_alive(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.pass(Duration::from_secs(1).min(until - self.now));
            self.conn.handle_alive(self.now);
        }
    }

    /// As [`pass_alive`](Self::pass_alive), while the peer answers the pings of the link. Gives all else that was sent.
    pub(crate) fn pass_answered(&mut self, time: Duration) -> Vec<Message> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while self.now < until {
            self.pass_alive(Duration::from_secs(1).min(until - self.now));
            for message in self.sends() {
                if message.op == Op::Ping && message.mux == MuxId::CONNECTION {
                    self.gets(link_pong(&message));
                } else {
                    sent.push(message);
                }
            }
        }
        sent
    }

    pub(crate) fn request(&mut self) -> MuxId {
        let new = NewRequest::new(HANDLER, Payload::from("q"));
        self.conn.request(self.now, new).expect("a request")
    }

    /// Opens a stream; nothing has left for the socket.
    pub(crate) fn open(&mut self, input: u32, output: u32, deadline: Option<Duration>) -> MuxId {
        let mut new = NewStream::new(HANDLER, Capacity::new(input, output), Payload::from("s"));
        new.deadline = deadline.map(|after| self.now + after);
        self.conn.open(self.now, new).expect("a stream")
    }

    /// Opens a stream that the peer has acknowledged.
    pub(crate) fn opened(&mut self, input: u32, output: u32) -> MuxId {
        let mux = self.open(input, output, None);
        assert_eq!(self.sent_ops(), [Op::ConnectMux]);
        self.gets(message(Op::AckMux, mux, 0));
        self.events();
        mux
    }

    /// The peer makes a request.
    pub(crate) fn serves_request(&mut self, mux: u64) -> Ticket {
        self.gets(call(Op::Request, mux));
        match self.event() {
            Event::Request(InboundRequest { ticket, .. }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// The peer opens a stream, which is acknowledged.
    pub(crate) fn serves_stream(&mut self, mux: u64) -> ServeId {
        self.gets(call(Op::ConnectMux, mux));
        let stream = match self.event() {
            Event::Opened(InboundStream { stream, .. }) => stream,
            other => panic!("{other:?}"),
        };
        assert_eq!(self.sent_ops(), [Op::AckMux]);
        stream
    }
}

/// A message without payload.
pub(crate) fn message(op: Op, mux: MuxId, seq: u32) -> Message {
    Message {
        seq,
        flags: Flags::CRC,
        ..Message::new(op, mux)
    }
}

/// The answer of a peer to a ping of the link.
pub(crate) fn link_pong(ping: &Message) -> Message {
    let pong = Pong {
        time: Ping::decode(&ping.payload).expect("a ping").time,
        ..Pong::default()
    };
    let mut payload = Vec::new();
    pong.encode(&mut payload);
    Message {
        payload: payload.into(),
        ..message(Op::Pong, MuxId::CONNECTION, 0)
    }
}

/// A stream item.
pub(crate) fn item(op: Op, mux: MuxId, seq: u32, bytes: usize) -> Message {
    message(op, mux, seq).with_content(Payload::from(vec![b'i'; bytes]))
}

/// A Request without deadline or a ConnectMux.
pub(crate) fn call(op: Op, mux: u64) -> Message {
    let mut call = message(op, MuxId::new(mux), 0);
    call.handler = HANDLER;
    if op == Op::Request {
        call.flags |= Flags::EOF;
    }
    call
}

pub(crate) fn with_flags(mut message: Message, flags: Flags) -> Message {
    message.flags |= flags;
    message
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
