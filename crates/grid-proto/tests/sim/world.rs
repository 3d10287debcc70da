//! Everything there is in a history: the nodes, the links between them, the calls, and virtual time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

use grid_proto::{
    conn::{CancelReason, Charge, Config, ServeId, Ticket},
    wire::Timestamp,
};

use crate::{
    coverage::Coverage,
    link::Link,
    node::{End, Node},
    plan::Plan,
    reference::Due,
    rng::mix,
    style::Style,
};

/// A broken promise, in words.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// Changes the settings of a machine before it is made.
pub(crate) type Tune = Rc<dyn Fn(&mut Config)>;

/// The true time at which every history begins, in seconds since 1970.
const BEGIN: i128 = 1_800_000_000;

/// What somebody wants to be woken for. Sockets are named, because a later one is none of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    CallerSends(u32),
    CallerReads(u32),
    CallerCancels(u32),
    HandlerSteps(u32),
    HandlerReads(u32),
    /// An end notices that its socket is gone.
    Closes(usize, u32),
    Dials(usize),
    /// The answer to a Connect has been waited for long enough.
    GivesUp(usize, u32),
    Boots(usize),
    /// The clock of a reference at an end.
    Ticks(usize, u32),
    /// Something that a reference has to do, in its connection or a later one, while its process lives.
    Reference(usize, Due, u64, u32),
    Attacks(usize, u32),
}

impl Action {
    /// Whether it is a step of an application: what a history waits for in the end.
    pub(crate) fn is_work(self) -> bool {
        !matches!(
            self,
            Self::Dials(_)
                | Self::GivesUp(..)
                | Self::Boots(_)
                | Self::Ticks(..)
                | Self::Attacks(..)
                | Self::Closes(..)
        )
    }
}

/// What somebody who wants to send waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    Credit,
    Room,
}

/// A call, as both sides see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) plan: Plan,
    pub(crate) mux: u64,
    pub(crate) open: bool,
    pub(crate) started: bool,
    /// The socket that it was made on.
    pub(crate) socket: u32,
    pub(crate) deadline_at: Option<u64>,
    /// When it left, or something came of it, where the peer is hostile.
    pub(crate) heard: u64,
    /// When the first ping of it left since then.
    pub(crate) pinged: Option<u64>,
    pub(crate) cancel_armed: bool,
    pub(crate) sent: u32,
    pub(crate) finished: bool,
    pub(crate) received: u32,
    pub(crate) unread: VecDeque<Charge>,
    pub(crate) wait: Wait,
    pub(crate) send_armed: bool,
    pub(crate) read_armed: bool,
    pub(crate) stuck_done: bool,
    /// How the handler's side went, as far as the caller may know of it.
    pub(crate) served: bool,
    pub(crate) handler_sent: u32,
    pub(crate) result: Option<bool>,
    pub(crate) cut_off: Option<CancelReason>,
    pub(crate) handler: Option<Handler>,
}

#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) end: usize,
    pub(crate) since: u64,
    /// The connection of the end that it belongs to.
    pub(crate) epoch: u32,
    pub(crate) id: Served,
    pub(crate) cancelled: Option<CancelReason>,
    pub(crate) over: bool,
    pub(crate) got: u32,
    pub(crate) unread: VecDeque<Charge>,
    pub(crate) input_ended: bool,
    pub(crate) wait: Wait,
    pub(crate) step_armed: bool,
    pub(crate) read_armed: bool,
    pub(crate) late_tries: u32,
    pub(crate) initial: Option<Charge>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Served {
    Request(Ticket),
    Stream(ServeId),
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) now: u64,
    base: Instant,
    pub(crate) style: Style,
    pub(crate) tune: Tune,
    pub(crate) nodes: Vec<Node>,
    /// Two for each link, next to each other.
    pub(crate) ends: Vec<End>,
    pub(crate) links: Vec<Link>,
    pub(crate) calls: Vec<Call>,
    pub(crate) timers: BinaryHeap<Reverse<(u64, u64, Action)>>,
    timer_order: u64,
    /// Timers that are steps of an application.
    pub(crate) working: usize,
    pub(crate) deadlines: BinaryHeap<Reverse<(u64, u32)>>,
    pub(crate) seen: Coverage,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) steps: u64,
    /// No more operations come.
    pub(crate) over: bool,
}

/// Notes what happens, where somebody wants to read it.
macro_rules! note {
    ($world:expr, $($words:tt)*) => {
        if let Some(trace) = &mut $world.trace {
            let now = $world.now;
            trace.push(format!("{:>6}.{:03} ms  {}", now / 1_000, now % 1_000, format_args!($($words)*)));
        }
    };
}
pub(crate) use note;

impl World {
    pub(crate) fn new(seed: u64, style: Style, tune: Tune, traced: bool) -> Self {
        let base = Instant::now();
        let nodes: Vec<Node> = (0..style.nodes)
            .map(|index| Node::new(index, style.kind(index), &style))
            .collect();
        let mut ends = Vec::with_capacity(style.ends());
        for low in 0..nodes.len() {
            for high in low + 1..nodes.len() {
                for (node, peer) in [(low, high), (high, low)] {
                    let end = End::new(ends.len(), node, &nodes[node], &nodes[peer], base);
                    ends.push(end);
                }
            }
        }
        let links = (0..ends.len() / 2).map(|link| Link::new(mix(seed, link as u64, 1)));
        let mut world = Self {
            seed,
            now: 0,
            base,
            links: links.collect(),
            style,
            tune,
            nodes,
            ends,
            calls: Vec::new(),
            timers: BinaryHeap::new(),
            timer_order: 0,
            working: 0,
            deadlines: BinaryHeap::new(),
            seen: Coverage::default(),
            trace: traced.then(Vec::new),
            steps: 0,
            over: false,
        };
        if world.style.bandwidth > 0 {
            world.seen.saw("bandwidth: limited");
        }
        note!(world, "seed {seed}: {:?}", world.style);
        for (index, node) in world.nodes.iter().enumerate() {
            note!(world, "node {index}: {node:?}");
        }
        for end in 0..world.ends.len() {
            let this = &world.ends[end];
            note!(
                world,
                "end {end}: of node {}, dials: {}",
                this.node,
                this.dials
            );
            if this.dials {
                world.dial_after(end, 0);
            }
        }
        world
    }

    pub(crate) fn at(&self, micros: u64) -> Instant {
        self.base + Duration::from_micros(micros)
    }

    pub(crate) fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_micros() as u64
    }

    pub(crate) fn instant(&self) -> Instant {
        self.at(self.now)
    }

    /// What a node's wall clock shows.
    pub(crate) fn wall_clock(&self, node: usize) -> Timestamp {
        let micros = i128::from(self.now) + i128::from(self.nodes[node].skew);
        Timestamp::from_unix_nanos(BEGIN * 1_000_000_000 + micros * 1_000)
    }

    pub(crate) fn arm(&mut self, after: u64, action: Action) {
        self.timer_order += 1;
        self.working += usize::from(action.is_work());
        self.timers
            .push(Reverse((self.now + after, self.timer_order, action)));
    }

    pub(crate) fn call(&mut self, nonce: u32) -> &mut Call {
        &mut self.calls[nonce as usize]
    }

    /// The node at the other end.
    pub(crate) fn peer(&self, end: usize) -> &Node {
        &self.nodes[self.ends[end ^ 1].node]
    }

    /// Whether both ends hold the same socket, and nothing has gone wrong with it.
    pub(crate) fn is_good(&self, link: usize) -> bool {
        let this = &self.links[link];
        let held = |end: usize| self.ends[end].is_up() && self.ends[end].socket == this.socket;
        this.alive && !this.trouble && held(2 * link) && held(2 * link + 1)
    }

    /// Whether something happened to the socket of an end that may end what it carries.
    pub(crate) fn troubled(&self, end: usize) -> bool {
        let link = &self.links[end / 2];
        link.trouble || !link.alive || self.ends[end].socket != link.socket
    }

    /// A process ends: its calls and handlers with it.
    pub(crate) fn forget_process(&mut self, node: usize) {
        for call in &mut self.calls {
            let (caller, server) = (call.plan.end, call.plan.end ^ 1);
            if self.ends[caller].node == node {
                call.open = false;
                call.unread.clear();
            } else if self.ends[server].node == node {
                call.handler = None;
            }
        }
    }
}

impl Handler {
    /// The handler's task ends, and what it held goes with it.
    pub(crate) fn stop(&mut self) {
        self.over = true;
        self.unread.clear();
        self.initial = None;
    }
}
