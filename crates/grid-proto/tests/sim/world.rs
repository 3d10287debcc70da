//! Everything there is in a history: two nodes, the link between them, the calls, and virtual time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use grid_proto::{
    HandlerId, MuxId, SubrouteId,
    conn::{
        Budget, CancelReason, Capacity, Charge, CloseReason, Config, Connection, Routes, ServeId,
        Ticket,
    },
    wire::{MuxRejection, Text},
};

use crate::{
    coverage::Coverage,
    link::Link,
    monitor::Monitor,
    plan::{CAPACITIES, Plan, SINGLE, STREAM},
    rng::Rng,
    style::Style,
};

/// A broken promise, in words.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// Changes the settings of a machine before it is made.
pub(crate) type Tune = Rc<dyn Fn(&mut Config)>;

/// What an application wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    CallerSends(u32),
    CallerReads(u32),
    CallerCancels(u32),
    HandlerSteps(u32),
    HandlerReads(u32),
    /// A node notices that the link is gone.
    Closes(usize),
    Connects,
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
    pub(crate) deadline_at: Option<u64>,
    pub(crate) sent: u32,
    pub(crate) finished: bool,
    pub(crate) received: u32,
    pub(crate) unread: VecDeque<(usize, Charge)>,
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
    pub(crate) node: usize,
    /// The connection of the node that it belongs to.
    pub(crate) epoch: u32,
    pub(crate) id: Served,
    pub(crate) cancelled: Option<CancelReason>,
    pub(crate) over: bool,
    pub(crate) got: u32,
    pub(crate) unread: VecDeque<(usize, Charge)>,
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

/// One end: a machine, and what its application keeps by the machine's names.
pub(crate) struct Node {
    pub(crate) conn: Connection,
    pub(crate) epoch: u32,
    pub(crate) generation: u32,
    pub(crate) inbound: Arc<Budget>,
    pub(crate) queued: Arc<Budget>,
    pub(crate) by_mux: BTreeMap<u64, u32>,
    pub(crate) by_ticket: HashMap<Ticket, u32>,
    pub(crate) by_stream: HashMap<ServeId, u32>,
    /// Streams whose handler has returned; events that were queued before may still tell of them.
    pub(crate) returned: HashMap<ServeId, u32>,
    /// Who waits for room in the queue; `true` for handlers.
    pub(crate) room: VecDeque<(u32, bool)>,
    pub(crate) writer_ready: u64,
    pub(crate) draining: bool,
    pub(crate) closed: bool,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    base: Instant,
    pub(crate) style: Style,
    pub(crate) tune: Tune,
    pub(crate) nodes: [Node; 2],
    pub(crate) link: Link,
    pub(crate) monitor: Monitor,
    pub(crate) calls: Vec<Call>,
    pub(crate) timers: BTreeSet<(u64, u64, Action)>,
    timer_order: u64,
    pub(crate) deadlines: BTreeSet<(u64, u32)>,
    pub(crate) restarting: [bool; 2],
    pub(crate) seen: Coverage,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) steps: u64,
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
    pub(crate) fn new(seed: u64, tune: Tune, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let style = Style::new(&mut rng);
        let base = Instant::now();
        let nodes = [0, 1].map(|_| Node::new(&style, &tune, rng.next(), base));
        let mut world = Self {
            rng,
            now: 0,
            base,
            style,
            tune,
            nodes,
            link: Link::default(),
            monitor: Monitor::default(),
            calls: Vec::new(),
            timers: BTreeSet::new(),
            timer_order: 0,
            deadlines: BTreeSet::new(),
            restarting: [false; 2],
            seen: Coverage::default(),
            trace: traced.then(Vec::new),
            steps: 0,
        };
        world.link.up = true;
        note!(world, "seed {seed}: {:?}", world.style);
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

    pub(crate) fn arm(&mut self, after: u64, action: Action) {
        self.timer_order += 1;
        self.timers
            .insert((self.now + after, self.timer_order, action));
    }

    pub(crate) fn call(&mut self, nonce: u32) -> &mut Call {
        &mut self.calls[nonce as usize]
    }

    /// A new machine for a node whose last connection has ended.
    pub(crate) fn renew(&mut self, node: usize) -> Outcome {
        let restarts = std::mem::take(&mut self.restarting[node]);
        let now = self.instant();
        let seed = self.rng.next();
        if restarts {
            let next = Node::new(&self.style, &self.tune, seed, now);
            let old = std::mem::replace(&mut self.nodes[node], next);
            let epoch = old.epoch + 1;
            self.forget_process(node);
            let (inbound, queued) = (Arc::clone(&old.inbound), Arc::clone(&old.queued));
            drop(old);
            self.nodes[node].epoch = epoch;
            if inbound.used() + queued.used() > 0 {
                return Err(format!(
                    "node {node} leaves charges behind: {inbound:?} {queued:?}"
                ));
            }
            return Ok(());
        }
        let this = &mut self.nodes[node];
        if !this.by_mux.is_empty() || !this.by_ticket.is_empty() || !this.by_stream.is_empty() {
            return Err(format!(
                "calls outlive their connection at node {node}: {:?} {:?} {:?}",
                this.by_mux, this.by_ticket, this.by_stream
            ));
        }
        this.generation += 1;
        this.epoch += 1;
        let mut config = this.config(&self.style, &self.tune, seed);
        config.first_mux = this.conn.next_mux();
        this.conn = Connection::new(config, now);
        this.room.clear();
        this.returned.clear();
        (this.draining, this.closed) = (false, false);
        Ok(())
    }

    /// A process ends: its calls and handlers with it.
    fn forget_process(&mut self, node: usize) {
        for call in &mut self.calls {
            if call.plan.caller == node {
                call.open = false;
                call.unread.clear();
            } else if call
                .handler
                .as_ref()
                .is_some_and(|handler| handler.node == node)
            {
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

impl Node {
    fn new(style: &Style, tune: &Tune, seed: u64, now: Instant) -> Self {
        let mut node = Self {
            conn: Connection::new(Config::default(), now),
            epoch: 0,
            generation: 1,
            inbound: Budget::new(style.max_inbound),
            queued: Budget::new(1 << 30),
            by_mux: BTreeMap::new(),
            by_ticket: HashMap::new(),
            by_stream: HashMap::new(),
            returned: HashMap::new(),
            room: VecDeque::new(),
            writer_ready: 0,
            draining: false,
            closed: false,
        };
        node.conn = Connection::new(node.config(style, tune, seed), now);
        node
    }

    fn config(&self, style: &Style, tune: &Tune, seed: u64) -> Config {
        let mut config = Config::default();
        config.checksums = style.checksums;
        config.first_mux = MuxId::new(1);
        config.generation = self.generation;
        config.hash_seed = seed;
        config.peer_cancels_requests = style.peer_cancels;
        config.ping_interval = style.ping;
        config.stream_ping_interval = style.stream_ping;
        config.default_deadline = style.default_deadline;
        config.max_requests = style.max_requests;
        config.max_streams = style.max_streams;
        config.max_queued_bytes = style.max_queued;
        config.inbound = Budget::child(&self.inbound, 1 << 30);
        config.queued = Some(Arc::clone(&self.queued));
        tune(&mut config);
        config
    }

    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.conn.close(reason);
    }
}

/// The handlers that each node has.
pub(crate) struct Registry;

impl Registry {
    fn check(handler: HandlerId, subroute: Option<&SubrouteId>) -> Result<(), MuxRejection> {
        match subroute {
            Some(id) if id.as_bytes()[31] == 1 => Err(MuxRejection::UnknownSubroute(*id)),
            _ if !handler.is_valid() => Err(MuxRejection::InvalidHandler),
            _ => Ok(()),
        }
    }
}

impl Routes for Registry {
    fn single(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<u32, MuxRejection> {
        Self::check(handler, subroute)?;
        match handler.get() {
            SINGLE => Ok(u32::from(SINGLE)),
            other => Err(unknown(other)),
        }
    }

    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        Self::check(handler, subroute)?;
        let index = handler.get().checked_sub(STREAM).map(usize::from);
        match index.and_then(|index| CAPACITIES.get(index)) {
            Some((input, output)) => Ok((u32::from(handler.get()), Capacity::new(*input, *output))),
            None => Err(unknown(handler.get())),
        }
    }
}

fn unknown(handler: u8) -> MuxRejection {
    MuxRejection::UnknownHandler(Text::from(format!("handler {handler}")))
}
