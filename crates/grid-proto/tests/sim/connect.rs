//! How two nodes find each other: the dialer dials and says who it is, the acceptor checks, and a machine begins.

use bytes::Bytes;
use grid_proto::{
    InstanceId, MuxId,
    conn::{
        CloseReason, Connection,
        handshake::{self, Acceptor, AnswerError, First, MAX_CLOCK_SKEW},
    },
    wire::{ConnectRejection, ConnectRequest, Text, Timestamp},
};

use crate::{
    link::Carried,
    monitor::Monitor,
    node::{Kind, Phase, config},
    rng::mix,
    signs::Signs,
    world::{Action, Outcome, World, note},
};

pub(crate) const TOKEN: &str = "a shared secret";
/// How long an answer to a Connect is waited for, in microseconds.
const HANDSHAKE: u64 = 5_000_000;
/// The longest time from the start of one attempt to that of the next.
const REDIAL: u64 = 2_000_000;
/// The longest time in which two nodes that nothing keeps apart have found each other: an attempt that was under way
/// may have to time out first.
pub(crate) const FOUND: u64 = HANDSHAKE + REDIAL + 500_000;

impl World {
    pub(crate) fn dial_after(&mut self, end: usize, after: u64) {
        if !std::mem::replace(&mut self.ends[end].dial_armed, true) {
            self.arm(after, Action::Dials(end));
        }
    }

    /// After an attempt that came to nothing.
    fn dial_again(&mut self, end: usize) {
        let jitter = mix(self.seed, self.now, end as u64) % (REDIAL / 2);
        self.dial_after(end, REDIAL / 2 + jitter);
    }

    pub(crate) fn dials(&mut self, end: usize) -> Outcome {
        self.ends[end].dial_armed = false;
        let (node, now) = (self.ends[end].node, self.now);
        if !self.nodes[node].up || self.ends[end].phase != Phase::Down {
            return Ok(());
        }
        if !self.peer(end).up {
            self.seen.saw("dial: refused");
            self.dial_again(end);
            return Ok(());
        }
        let wall = self.wall_clock(node);
        let link = &mut self.links[end / 2];
        link.dial(now, wall);
        let socket = link.socket;
        let request = ConnectRequest {
            id: self.nodes[node].id,
            host: Text::from(self.nodes[node].name.clone()),
            time: wall,
            token: TOKEN.into(),
            extra: None,
        };
        note!(self, "end {end} dials: socket {socket}");
        let this = &mut self.ends[end];
        (this.phase, this.socket) = (Phase::Dialing, socket);
        self.arm(HANDSHAKE, Action::GivesUp(end, socket));
        self.send(end, Carried::Frame(handshake::connect(&request).into()));
        Ok(())
    }

    pub(crate) fn gives_up(&mut self, end: usize, socket: u32) -> Outcome {
        let this = &self.ends[end];
        if this.phase == Phase::Dialing && this.socket == socket {
            if !self.troubled(end) {
                return Err(format!("end {end} waits for an answer to its Connect"));
            }
            self.seen.saw("dial: no answer");
            self.fails_to_connect(end);
        }
        Ok(())
    }

    /// The dialer closes its socket and tries again later.
    fn fails_to_connect(&mut self, end: usize) {
        self.send(end, Carried::End);
        let this = &mut self.ends[end];
        (this.phase, this.socket) = (Phase::Down, 0);
        self.dial_again(end);
    }

    /// The first frame of a socket comes to the acceptor.
    pub(crate) fn greeted(&mut self, end: usize, frame: Bytes) -> Outcome {
        let (node, socket) = (self.ends[end].node, self.links[end / 2].socket);
        if !self.nodes[node].up || self.ends[end].dials || self.links[end / 2].verdict.is_some() {
            return Ok(());
        }
        let dialer = self.ends[end ^ 1].node;
        let local = self.nodes[node].name.clone();
        let now = self.wall_clock(node);
        let verdict = checks(&local, now, First::Binary(frame), &self.nodes[dialer].name);
        let own_id = self.nodes[node].id;
        let apart = self.links[end / 2]
            .dialed
            .map(|dialed| now.unix_nanos() - dialed.unix_nanos());
        let too_far = apart.is_some_and(|nanos| nanos.unsigned_abs() > MAX_CLOCK_SKEW.as_nanos());
        self.links[end / 2].verdict = Some(verdict.clone().map(|_| ()));
        let id = match verdict {
            Ok(id) if !too_far => id,
            Err(rejection @ ConnectRejection::ClockSkew(_)) if too_far => {
                note!(self, "end {end} turns the dialer away: {rejection}");
                self.seen.saw("rejected: clock skew");
                let answer = handshake::reject(own_id, &rejection);
                self.send_on(end, socket, Carried::Frame(answer.into()));
                self.send_on(end, socket, Carried::End);
                return Ok(());
            }
            other => {
                return Err(format!(
                    "end {end}: clocks are {apart:?} ns apart: {other:?}"
                ));
            }
        };
        if self.ends[end].is_up() {
            // The newest connection takes the place of one whose end this side has not noticed.
            self.seen.saw("replaced");
            self.ends[end].socket = 0;
            self.close_end(end, CloseReason::Replaced);
            self.settle_end(end)?;
        }
        self.ends[end].socket = socket;
        self.send(end, Carried::Frame(handshake::accept(own_id, None).into()));
        self.rises(end, id)
    }

    /// The acceptor's answer comes to the dialer.
    pub(crate) fn answered(&mut self, end: usize, frame: Bytes) -> Outcome {
        match handshake::read_response(frame) {
            Ok(acceptance) => {
                if self.links[end / 2].verdict != Some(Ok(())) {
                    return Err(format!("end {end} was not taken and believes it"));
                }
                self.rises(end, acceptance.id)
            }
            Err(AnswerError::Rejected(reason)) => {
                if self.links[end / 2].verdict != Some(Err(reason.clone())) {
                    return Err(format!("end {end} is turned away and hears: {reason}"));
                }
                self.fails_to_connect(end);
                Ok(())
            }
            Err(error) => Err(format!("end {end} can't read the answer: {error}")),
        }
    }

    /// The handshake is done: a machine begins.
    fn rises(&mut self, end: usize, peer_id: InstanceId) -> Outcome {
        let (node, instant, now) = (self.ends[end].node, self.instant(), self.now);
        let this = &mut self.ends[end];
        if !this.by_mux.is_empty() || !this.by_ticket.is_empty() || !this.by_stream.is_empty() {
            return Err(format!(
                "calls outlive their connection at end {end}: {:?} {:?} {:?}",
                this.by_mux, this.by_ticket, this.by_stream
            ));
        }
        let known = this.peer_id.replace(peer_id);
        let restarted = known.is_some_and(|known| known != peer_id);
        if known.is_some() {
            self.seen
                .saw(if restarted { "restarts" } else { "reconnects" });
        }
        if peer_id != self.peer(end).id {
            return Err(format!("end {end} takes its peer for another process"));
        }
        let this = &mut self.ends[end];
        this.generation += 1;
        this.epoch += 1;
        if this.generation == 1 {
            this.next_mux = first_mux(&self.nodes, this.node, end, self.seed);
        } else if this.reference.is_none() && this.hostile.is_none() {
            this.next_mux = this.conn.next_mux().max(this.next_mux);
        }
        let wall = self.wall_clock(node);
        let peer = &self.nodes[self.ends[end ^ 1].node];
        let settings = config(
            &self.ends[end],
            &self.nodes[node],
            peer,
            wall,
            &self.style,
            &self.tune,
        );
        let this = &mut self.ends[end];
        this.monitor = Monitor::new(settings.peer_counts_credit);
        this.conn = Connection::new(settings, instant);
        (this.phase, this.heard) = (Phase::Up, now);
        (this.draining, this.closed, this.dirty) = (false, false, true);
        this.room.clear();
        this.returned.clear();
        this.pings.clear();
        this.signs = Signs::default();
        this.writer_ready = now;
        note!(self, "end {end} is up; its peer has restarted: {restarted}");
        let socket = self.ends[end].socket;
        match self.nodes[node].kind {
            Kind::Ours => {}
            Kind::Reference => self.reference_rises(end),
            Kind::Hostile => self.arm(1_000, Action::Attacks(end, socket)),
        }
        Ok(())
    }

    /// An end closes its connection, if it has one.
    pub(crate) fn close_end(&mut self, end: usize, reason: CloseReason) {
        let this = &mut self.ends[end];
        this.dirty = true;
        match this.phase {
            Phase::Down => {}
            Phase::Dialing => self.fails_to_connect(end),
            Phase::Up => {
                note!(self, "end {end} closes: {reason}");
                this.conn.close(reason);
            }
        }
    }

    /// An end has closed its connection: its socket is closed, and the dialer dials again.
    pub(crate) fn falls(&mut self, end: usize) {
        self.send(end, Carried::End);
        let now = self.now;
        let this = &mut self.ends[end];
        (this.phase, this.socket, this.down_since) = (Phase::Down, 0, now);
        if this.reference.is_some() {
            self.reference_falls(end);
        }
        if self.ends[end].dials {
            let soon = mix(self.seed, now, end as u64) % 100_000;
            self.dial_after(end, soon);
        }
    }
}

/// The checks of an acceptor, around that of the token.
pub(crate) fn checks(
    local: &str,
    now: Timestamp,
    first: First,
    dialer: &str,
) -> Result<InstanceId, ConnectRejection> {
    let checks = Acceptor::new(local, now);
    let known = |name: &[u8]| (name == dialer.as_bytes()).then_some(dialer);
    let pending = checks.receive(first, known)?;
    let token = if pending.token() == TOKEN.as_bytes() {
        Ok(())
    } else {
        Err(Text::from("wrong"))
    };
    Ok(checks.admit(pending, token, known)?.id)
}

/// Where a process begins to count its calls: among numbers that its peer may still be working for, as tests may set
/// it. Towards a reference, whose late answers nothing tells apart, far from those, as every node does by default.
fn first_mux(nodes: &[crate::node::Node], node: usize, end: usize, seed: u64) -> MuxId {
    let process = nodes[node].process;
    let drawn = mix(seed, end as u64, u64::from(process));
    let guest = nodes.iter().any(|node| node.kind != Kind::Ours);
    MuxId::new(match nodes[node].kind {
        Kind::Reference => 1,
        _ if guest => (1 << 16) + drawn % (1 << 31),
        _ => 1 + drawn % 4 * u64::from(process),
    })
}
