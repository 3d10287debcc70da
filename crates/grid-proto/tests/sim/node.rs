//! Nodes, and their ends of links: a machine, and what its application keeps by the machine's names.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use grid_proto::{
    HandlerId, InstanceId, MuxId, SubrouteId,
    conn::{Budget, Capacity, CloseReason, Config, Connection, PingId, Routes, ServeId, Ticket},
    local_dials, uses_checksums,
    wire::{Message, MuxRejection, Text, Timestamp},
};

use crate::{
    hostile::{Hostile, INBOUND, Victim},
    monitor::Monitor,
    plan::{CAPACITIES, SINGLE, STREAM},
    reference::Reference,
    rng::{Fast, mix},
    signs::Signs,
    style::{Counts, Style},
    world::Tune,
};

/// Whose behaviour a node shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The machine's.
    Ours,
    /// That of the recorded reference.
    Reference,
    /// Anybody's.
    Hostile,
}

/// A process with a name and a wall clock.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Drawn when the process starts.
    pub(crate) id: InstanceId,
    pub(crate) process: u32,
    pub(crate) up: bool,
    /// How far its wall clock is ahead, in microseconds.
    pub(crate) skew: i64,
    pub(crate) inbound: Arc<Budget>,
    pub(crate) queued: Arc<Budget>,
}

/// How far an end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Down,
    /// The dialer has sent its Connect.
    Dialing,
    Up,
}

/// One node's end of a link. The end at the other node has the number with the lowest bit flipped.
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) dials: bool,
    pub(crate) phase: Phase,
    /// The socket that it holds, which may have ended without its knowledge.
    pub(crate) socket: u32,
    /// Since when it is down.
    pub(crate) down_since: u64,
    /// A dial is due.
    pub(crate) dial_armed: bool,
    /// Who answered last.
    pub(crate) peer_id: Option<InstanceId>,
    pub(crate) conn: Connection,
    /// Which of the connections of this end it is, over all processes.
    pub(crate) epoch: u32,
    pub(crate) generation: u32,
    pub(crate) next_mux: MuxId,
    /// When something arrived last.
    pub(crate) heard: u64,
    pub(crate) monitor: Monitor,
    pub(crate) inbound: Arc<Budget>,
    pub(crate) by_mux: BTreeMap<u64, u32>,
    pub(crate) by_ticket: HashMap<Ticket, u32, Fast>,
    pub(crate) by_stream: HashMap<ServeId, u32, Fast>,
    /// Streams whose handler has returned; events that were queued before may still tell of them.
    pub(crate) returned: HashMap<ServeId, u32, Fast>,
    /// Who waits for room in the queue; `true` for handlers.
    pub(crate) room: VecDeque<(u32, bool)>,
    /// Pings that were asked for and not answered.
    pub(crate) pings: Vec<PingId>,
    pub(crate) writer_ready: u64,
    pub(crate) draining: bool,
    /// The socket on which it was the last to refuse new calls.
    pub(crate) drained: u32,
    /// The end of its connection was dealt with.
    pub(crate) closed: bool,
    /// It has to be settled.
    pub(crate) dirty: bool,
    /// When its machine wants to be woken, and when its writer goes on; `u64::MAX` for never.
    pub(crate) wake: u64,
    pub(crate) writes_at: u64,
    pub(crate) reference: Option<Box<Reference>>,
    pub(crate) hostile: Option<Box<Hostile>>,
    /// What an application keeps of the calls of a hostile peer.
    pub(crate) victim: Victim,
    /// What is known of the signs of life of such a peer.
    pub(crate) signs: Signs,
}

impl Node {
    pub(crate) fn new(index: usize, kind: Kind, style: &Style) -> Self {
        let scheme = if style.checksums { "http" } else { "https" };
        let mut node = Self {
            name: format!("{scheme}://node-{index}:9000"),
            kind,
            id: InstanceId::new([0; 16]),
            process: 0,
            up: true,
            skew: style.skew(index),
            inbound: Budget::new(style.max_inbound),
            queued: Budget::new(1 << 30),
        };
        node.draw_id(index);
        node
    }

    /// The process ends and another begins.
    pub(crate) fn restart(&mut self, index: usize, style: &Style) {
        self.process += 1;
        self.inbound = Budget::new(style.max_inbound);
        self.queued = Budget::new(1 << 30);
        self.draw_id(index);
    }

    fn draw_id(&mut self, index: usize) {
        let halves = [1, 2].map(|half| mix(index as u64, u64::from(self.process), half));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&halves[0].to_le_bytes());
        bytes[8..].copy_from_slice(&halves[1].to_le_bytes());
        self.id = InstanceId::new(bytes);
    }
}

impl End {
    /// The end of `node`, which is `of`, towards `peer`.
    pub(crate) fn new(index: usize, node: usize, of: &Node, peer: &Node, now: Instant) -> Self {
        let mut conn = Connection::new(Config::default(), now);
        conn.close(CloseReason::Lost(Text::from("not connected")));
        Self {
            node,
            dials: local_dials(&of.name, &peer.name),
            phase: Phase::Down,
            socket: 0,
            down_since: 0,
            dial_armed: false,
            peer_id: None,
            conn,
            epoch: 0,
            generation: 0,
            next_mux: MuxId::new(1),
            heard: 0,
            monitor: Monitor::default(),
            inbound: Budget::child(
                &of.inbound,
                if peer.kind == Kind::Hostile {
                    INBOUND
                } else {
                    1 << 30
                },
            ),
            by_mux: BTreeMap::new(),
            by_ticket: HashMap::default(),
            by_stream: HashMap::default(),
            returned: HashMap::default(),
            room: VecDeque::new(),
            pings: Vec::new(),
            writer_ready: 0,
            draining: false,
            drained: 0,
            closed: true,
            dirty: false,
            wake: u64::MAX,
            writes_at: u64::MAX,
            reference: (of.kind == Kind::Reference).then(Box::default),
            hostile: (of.kind == Kind::Hostile).then(|| Box::new(Hostile::new(index))),
            victim: Victim::default(),
            signs: Signs::default(),
        }
    }

    /// The end of a new process: nothing of the old one is left.
    pub(crate) fn renewed(&self, index: usize, of: &Node, peer: &Node, now: Instant) -> Self {
        Self {
            epoch: self.epoch + 1,
            drained: self.drained,
            socket: 0,
            ..Self::new(index, self.node, of, peer, now)
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether it has something to write.
    pub(crate) fn wants_transmit(&self) -> bool {
        match (&self.reference, &self.hostile) {
            (Some(reference), _) => self.is_up() && !reference.out.is_empty(),
            (_, Some(hostile)) => self.is_up() && !hostile.out.is_empty(),
            _ => self.conn.wants_transmit(),
        }
    }

    /// What waits to be written where that is no machine's.
    pub(crate) fn guest_queue(&mut self) -> Option<&mut VecDeque<Message>> {
        match (&mut self.reference, &mut self.hostile) {
            (Some(reference), _) => Some(&mut reference.out),
            (_, Some(hostile)) => Some(&mut hostile.out),
            _ => None,
        }
    }
}

/// The settings of the next machine of an end.
pub(crate) fn config(
    end: &End,
    of: &Node,
    peer: &Node,
    wall_clock: Timestamp,
    style: &Style,
    tune: &Tune,
) -> Config {
    let mut config = Config::default();
    config.checksums = uses_checksums(&of.name, &peer.name);
    config.first_mux = end.next_mux;
    config.generation = end.generation;
    config.hash_seed = mix(u64::from(end.epoch), end.node as u64, 7);
    config.wall_clock = wall_clock;
    config.peer_cancels_requests = style.peer_cancels && peer.kind != Kind::Reference;
    config.peer_counts_credit = peer.kind != Kind::Reference
        && match style.counts {
            Counts::All => true,
            Counts::One => peer.name < of.name,
            Counts::Nobody => false,
        };
    config.ping_interval = style.ping;
    config.stream_ping_interval = style.stream_ping;
    config.default_deadline = style.default_deadline;
    config.max_requests = style.max_requests;
    config.max_streams = style.max_streams;
    config.max_queued_bytes = style.max_queued;
    config.inbound = Arc::clone(&end.inbound);
    config.queued = Some(Arc::clone(&of.queued));
    if peer.kind == Kind::Reference {
        // It pings streams as often as it does.
        config.stream_ping_interval = std::time::Duration::from_secs(15);
    }
    if peer.kind == Kind::Hostile {
        crate::hostile::limits(&mut config);
    }
    tune(&mut config);
    config
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

    fn stream_is_urgent(&self, route: u32) -> bool {
        route % 2 == 1
    }
}

fn unknown(handler: u8) -> MuxRejection {
    MuxRejection::UnknownHandler(Text::from(format!("handler {handler}")))
}
