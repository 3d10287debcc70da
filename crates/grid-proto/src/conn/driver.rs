//! What drives a connection tells it, and what it asks it: messages, the time, what to do next.

use std::{collections::VecDeque, time::Instant};

use crate::{
    MuxId, Payload,
    wire::{Message, Op},
};

#[cfg(doc)]
use super::Config;
use super::{
    Connection,
    budget::Charge,
    event::{Event, Routes, ServeId},
};

impl Connection {
    /// Takes a message in.
    ///
    /// A peer that breaks the rules of a stream ends that stream; one that breaks those of the connection closes it
    /// ([`close_reason`](Self::close_reason)).
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
    /// let now = Instant::now();
    /// let mut here = Connection::new(Config::default(), now);
    /// let mut there = Connection::new(Config::default(), now);
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// let mut out = Vec::new();
    /// here.poll_transmit(now, &mut out, 64 << 10);
    /// // They went over a network.
    /// for message in out {
    ///     there.handle_message(now, message, &Served);
    /// }
    /// let Some(Event::Request(request)) = there.poll_event() else { panic!("no request") };
    /// assert_eq!(request.payload.as_slice(), b"hello");
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn handle_message(&mut self, now: Instant, message: Message, routes: &dyn Routes) {
        if self.closed.is_some() {
            return;
        }
        self.clock = self.clock.max(now);
        self.keepalive.heard(now);
        self.counters.messages_in += 1;
        match message.op {
            Op::Request => self.on_request(now, message, routes),
            Op::ConnectMux => self.on_connect_mux(now, message, routes),
            Op::MuxClientMsg => self.on_client_msg(message),
            Op::UnblockSrvMux => self.on_unblock_server(&message),
            Op::DisconnectServerMux => self.on_disconnect_server(&message),
            Op::Ping if message.mux == MuxId::CONNECTION => self.on_link_ping(&message),
            Op::Ping => self.on_stream_ping(now, &message),
            Op::Response => self.on_response(message),
            Op::AckMux => self.on_ack(now, &message),
            Op::MuxServerMsg => self.on_server_msg(now, message),
            Op::UnblockClMux => self.on_unblock_client(now, &message),
            Op::DisconnectClientMux => self.on_disconnect_client(now, message),
            Op::MuxConnectError => self.on_mux_connect_error(&message),
            Op::Pong if message.mux == MuxId::CONNECTION => self.on_link_pong(now, &message),
            Op::Pong => self.on_stream_pong(now, &message),
            // Reserved, or for the handshake only: MinIO nodes log and ignore them.
            Op::Connect | Op::ConnectResponse | Op::Disconnect | Op::Merged | Op::Unknown(_) => {
                self.counters.ignored += 1;
                self.abuse("messages that mean nothing");
            }
        }
    }

    /// So many frames arrived that carry no message, such as pings of the layer below: the peer is alive, and they count
    /// against [`max_abuse`](Config::max_abuse) like messages that mean nothing.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::conn::{CloseReason, Config, Connection};
    ///
    /// let now = Instant::now();
    /// let mut config = Config::default();
    /// config.max_abuse = 100;
    /// let mut connection = Connection::new(config, now);
    /// connection.handle_noise(now, 100);
    /// assert_eq!(connection.close_reason(), None);
    /// connection.handle_noise(now, 1);
    /// assert!(matches!(connection.close_reason(), Some(CloseReason::Abuse(_))));
    /// ```
    pub fn handle_noise(&mut self, now: Instant, frames: u32) {
        if self.closed.is_some() {
            return;
        }
        self.clock = self.clock.max(now);
        self.keepalive.heard(now);
        self.count_abuse(frames, "frames without a message");
    }

    /// Bytes arrived, though not yet a whole message: the peer is alive.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use grid_proto::conn::{CloseReason, Config, Connection};
    ///
    /// let mut now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// // A message so large that it takes a minute.
    /// for _ in 0..60 {
    ///     now += Duration::from_secs(1);
    ///     connection.handle_alive(now);
    ///     connection.handle_timeout(now);
    /// }
    /// assert_eq!(connection.close_reason(), None);
    /// // Then nothing more.
    /// for _ in 0..60 {
    ///     now += Duration::from_secs(1);
    ///     connection.handle_timeout(now);
    /// }
    /// assert!(matches!(connection.close_reason(), Some(CloseReason::PeerSilent(_))));
    /// ```
    pub fn handle_alive(&mut self, now: Instant) {
        self.keepalive.heard(now);
    }

    /// Refuses what the peer calls from now on; what is being served goes on.
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
    /// there.refuse_new();
    /// here.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// pass(now, &mut here, &mut there);
    /// pass(now, &mut there, &mut here);
    /// let Some(Event::Answered { outcome, .. }) = here.poll_event() else { panic!("no end") };
    /// assert_eq!(outcome, Err(CallError::Rejected(MuxRejection::ShuttingDown)));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn refuse_new(&mut self) {
        self.draining = true;
    }

    /// The next thing that happened. Events come in the order in which they happened.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{CallError, CloseReason, Config, Connection, Event, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let hello = || NewRequest::new(HandlerId::new(9), Payload::Absent);
    /// let calls = [connection.request(now, hello())?, connection.request(now, hello())?];
    /// connection.close(CloseReason::Local);
    /// let mut ended = Vec::new();
    /// while connection.has_events() {
    ///     let Some(Event::Answered { mux, outcome }) = connection.poll_event() else { panic!("no end") };
    ///     assert_eq!(outcome, Err(CallError::Closed));
    ///     ended.push(mux);
    /// }
    /// ended.sort_unstable();
    /// assert_eq!(ended, calls);
    /// assert!(connection.poll_event().is_none());
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    // So that an event is taken apart where it lies.
    #[inline]
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.all_told();
        }
        event
    }

    /// As [`poll_event`](Self::poll_event), where the next thing that happened is one more item of this stream of ours: for
    /// whoever has found out where the one before it belongs.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, NewStream, Routes};
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
    /// let mux = connection.open(now, NewStream::new(HandlerId::new(9), Capacity::new(0, 2), Payload::Absent))?;
    /// connection.poll_transmit(now, &mut Vec::new(), 64 << 10);
    /// connection.handle_message(now, Message::new(Op::AckMux, mux), &Served);
    /// for seq in [1, 2] {
    ///     connection.handle_message(now, Message { seq, ..Message::new(Op::MuxServerMsg, mux) }, &Served);
    /// }
    /// assert!(matches!(connection.poll_event(), Some(Event::Item { .. })));
    /// assert!(connection.poll_item(MuxId::new(mux.get() + 1)).is_none(), "it is another's");
    /// assert!(connection.poll_item(mux).is_some());
    /// assert!(connection.poll_item(mux).is_none());
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    #[inline]
    pub fn poll_item(&mut self, mux: MuxId) -> Option<(Payload, Charge)> {
        match self.events.front() {
            Some(Event::Item { mux: next, .. }) if *next == mux => {}
            _ => return None,
        }
        match self.events.pop_front() {
            Some(Event::Item {
                payload, charge, ..
            }) => Some((payload, charge)),
            _ => None,
        }
    }

    /// As [`poll_item`](Self::poll_item), for a stream that is being served.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, MuxId, Payload, SubrouteId, wire::{Message, MuxRejection, Op}};
    /// use grid_proto::conn::{Capacity, Config, Connection, Event, Routes};
    ///
    /// # struct Served;
    /// # impl Routes for Served {
    /// #     fn single(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> { Ok(0) }
    /// #     fn stream(&self, _: HandlerId, _: Option<&SubrouteId>) -> Result<(u32, Capacity), MuxRejection> {
    /// #         Ok((0, Capacity::new(2, 0)))
    /// #     }
    /// # }
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// connection.handle_message(now, Message::new(Op::ConnectMux, MuxId::new(1)), &Served);
    /// let Some(Event::Opened(opened)) = connection.poll_event() else { panic!("no stream") };
    /// for seq in [1, 2] {
    ///     connection.handle_message(now, Message { seq, ..Message::new(Op::MuxClientMsg, MuxId::new(1)) }, &Served);
    /// }
    /// assert!(matches!(connection.poll_event(), Some(Event::Received { .. })));
    /// assert!(connection.poll_received(opened.stream).is_some());
    /// assert!(connection.poll_received(opened.stream).is_none());
    /// ```
    #[inline]
    pub fn poll_received(&mut self, stream: ServeId) -> Option<(Payload, Charge)> {
        match self.events.front() {
            Some(Event::Received { stream: next, .. }) if *next == stream => {}
            _ => return None,
        }
        match self.events.pop_front() {
            Some(Event::Received {
                payload, charge, ..
            }) => Some((payload, charge)),
            _ => None,
        }
    }

    fn all_told(&mut self) {
        self.shed_bytes = 0;
        if self.events.capacity() > 1024 {
            self.events = VecDeque::new();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once the connection has ended.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use grid_proto::conn::{Config, Connection};
    ///
    /// let began = Instant::now();
    /// let mut connection = Connection::new(Config::default(), began);
    /// let mut last = began;
    /// // Who drives it sleeps until then; here nobody is at the other end.
    /// while let Some(due) = connection.poll_timeout() {
    ///     connection.handle_timeout(due);
    ///     last = due;
    /// }
    /// assert!(connection.close_reason().is_some());
    /// assert_eq!(last - began, Duration::from_secs(20));
    /// ```
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        let keepalive = self.keepalive.next();
        Some(
            self.timers
                .next()
                .map_or(keepalive, |due| due.min(keepalive)),
        )
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to give.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::conn::{Config, Connection};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// assert!(!connection.wants_transmit());
    /// connection.ping();
    /// let mut out = Vec::new();
    /// while connection.wants_transmit() {
    ///     connection.poll_transmit(now, &mut out, 64 << 10);
    /// }
    /// assert_eq!(out.len(), 1);
    /// ```
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        !self.dirty.is_empty()
            || !self.queue.is_empty()
            || !self.control.is_empty()
            || self.link_ping_owed
            || self.link_pong_owed.is_some()
    }
}
