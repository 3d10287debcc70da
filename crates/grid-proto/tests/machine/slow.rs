//! Pongs of streams that are late: a slow link between two machines, whose buffers hold more than it carries in a
//! ping period, and a peer that answers late or never.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use grid_proto::{
    MuxId, Payload,
    conn::{CallError, CancelReason, Capacity, Event},
    wire::{Message, Op},
};

use crate::tools::{Machine, link_pong, millis, secs};

/// Bytes a second.
const RATE: usize = 64 << 10;
/// What a machine can leave in the buffers of its socket: more than a minute of it.
const BUFFER: usize = 4 << 20;

/// One direction of the link.
struct Pipe {
    under_way: VecDeque<(Instant, Message)>,
    /// When the last byte of it arrives.
    until: Instant,
}

impl Pipe {
    fn new(now: Instant) -> Self {
        Self {
            under_way: VecDeque::new(),
            until: now,
        }
    }

    fn bytes(&self, now: Instant) -> usize {
        let left = self.until.saturating_duration_since(now).as_millis();
        usize::try_from(left).expect("not for ever") * RATE / 1_000
    }

    /// Takes what `from` sends, while the buffers have room.
    fn fill(&mut self, from: &mut Machine) {
        let mut out = Vec::new();
        while from.conn.wants_transmit() && self.bytes(from.now) < BUFFER {
            from.conn.poll_transmit(from.now, &mut out, 64 << 10);
            for message in out.drain(..) {
                let takes = Duration::from_secs_f64(message.encoded_len() as f64 / RATE as f64);
                self.until = self.until.max(from.now) + takes;
                self.under_way.push_back((self.until, message));
            }
        }
    }

    /// Gives what has arrived to `to`, for which each byte is a sign of life.
    fn empty(&mut self, to: &mut Machine) {
        if !self.under_way.is_empty() {
            to.conn.handle_alive(to.now);
        }
        while let Some((_, message)) = self.under_way.pop_front_if(|(at, _)| *at <= to.now) {
            to.gets(message);
        }
    }
}

/// Two nodes: `b` serves streams, and sends on one of them whatever there is room for.
struct Pair {
    a: Machine,
    b: Machine,
    to_b: Pipe,
    to_a: Pipe,
    /// The streams that `b` serves, in the order in which they were opened.
    served: Vec<grid_proto::conn::ServeId>,
    /// How `a`'s streams ended.
    ended: Vec<Event>,
    items: usize,
    /// A stream for which `b` answers no pings.
    lost: Option<MuxId>,
    /// A stream on which `a` sends whatever there is room for, in place of `b`.
    from_a: Option<MuxId>,
    /// The handlers of `b` that were told to stop.
    cancelled: Vec<Event>,
}

impl Pair {
    fn new() -> Self {
        let mut a = Machine::new();
        let mut b = Machine::new();
        b.now = a.now;
        b.capacity = Capacity::new(1_000, 1_000);
        a.capacity = b.capacity;
        let (to_b, to_a) = (Pipe::new(a.now), Pipe::new(a.now));
        Self {
            a,
            b,
            to_b,
            to_a,
            served: Vec::new(),
            ended: Vec::new(),
            items: 0,
            lost: None,
            from_a: None,
            cancelled: Vec::new(),
        }
    }

    /// Lets time pass; the second stream that `b` serves is full of items.
    fn run(&mut self, time: Duration) {
        let steps = time.as_millis() / 100;
        for _ in 0..steps {
            self.to_b.fill(&mut self.a);
            let lost = |message: &Message| message.op == Op::Ping && Some(message.mux) == self.lost;
            self.to_b.under_way.retain(|(_, message)| !lost(message));
            self.to_a.fill(&mut self.b);
            self.a.pass(millis(100));
            self.b.pass(millis(100));
            self.to_b.empty(&mut self.b);
            self.to_a.empty(&mut self.a);
            for event in self.b.events() {
                match event {
                    Event::Opened(opened) => self.served.push(opened.stream),
                    Event::Received { stream, .. } => {
                        self.items += 1;
                        self.b.conn.serve_consumed(stream, 1);
                    }
                    Event::Cancelled { .. } => self.cancelled.push(event),
                    _ => {}
                }
            }
            let item = Payload::from(vec![0; 32 << 10]);
            if let Some(bulk) = self.from_a {
                while self.a.conn.queued_bytes() < 1 << 20
                    && self.a.conn.send(bulk, item.clone()).is_ok()
                {}
            } else if let Some(bulk) = self.served.get(1) {
                while self.b.conn.queued_bytes() < 1 << 20
                    && self.b.conn.serve_send(*bulk, item.clone()).is_ok()
                {}
            }
            for event in self.a.events() {
                match event {
                    Event::Item { mux, .. } => {
                        self.items += 1;
                        self.a.conn.consumed(mux, 1);
                    }
                    Event::Ended { .. } => self.ended.push(event),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn l28_a_pong_behind_bulk_data_is_late_and_not_missing_pair() {
    let mut pair = Pair::new();
    pair.a.open(0, 1_000, None);
    pair.run(secs(1));
    pair.a.open(0, 1_000, None);
    pair.run(secs(300));
    assert!(pair.ended.is_empty(), "{:?}", pair.ended);
    assert_eq!((pair.a.conn.open_streams(), pair.served.len()), (2, 2));
    // The link was busy all the time.
    let bytes = pair.items * (32 << 10);
    assert!(bytes > RATE * 250, "{bytes}");
    assert!(pair.a.conn.round_trip().is_some_and(|time| time > secs(50)));
}

#[test]
fn l28_a_stream_that_the_peer_has_lost_ends_on_a_slow_link_too_pair() {
    let mut pair = Pair::new();
    let lost = pair.a.open(0, 1_000, None);
    pair.run(secs(1));
    pair.a.open(0, 1_000, None);
    pair.run(secs(5));
    pair.lost = Some(lost);
    let mut took = 0;
    while pair.ended.is_empty() {
        pair.run(secs(1));
        took += 1;
        assert!(took < 240, "it was not told by the pings of the link");
    }
    assert!(
        matches!(pair.ended[..], [Event::Ended { mux, .. }] if mux == lost),
        "{:?}",
        pair.ended
    );
    // It may still have been on its way before a ping of the link that left later was answered.
    assert!(took > 60, "after {took} s");
}

#[test]
fn l28_a_ping_behind_bulk_data_is_late_and_its_handler_goes_on_pair() {
    let mut pair = Pair::new();
    pair.a.open(1_000, 1_000, None);
    pair.run(secs(1));
    pair.from_a = Some(pair.a.open(1_000, 1_000, None));
    pair.run(secs(300));
    assert!(pair.cancelled.is_empty(), "{:?}", pair.cancelled);
    assert!(pair.ended.is_empty(), "{:?}", pair.ended);
    assert_eq!(pair.served.len(), 2);
    let bytes = pair.items * (32 << 10);
    assert!(bytes > RATE * 200, "{bytes}");
    assert!(pair.b.conn.round_trip().is_some_and(|time| time > secs(50)));
}

#[test]
fn l28_a_handler_whose_caller_stopped_pinging_ends_when_a_later_pong_has_come() {
    // The first of its pings was due after 15 s, and the pings of the link leave every 10.
    for (answered, ends) in [(0, 240), (20, 60), (80, 90), (230, 240)] {
        let mut machine = Machine::new();
        machine.serves_stream(4);
        let (mut pings, mut took) = (Vec::new(), 0);
        let why = loop {
            machine.pass_alive(secs(1));
            took += 1;
            let mut events = machine.events();
            if let Some(Event::Cancelled { why, .. }) = events.pop() {
                break why;
            }
            assert!(took < 300, "it never ends");
            let sent = machine.sends().into_iter();
            pings.extend(sent.filter(|sent| sent.mux == MuxId::CONNECTION));
            if answered > 0 && took >= answered {
                pings
                    .drain(..)
                    .for_each(|ping| machine.gets(link_pong(&ping)));
            }
        };
        assert_eq!((why, took), (CancelReason::NoPing, ends), "{answered}");
    }
}

#[test]
fn l28_where_no_ping_is_answered_a_stream_ends_after_sixteen_periods() {
    for leaves in [false, true] {
        let mut machine = Machine::new();
        machine.opened(0, 1);
        for _ in 0..239 {
            machine.pass_alive(secs(1));
            if leaves {
                machine.sends();
            }
        }
        machine.no_event();
        machine.pass_alive(secs(1));
        assert!(matches!(
            machine.event(),
            Event::Ended {
                outcome: Err(CallError::NoPong),
                ..
            }
        ));
    }
}

#[test]
fn l28_pings_of_the_link_that_are_answered_late_excuse_a_stream_until_then() {
    let mut machine = Machine::new();
    machine.opened(0, 1);
    let mut pings = Vec::new();
    for _ in 0..44 {
        machine.pass_alive(secs(1));
        pings.extend(machine.sends());
    }
    machine.no_event();
    let pings: Vec<_> = pings
        .iter()
        .filter(|sent| sent.mux == MuxId::CONNECTION)
        .collect();
    // It left before the stream's, so it tells nothing.
    machine.gets(link_pong(pings[0]));
    machine.pass_alive(secs(1));
    machine.no_event();
    // That of the second might have come with it, so it is given a moment.
    machine.pass_alive(secs(14));
    machine.gets(link_pong(pings[1]));
    machine.pass_alive(secs(1));
    machine.no_event();
    machine.pass_alive(secs(15));
    assert!(matches!(
        machine.event(),
        Event::Ended {
            outcome: Err(CallError::NoPong),
            ..
        }
    ));
}

/// Opens a stream that is pinged each second so long after the beginning, where a ping of the link left after 2 s and
/// its next leaves after 10. None is answered before `answered`. Gives after how many tenths of a second it ends.
fn lives(opened: u32, answered: u32) -> u32 {
    let mut machine = Machine::with(|config| config.stream_ping_interval = secs(1));
    machine.pass(secs(2));
    machine.conn.ping();
    let mut pings = machine.sends();
    assert_eq!(pings.len(), 1);
    machine.pass_alive(millis(100) * opened - secs(2));
    machine.opened(0, 1);
    for tenths in 1..=200 {
        machine.pass_alive(millis(100));
        let mut events = machine.events();
        events.retain(|event| !matches!(event, Event::Ponged { .. }));
        match &events[..] {
            [] => {}
            [
                Event::Ended {
                    outcome: Err(CallError::NoPong),
                    ..
                },
            ] => return tenths,
            other => panic!("{other:?}"),
        }
        let sent = machine.sends();
        pings.extend(
            sent.into_iter()
                .filter(|sent| sent.mux == MuxId::CONNECTION),
        );
        if tenths + opened >= answered {
            pings
                .drain(..)
                .for_each(|ping| machine.gets(link_pong(&ping)));
        }
    }
    panic!("it never ends");
}

#[test]
fn l28_a_ping_of_the_link_that_left_before_a_streams_excuses_nothing() {
    assert_eq!(lives(70, 1_000), 20, "none has left since its own did");
    assert_eq!(lives(85, 1_000), 160, "one has");
    // A pong may have passed that of the stream, which is given a quarter of a period.
    assert_eq!(lives(85, 120), 60);
    assert_eq!(
        lives(70, 89),
        20,
        "what has left before tells nothing by its answer either"
    );
}
