//! One machine whose peer sends anything: it stays within its bounds and tells its application no nonsense.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Bytes, Handlers, check, choose, config};
use crate::{
    HandlerId, MuxId, Payload,
    conn::{Budget, Capacity, Charge, Connection, Event, NewRequest, NewStream, ServeId, Ticket},
    wire::{Flags, Message, Op, Pong},
};

struct Game {
    conn: Connection,
    now: Instant,
    small: bool,
    handlers: Handlers,
    inbound: Arc<Budget>,
    /// Streams of ours by number: their OUT, and what was delivered and not yet consumed.
    calls: BTreeMap<u64, (u32, u32)>,
    requests: Vec<u64>,
    /// Streams of the peer: their IN, and the same.
    served: HashMap<ServeId, (u32, u32)>,
    order: Vec<ServeId>,
    tickets: Vec<Ticket>,
    /// The numbers that the peer would have to use, by mux: as a caller, and as a handler.
    numbers: [BTreeMap<u64, u32>; 2],
    held: Vec<Charge>,
}

pub(super) fn play(mode: u8, mut bytes: Bytes<'_>) {
    let inbound = Budget::new(if mode & 16 == 0 { 1 << 20 } else { 200 });
    let mut config = config(mode, 1);
    config.inbound = Arc::clone(&inbound);
    let now = Instant::now();
    let mut game = Game {
        conn: Connection::new(config, now),
        now,
        small: mode & 8 != 0,
        handlers: Handlers::new(mode),
        inbound,
        calls: BTreeMap::new(),
        requests: Vec::new(),
        served: HashMap::new(),
        order: Vec::new(),
        tickets: Vec::new(),
        numbers: [BTreeMap::new(), BTreeMap::new()],
        held: Vec::new(),
    };
    while let Some(op) = bytes.next() {
        if op & 1 == 0 {
            game.peer(op >> 1, &mut bytes);
        } else {
            game.application(op >> 1, bytes.or_zero());
        }
        game.settle();
    }
    game.conn.close(crate::conn::CloseReason::Local);
    game.settle();
    game.held.clear();
    assert_eq!(game.inbound.used(), 0);
    assert!(game.calls.is_empty() && game.requests.is_empty() && game.served.is_empty());
}

impl Game {
    /// A message of the peer: most fields at random, the number often the right one.
    fn peer(&mut self, op: u8, bytes: &mut Bytes<'_>) {
        let (mux, how, payload) = (bytes.or_zero(), bytes.or_zero(), bytes.or_zero());
        let mut message = Message::new(Op::from_u8(op % 20), MuxId::new(u64::from(mux % 10)));
        message.flags = Flags::from_bits_retain(how >> 3 << 1);
        message.handler = HandlerId::new(payload);
        message.deadline_ms = if how & 4 == 0 {
            0
        } else {
            u32::from(payload) * 300
        };
        message.payload = vec![payload; usize::from(payload) / 8].into();
        if message.op == Op::Pong && payload & 1 == 0 {
            let mut pong = Vec::new();
            Pong::default().encode(&mut pong);
            message.payload = pong.into();
        }
        if matches!(message.op, Op::UnblockSrvMux | Op::UnblockClMux) {
            message.deadline_ms = choose(&[0, 1, 2, 3, 7, u32::MAX], payload).unwrap_or_default();
        }
        let as_handler = matches!(message.op, Op::AckMux | Op::MuxServerMsg | Op::UnblockClMux);
        let number = self.numbers[usize::from(as_handler)]
            .entry(message.mux.get())
            .or_default();
        if message.op == Op::ConnectMux {
            *number = u32::from(payload);
        }
        message.seq = if how & 3 == 3 {
            u32::from(payload)
        } else {
            *number
        };
        let counted = [Op::ConnectMux, Op::MuxClientMsg, Op::UnblockSrvMux].contains(&message.op);
        if as_handler || counted || (message.op == Op::Ping && mux % 10 != 0) {
            *number = number.wrapping_add(1);
        }
        self.conn.handle_message(self.now, message, &self.handlers);
    }

    fn application(&mut self, op: u8, by: u8) {
        let payload = || Payload::from(vec![by; usize::from(by)]);
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        match op % 14 {
            0 => {
                let mut new = NewRequest::new(HandlerId::new(by), payload());
                new.urgent = self.handlers.are_urgent(by);
                self.requests
                    .extend(self.conn.request(self.now, new).map(MuxId::get));
            }
            1 | 2 => {
                let capacity = Capacity::new(u32::from(by & 3), u32::from(by >> 2 & 7));
                let mut new = NewStream::new(HandlerId::new(by), capacity, payload());
                new.urgent = self.handlers.are_urgent(by);
                new.deadline =
                    (by & 1 == 0).then(|| self.now + Duration::from_millis(u64::from(by)));
                if let Ok(mux) = self.conn.open(self.now, new) {
                    self.calls.insert(mux.get(), (capacity.output, 0));
                    self.numbers[1].insert(mux.get(), 0);
                }
            }
            3 => _ = choose(&calls, by).map(|mux| self.conn.send(MuxId::new(mux), payload())),
            4 => _ = choose(&calls, by).map(|mux| self.conn.finish(MuxId::new(mux))),
            5 => {
                if let Some(mux) = choose(&calls, by) {
                    let unread = self
                        .calls
                        .get_mut(&mux)
                        .map_or(0, |call| std::mem::take(&mut call.1));
                    self.conn.consumed(MuxId::new(mux), unread);
                }
            }
            6 => {
                if let Some(mux) = choose(&calls, by) {
                    self.conn.cancel(MuxId::new(mux));
                    self.calls.remove(&mux);
                }
            }
            7 => {
                if let Some(ticket) = choose(&self.tickets, by) {
                    let mut answer = if by & 1 == 0 {
                        Ok(payload())
                    } else {
                        Err("no".into())
                    };
                    let urgent = self.handlers.are_urgent(by);
                    let _ = self.conn.try_respond(ticket, &mut answer, urgent);
                }
            }
            8 => {
                if let Some(mux) = choose(&self.requests, by) {
                    self.conn.cancel(MuxId::new(mux));
                    self.requests.retain(|open| *open != mux);
                }
            }
            9 => _ = choose(&self.order, by).map(|stream| self.conn.serve_send(stream, payload())),
            10 => {
                if let Some(stream) = choose(&self.order, by) {
                    let unread = self
                        .served
                        .get_mut(&stream)
                        .map_or(0, |open| std::mem::take(&mut open.1));
                    self.conn.serve_consumed(stream, unread);
                }
            }
            11 => {
                if let Some(stream) = choose(&self.order, by) {
                    let end = if by & 1 == 0 {
                        Ok(())
                    } else {
                        Err("no".into())
                    };
                    self.conn.serve_finish(stream, end);
                    self.served.remove(&stream);
                    self.order.retain(|open| *open != stream);
                }
            }
            12 => {
                self.now += Duration::from_millis(u64::from(by) * u64::from(by));
                if by & 1 == 0 {
                    self.conn.handle_alive(self.now);
                }
                self.conn.handle_timeout(self.now);
            }
            _ => {
                let mut out = Vec::new();
                self.conn
                    .poll_transmit(self.now, &mut out, usize::from(by) * 8);
                for message in out {
                    let mut encoded = Vec::new();
                    message.encode(&mut encoded);
                    let read =
                        Message::decode(encoded.into()).expect("what was written can be read");
                    assert_eq!(read.payload, message.payload);
                }
                self.held.clear();
            }
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.conn.poll_event() {
            self.on_event(event);
        }
        check(&self.conn);
        if self.small {
            let conn = &self.conn;
            assert!(conn.open_requests() <= 3 && conn.open_streams() <= 3);
            assert!(conn.serving_requests() <= 3 && conn.serving_streams() <= 3);
            // What waits is under its limit plus one message and the ends of the open streams, and the two reserves.
            let reserves = if self.handlers.urgent { 512 << 10 } else { 0 };
            assert!(
                conn.queued_bytes() < 2_000 + reserves,
                "{} bytes wait",
                conn.queued_bytes()
            );
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            // No operation asks for one.
            Event::Ponged { .. } => {}
            Event::Unsent(_) => {}
            Event::Answered { mux, .. } => {
                let before = self.requests.len();
                self.requests.retain(|open| *open != mux.get());
                assert_eq!(self.requests.len() + 1, before, "an answer for nobody");
            }
            Event::Item { mux, charge, .. } => {
                let (output, unread) = self.calls.get_mut(&mux.get()).expect("an open stream");
                *unread += 1;
                assert!(unread <= output, "more items than the capacity");
                self.held.push(charge);
            }
            Event::Writable { mux } => assert!(self.calls.contains_key(&mux.get())),
            Event::Ended { mux, .. } => assert!(self.calls.remove(&mux.get()).is_some()),
            Event::Request(request) => {
                self.tickets.push(request.ticket);
                self.held.push(request.charge);
            }
            Event::RequestCancelled { ticket, .. } => assert!(self.tickets.contains(&ticket)),
            Event::Opened(open) => {
                let fresh = self
                    .served
                    .insert(open.stream, (open.capacity.input, 0))
                    .is_none();
                assert!(fresh);
                self.order.push(open.stream);
                self.held.push(open.charge);
            }
            Event::Received { stream, charge, .. } => {
                let (input, unread) = self
                    .served
                    .get_mut(&stream)
                    .expect("a stream that is served");
                *unread += 1;
                assert!(unread <= input, "more items than the capacity");
                self.held.push(charge);
            }
            Event::InputEnded { stream } | Event::ServeWritable { stream } => {
                assert!(self.served.contains_key(&stream));
            }
            Event::Cancelled { stream, .. } => {
                assert!(
                    self.served.remove(&stream).is_some(),
                    "cancelled after its end"
                );
                self.order.retain(|open| *open != stream);
            }
        }
    }
}
