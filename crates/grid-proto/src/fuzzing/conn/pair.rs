//! Two machines joined by a link that loses nothing: what one sends is what the other gets.

mod agree;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes as Frame;

use super::{Bytes, Handlers, capacity, choose, config};
use crate::{
    HandlerId, MuxId, Payload,
    conn::{Connection, NewRequest, NewStream, ServeId, Ticket},
    wire::{Message, encode_merged, unfold},
};

/// A call of one side, and what the other knows of it.
#[derive(Default)]
struct Call {
    open: bool,
    sent: u32,
    finished: bool,
    got: u32,
    unread: u32,
    served: Option<ServeId>,
    over: bool,
    /// The handler returned, and how.
    result: Option<bool>,
    handler_sent: u32,
    handler_got: u32,
    handler_unread: u32,
}

struct Side {
    conn: Connection,
    calls: BTreeMap<u64, Call>,
    tickets: Vec<Ticket>,
    sending: VecDeque<Frame>,
}

struct Pair {
    sides: [Side; 2],
    handlers: Handlers,
    now: Instant,
}

pub(super) fn play(mode: u8, mut bytes: Bytes<'_>) {
    let now = Instant::now();
    let sides = [1, 2].map(|generation| Side {
        conn: Connection::new(config(mode, generation), now),
        calls: BTreeMap::new(),
        tickets: Vec::new(),
        sending: VecDeque::new(),
    });
    let handlers = Handlers::new(mode);
    let mut pair = Pair {
        sides,
        handlers,
        now,
    };
    while let Some(op) = bytes.next() {
        pair.operate(usize::from(op & 1), op >> 1, &mut bytes);
        pair.settle();
    }
    if mode & 128 == 0 {
        pair.read_all();
    }
    pair.rest();
}

/// What arrives in one round is read in the next, and answered in the one after it.
const QUIET: u32 = 3;
/// Steps of a handler: it reads what it was sent, or returns.
const READS: u8 = 11;
const RETURNS: u8 = 12;

/// An item says which one it is.
fn item(mux: u64, index: u32) -> Payload {
    Payload::from(format!("{mux} {index}"))
}

impl Pair {
    fn operate(&mut self, side: usize, op: u8, bytes: &mut Bytes<'_>) {
        let now = self.now;
        let by = bytes.or_zero();
        let deadline = Some(now + Duration::from_millis(u64::from(by) * 3));
        let this = &mut self.sides[side];
        let open: Vec<u64> = this
            .calls
            .iter()
            .filter(|(_, call)| call.open)
            .map(|(mux, _)| *mux)
            .collect();
        let call = choose(&open, by);
        match op % 15 {
            0 => {
                let mut new = NewRequest::new(HandlerId::new(by), item(0, 0));
                new.urgent = self.handlers.are_urgent(by);
                new.deadline = deadline.filter(|_| by.is_multiple_of(3));
                if let Ok(mux) = this.conn.request(now, new) {
                    this.calls.insert(
                        mux.get(),
                        Call {
                            open: true,
                            ..Call::default()
                        },
                    );
                }
            }
            1 | 2 => {
                let handler = HandlerId::new(by);
                let mut new = NewStream::new(handler, capacity(handler), item(0, 0));
                new.urgent = self.handlers.are_urgent(by);
                new.deadline = deadline.filter(|_| by.is_multiple_of(5));
                if let Ok(mux) = this.conn.open(now, new) {
                    this.calls.insert(
                        mux.get(),
                        Call {
                            open: true,
                            ..Call::default()
                        },
                    );
                }
            }
            3 | 4 => {
                let Some((mux, call)) = call.and_then(|mux| Some((mux, this.calls.get_mut(&mux)?)))
                else {
                    return;
                };
                if this
                    .conn
                    .send(MuxId::new(mux), item(mux, call.sent))
                    .is_ok()
                {
                    assert!(!call.finished);
                    call.sent += 1;
                }
            }
            5 => {
                let Some((mux, call)) = call.and_then(|mux| Some((mux, this.calls.get_mut(&mux)?)))
                else {
                    return;
                };
                this.conn.finish(MuxId::new(mux));
                call.finished = true;
            }
            6 => self.consume(side, call),
            7 => {
                if let Some(mux) = call {
                    this.conn.cancel(MuxId::new(mux));
                    this.calls.entry(mux).or_default().open = false;
                }
            }
            8 => {
                if let Some(ticket) = choose(&this.tickets, by) {
                    let mut answer = if by.is_multiple_of(4) {
                        Err("no".into())
                    } else {
                        Ok(item(0, 1))
                    };
                    let urgent = self.handlers.are_urgent(by);
                    let _ = this.conn.try_respond(ticket, &mut answer, urgent);
                }
            }
            9..=12 => self.serve(side, op % 15, by),
            13 => self.pass(Duration::from_millis(u64::from(by) * u64::from(by) / 8)),
            _ => {
                self.transmit(side, usize::from(by) * 4);
                self.deliver(side, usize::from(by) % 5);
            }
        }
    }

    /// What the user of a call of `side` does with its items.
    fn consume(&mut self, side: usize, mux: Option<u64>) {
        let this = &mut self.sides[side];
        if let Some((mux, call)) = mux.and_then(|mux| Some((mux, this.calls.get_mut(&mux)?))) {
            this.conn
                .consumed(MuxId::new(mux), std::mem::take(&mut call.unread));
        }
    }

    /// A step of a handler on `side`, for a call of the other.
    fn serve(&mut self, side: usize, op: u8, by: u8) {
        let [zero, one] = &mut self.sides;
        let (this, other) = if side == 0 { (zero, one) } else { (one, zero) };
        let served: Vec<u64> = other
            .calls
            .iter()
            .filter(|(_, call)| call.served.is_some() && !call.over)
            .map(|(mux, _)| *mux)
            .collect();
        let Some(mux) = choose(&served, by) else {
            return;
        };
        let call = other.calls.entry(mux).or_default();
        let Some(stream) = call.served else { return };
        match op {
            9 | 10 => {
                if this
                    .conn
                    .serve_send(stream, item(mux, call.handler_sent))
                    .is_ok()
                {
                    call.handler_sent += 1;
                }
            }
            READS => this
                .conn
                .serve_consumed(stream, std::mem::take(&mut call.handler_unread)),
            _ => {
                let good = !by.is_multiple_of(3);
                this.conn
                    .serve_finish(stream, if good { Ok(()) } else { Err("no".into()) });
                (call.over, call.result) = (true, Some(good));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1_000 {
            let timeouts = self
                .sides
                .iter()
                .filter_map(|side| side.conn.poll_timeout());
            let Some(at) = timeouts.min().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            for side in 0..2 {
                self.sides[side].conn.handle_timeout(self.now);
                self.settle();
            }
        }
        self.now = until;
    }

    fn transmit(&mut self, side: usize, max: usize) {
        let this = &mut self.sides[side];
        let mut out: Vec<Message> = Vec::new();
        let bytes = this.conn.poll_transmit(self.now, &mut out, max);
        assert_eq!(bytes, out.iter().map(Message::encoded_len).sum::<usize>());
        if !out.is_empty() {
            let mut frame = Vec::new();
            encode_merged(&out, &mut frame);
            this.sending.push_back(frame.into());
        }
    }

    fn deliver(&mut self, from: usize, most: usize) {
        for _ in 0..most {
            let Some(frame) = self.sides[from].sending.pop_front() else {
                return;
            };
            for message in unfold(frame) {
                let message = message.expect("what was written can be read");
                self.sides[1 - from]
                    .conn
                    .handle_message(self.now, message, &self.handlers);
            }
            self.settle();
        }
    }

    /// Every handler of a single request ends without an answer.
    fn forget(&mut self) {
        for side in &mut self.sides {
            for ticket in std::mem::take(&mut side.tickets) {
                side.conn.forget(ticket);
            }
        }
    }

    /// Every user reads what there is, every handler takes a step, and what is sent arrives. False where nothing moves any
    /// more.
    fn round(&mut self, step: u8) -> bool {
        for side in 0..2 {
            for mux in self.sides[side].calls.keys().copied().collect::<Vec<_>>() {
                self.consume(side, Some(mux));
            }
            for by in 0..=u8::MAX {
                self.serve(side, step, by);
            }
            self.transmit(side, 1 << 10);
            self.deliver(side, usize::MAX);
        }
        let moves = |side: &Side| side.conn.wants_transmit() || !side.sending.is_empty();
        self.sides.iter().any(moves)
    }

    /// Once all that was sent has been read, all credit is back.
    fn read_all(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET {
            quiet = if self.round(READS) { 0 } else { quiet + 1 };
        }
        for side in 0..2 {
            let (this, other) = (&self.sides[side], &self.sides[1 - side]);
            for (mux, call) in &this.calls {
                if !call.open || call.over || call.served.is_none() {
                    continue;
                }
                let mux = MuxId::new(*mux);
                if !call.finished {
                    let whole = this.conn.has_all_credit(mux, false);
                    assert_eq!(whole, Some(true), "credit for what {mux} of {side} sends");
                }
                let whole = other.conn.has_all_credit(mux, true);
                assert_eq!(whole, Some(true), "credit for what {mux} of {side} gets");
            }
        }
    }

    /// All that is under way comes to its end.
    fn rest(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET {
            self.forget();
            quiet = if self.round(RETURNS) { 0 } else { quiet + 1 };
        }
        // Requests that nobody answers wait for their deadline; streams wait for nothing any more.
        for (node, side) in self.sides.iter().enumerate() {
            for (mux, call) in &side.calls {
                let unanswered = call.served.is_none();
                assert!(
                    !call.open || unanswered,
                    "stream {mux} of {node} never ends"
                );
            }
            assert_eq!(side.conn.open_streams(), 0);
        }
        for side in 0..2 {
            let open = std::mem::take(&mut self.sides[side].calls);
            for mux in open.into_keys() {
                self.sides[side].conn.cancel(MuxId::new(mux));
            }
        }
        for side in [0, 1, 0, 1] {
            self.transmit(side, 1 << 20);
            let frames = std::mem::take(&mut self.sides[side].sending);
            for message in frames.into_iter().flat_map(unfold) {
                let message = message.expect("what was written can be read");
                self.sides[1 - side]
                    .conn
                    .handle_message(self.now, message, &self.handlers);
            }
        }
        self.forget();
        for side in &self.sides {
            assert!(
                side.conn.is_idle() && side.conn.timers() == 0,
                "{:?}",
                side.conn
            );
        }
    }
}
