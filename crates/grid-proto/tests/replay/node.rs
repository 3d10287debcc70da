//! A node of one replay: the machine under virtual time, and an application that follows its table.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use grid_proto::{
    HandlerId, MuxId, Payload, SubrouteId,
    conn::{
        CallError, CancelReason, Config, Connection, Event, NewRequest, NewStream, RespondError,
        SendError, ServeId, Ticket,
    },
    wire::{Message, Text, Timestamp},
};

use super::{
    routes::{Probe, capacity},
    script::{Act, Call, Data, Replay, Step, request},
};

/// The wall clock of the node when its connection is made.
pub(crate) const WALL_CLOCK: i128 = 1_795_349_460_123_456_789;

/// What the application of a replayed node saw, in order.
#[derive(Debug)]
pub(crate) enum Saw {
    /// A call of its own ended; `None` where it gave up itself.
    Ended {
        mux: u64,
        stream: bool,
        outcome: Option<Result<Payload, CallError>>,
    },
    /// An item of a stream of its own.
    Item(Payload),
    /// A call to serve.
    Started {
        stream: bool,
        handler: u8,
        subroute: Option<SubrouteId>,
        payload: Payload,
        deadline: bool,
    },
    /// An item for a handler.
    Received,
    /// The caller of a stream that is served sends no more.
    InputEnded,
    /// The handler of a stream has to stop.
    Cancelled(CancelReason),
}

#[derive(Debug)]
pub(crate) struct Node {
    file: &'static str,
    pub(crate) connection: Connection,
    base: Instant,
    start: f64,
    now: f64,
    late: u32,
    pub(crate) sent: Vec<Message>,
    pub(crate) saw: Vec<Saw>,
    items: HashMap<u64, VecDeque<Payload>>,
    received: HashMap<u64, VecDeque<Payload>>,
    tickets: HashMap<u64, Ticket>,
    served: HashMap<u64, ServeId>,
}

impl Node {
    /// A node whose handshake is done at `start`, in milliseconds of the recording.
    pub(crate) fn new(replay: &Replay, start: f64) -> Self {
        let setup = &replay.setup;
        let base = Instant::now();
        let mut config = Config::default();
        config.first_mux = MuxId::new(1);
        config.wall_clock = Timestamp::from_unix_nanos(WALL_CLOCK);
        if setup.ping > 0 {
            config.ping_interval = Duration::from_millis(setup.ping);
        }
        if setup.stream_ping > 0 {
            config.stream_ping_interval = Duration::from_millis(setup.stream_ping);
        }
        Self {
            file: replay.file,
            connection: Connection::new(config, base),
            base,
            start,
            now: start,
            late: setup.later,
            sent: Vec::new(),
            saw: Vec::new(),
            items: HashMap::new(),
            received: HashMap::new(),
            tickets: HashMap::new(),
            served: HashMap::new(),
        }
    }

    /// Lets time pass until `millis` of the recording.
    pub(crate) fn advance(&mut self, millis: f64) {
        let until = self.instant(millis);
        while let Some(due) = self.connection.poll_timeout().filter(|due| *due <= until) {
            self.now = self
                .now
                .max(self.start + (due - self.base).as_secs_f64() * 1000.0);
            self.connection.handle_timeout(due);
            self.settle(due);
        }
        self.now = self.now.max(millis);
    }

    /// Takes a message of the peer in.
    pub(crate) fn receive(&mut self, mut message: Message) {
        if message.deadline_ms > 0 && message.handler.is_valid() {
            message.deadline_ms += self.late;
        }
        let now = self.instant(self.now);
        self.connection.handle_message(now, message, &Probe);
        self.settle(now);
    }

    /// Does what a step of the table says.
    pub(crate) fn act(&mut self, step: &Step) {
        let now = self.instant(self.now);
        let done = self.try_act(now, step);
        assert!(done.is_ok(), "{}: {step:?}: {done:?}", self.file);
        self.settle(now);
    }

    fn try_act(&mut self, now: Instant, step: &Step) -> Result<(), String> {
        let mux = MuxId::new(step.mux);
        match step.act {
            Act::Call(call) => self.call(now, call)?,
            Act::Calls(payloads) => {
                for payload in payloads {
                    self.call(now, request(9, *payload))?;
                }
            }
            Act::Send(items) => {
                for item in items {
                    let sent = self.connection.send(mux, item.payload());
                    sent.map_err(|error| error.to_string())?;
                    self.settle(now);
                }
            }
            Act::SendWaits(item) => {
                expect(
                    self.connection.send(mux, item.payload()),
                    SendError::NoCredit,
                )?;
            }
            Act::Finish => self.connection.finish(mux),
            Act::Take(items) => {
                let count = take(self.items.get_mut(&step.mux), items)?;
                self.connection.consumed(mux, count);
            }
            Act::Cancel => {
                let stream = self.connection.open_streams() > 0;
                self.connection.cancel(mux);
                self.saw.push(Saw::Ended {
                    mux: step.mux,
                    stream,
                    outcome: None,
                });
            }
            Act::Answer(payload) => self.answer(step.mux, Ok(payload.payload()))?,
            Act::Answers(payloads) => {
                for (mux, payload) in (1..).zip(payloads) {
                    self.answer(mux, Ok(payload.payload()))?;
                }
            }
            Act::Fail(text) => self.answer(step.mux, Err(Text::from(text)))?,
            Act::AnswerTooLate(payload) => {
                let ticket = self.ticket(step.mux)?;
                let late = self.connection.respond(ticket, Ok(payload.payload()));
                expect(late, RespondError::Gone)?;
            }
            Act::Serve(items) => {
                let stream = self.serving(step.mux)?;
                for item in items {
                    let sent = self.connection.serve_send(stream, item.payload());
                    sent.map_err(|error| error.to_string())?;
                    self.settle(now);
                }
            }
            Act::ServeWaits(item) => {
                let stream = self.serving(step.mux)?;
                let waits = self.connection.serve_send(stream, item.payload());
                expect(waits, SendError::NoCredit)?;
            }
            Act::Receive(items) => {
                let stream = self.serving(step.mux)?;
                let count = take(self.received.get_mut(&step.mux), items)?;
                self.connection.serve_consumed(stream, count);
            }
            Act::Return => {
                let stream = self.serving(step.mux)?;
                self.connection.serve_finish(stream, Ok(()));
            }
            Act::ReturnError(text) => {
                let stream = self.serving(step.mux)?;
                self.connection.serve_finish(stream, Err(Text::from(text)));
            }
        }
        Ok(())
    }

    fn call(&mut self, now: Instant, call: Call) -> Result<(), String> {
        let handler = HandlerId::new(call.handler);
        let subroute = call.route.map(|route| SubrouteId::new(handler, route));
        let deadline = call.within.map(|within| now + millis(within));
        let made = if call.stream {
            let capacity = capacity(call.handler).ok_or("no such stream")?;
            let mut new = NewStream::new(handler, capacity, call.payload.payload());
            (new.subroute, new.deadline) = (subroute, deadline);
            self.connection.open(now, new)
        } else {
            let mut new = NewRequest::new(handler, call.payload.payload());
            (new.subroute, new.deadline) = (subroute, deadline);
            self.connection.request(now, new)
        };
        made.map(|_| ()).map_err(|error| error.to_string())
    }

    fn answer(&mut self, mux: u64, answer: Result<Payload, Text>) -> Result<(), String> {
        let ticket = self.ticket(mux)?;
        let answered = self.connection.respond(ticket, answer);
        answered.map_err(|error| error.to_string())
    }

    fn ticket(&mut self, mux: u64) -> Result<Ticket, String> {
        let ticket = self.tickets.remove(&mux);
        ticket.ok_or_else(|| format!("no request {mux}"))
    }

    fn serving(&self, mux: u64) -> Result<ServeId, String> {
        let stream = self.served.get(&mux).copied();
        stream.ok_or_else(|| format!("no stream {mux}"))
    }

    /// Takes the events and what is to be sent, as whoever drives the machine does after each step.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            self.see(event);
        }
        while self.connection.wants_transmit() {
            self.connection
                .poll_transmit(now, &mut self.sent, usize::MAX);
        }
    }

    fn see(&mut self, event: Event) {
        let saw = match event {
            Event::Answered { mux, outcome, .. } => Saw::Ended {
                mux: mux.get(),
                stream: false,
                outcome: Some(outcome),
            },
            Event::Ended { mux, outcome } => Saw::Ended {
                mux: mux.get(),
                stream: true,
                outcome: Some(outcome.map(|()| Payload::Absent)),
            },
            Event::Item { mux, payload, .. } => {
                let items = self.items.entry(mux.get()).or_default();
                items.push_back(payload.clone());
                Saw::Item(payload)
            }
            Event::Request(request) => {
                self.tickets
                    .insert(request.ticket.mux().get(), request.ticket);
                Saw::Started {
                    stream: false,
                    handler: request.handler.get(),
                    subroute: request.subroute,
                    payload: request.payload,
                    deadline: request.deadline.is_some(),
                }
            }
            Event::Opened(open) => {
                self.served.insert(open.stream.mux().get(), open.stream);
                Saw::Started {
                    stream: true,
                    handler: open.handler.get(),
                    subroute: open.subroute,
                    payload: open.payload,
                    deadline: open.deadline.is_some(),
                }
            }
            Event::Received {
                stream, payload, ..
            } => {
                let received = self.received.entry(stream.mux().get()).or_default();
                received.push_back(payload);
                Saw::Received
            }
            Event::InputEnded { .. } => Saw::InputEnded,
            Event::Cancelled { why, .. } => Saw::Cancelled(why),
            _ => return,
        };
        self.saw.push(saw);
    }

    fn instant(&self, time: f64) -> Instant {
        self.base + millis(time - self.start)
    }
}

/// Takes `items` from the front, which must hold just these; gives their number.
fn take(from: Option<&mut VecDeque<Payload>>, items: &[Data]) -> Result<u32, String> {
    let from = from.ok_or("no item came")?;
    let mut count = 0;
    for item in items {
        let (there, item) = (from.pop_front(), item.payload());
        if there.as_ref() != Some(&item) {
            return Err(format!("{there:?} came"));
        }
        count += 1;
    }
    Ok(count)
}

/// Nothing may be sent, for this reason.
fn expect<E: PartialEq + fmt::Debug>(result: Result<(), E>, error: E) -> Result<(), String> {
    match result {
        Err(got) if got == error => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis.max(0.0) / 1000.0)
}
