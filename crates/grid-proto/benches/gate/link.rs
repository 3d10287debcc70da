//! Two machines, and all that lies between them but for a websocket.

use std::time::{Duration, Instant};

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId, Payload, SubrouteId,
    conn::{
        Capacity, Config, Connection, Event, InboundRequest, InboundStream, NewRequest, NewStream,
        Routes, ServeId,
    },
    wire::{Message, MuxRejection, unfold},
};

use crate::{payload, repeat, wire::put};

const HANDLER: HandlerId = HandlerId::new(7);
const CAPACITY: Capacity = Capacity::new(100, 100);
/// Bytes that are merged into one, as nodes do unless they are told otherwise.
const MERGE_LIMIT: usize = 64 << 10;

/// Every handler there may be.
struct Handlers;

impl Routes for Handlers {
    fn single(&self, handler: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> {
        Ok(u32::from(handler.get()))
    }

    fn stream(
        &self,
        handler: HandlerId,
        _: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        Ok((u32::from(handler.get()), CAPACITY))
    }
}

/// A connection, seen from both of its ends.
struct Link {
    caller: Connection,
    handler: Connection,
    now: Instant,
    /// What is on its way, to be used again.
    messages: Vec<Message>,
}

impl Link {
    fn new() -> Self {
        let now = Instant::now();
        let machine = |hash_seed| {
            let mut config = Config::default();
            config.hash_seed = hash_seed;
            config.peer_cancels_requests = true;
            config.peer_counts_credit = true;
            Connection::new(config, now)
        };
        Self {
            caller: machine(0x5eed_0001),
            handler: machine(0x5eed_0002),
            now,
            messages: Vec::new(),
        }
    }

    /// A stream that is open on both sides.
    fn with_stream() -> (Self, MuxId, ServeId) {
        let mut link = Self::new();
        let opened = link
            .caller
            .open(link.now, NewStream::new(HANDLER, CAPACITY, Payload::Absent));
        let mux = opened.unwrap_or_else(|error| panic!("a stream: {error}"));
        link.call();
        let stream = match link.handler.poll_event() {
            Some(Event::Opened(InboundStream { stream, .. })) => stream,
            other => panic!("no stream was opened: {other:?}"),
        };
        link.answer();
        (link, mux, stream)
    }

    /// Takes what the caller has to say to the handler.
    fn call(&mut self) {
        carry(
            &mut self.caller,
            &mut self.handler,
            self.now,
            &mut self.messages,
        );
    }

    /// Takes what the handler has to say to the caller.
    fn answer(&mut self) {
        carry(
            &mut self.handler,
            &mut self.caller,
            self.now,
            &mut self.messages,
        );
    }

    /// Time passes, so that deadlines differ from one batch to the next.
    fn pass(&mut self) {
        self.now += Duration::from_micros(1);
    }
}

/// Takes all that one machine has to say to the other: as messages, as bytes, as messages.
fn carry(from: &mut Connection, to: &mut Connection, now: Instant, messages: &mut Vec<Message>) {
    while from.wants_transmit() {
        messages.clear();
        from.poll_transmit(now, messages, MERGE_LIMIT);
        let mut out = Vec::new();
        put(messages, &mut out);
        for message in unfold(Bytes::from(out)) {
            let message = message.unwrap_or_else(|error| panic!("a message: {error}"));
            to.handle_message(now, message, &Handlers);
        }
    }
}

/// Single requests, so many under way at a time, whose handler gives back what it gets.
pub(crate) fn requests(count: usize, len: usize, times: u64) {
    let mut link = Link::new();
    let payload = Payload::from(payload(len));
    repeat(times, || {
        link.pass();
        for _ in 0..count {
            let new = NewRequest::new(HANDLER, payload.clone());
            assert!(link.caller.request(link.now, new).is_ok());
        }
        link.call();
        while let Some(event) = link.handler.poll_event() {
            let Event::Request(InboundRequest {
                ticket, payload, ..
            }) = event
            else {
                panic!("not a request: {event:?}");
            };
            assert!(link.handler.respond(ticket, Ok(payload)).is_ok());
        }
        link.answer();
        let mut answered = 0;
        while let Some(event) = link.caller.poll_event() {
            let Event::Answered { outcome, .. } = event else {
                panic!("not an answer: {event:?}");
            };
            assert_eq!(outcome.map(|answer| answer.len()), Ok(len));
            answered += 1;
        }
        assert_eq!(answered, count);
    });
}

/// Items towards a handler, each of which returns its credit.
pub(crate) fn items_in(count: usize, len: usize, times: u64) {
    let (mut link, mux, stream) = Link::with_stream();
    let payload = Payload::from(payload(len));
    repeat(times, || {
        link.pass();
        for _ in 0..count {
            assert!(link.caller.send(mux, payload.clone()).is_ok());
        }
        link.call();
        let mut received = 0;
        while let Some(event) = link.handler.poll_event() {
            if let Event::Received { payload, .. } = event {
                assert_eq!(payload.len(), len);
                link.handler.serve_consumed(stream, 1);
                received += 1;
            }
        }
        assert_eq!(received, count);
        link.answer();
        while link.caller.poll_event().is_some() {}
    });
}

/// Items from a handler, each of which returns its credit.
pub(crate) fn items_out(count: usize, len: usize, times: u64) {
    let (mut link, mux, stream) = Link::with_stream();
    let payload = Payload::from(payload(len));
    repeat(times, || {
        link.pass();
        for _ in 0..count {
            assert!(link.handler.serve_send(stream, payload.clone()).is_ok());
        }
        link.answer();
        let mut received = 0;
        while let Some(event) = link.caller.poll_event() {
            if let Event::Item { payload, .. } = event {
                assert_eq!(payload.len(), len);
                link.caller.consumed(mux, 1);
                received += 1;
            }
        }
        assert_eq!(received, count);
        link.call();
        while link.handler.poll_event().is_some() {}
    });
}
