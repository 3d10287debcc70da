//! A history runs: its operations, and then quiet, in which everything has to end.

use crate::{
    coverage::Coverage,
    history::{History, MS, Op, SECOND},
    node::Kind,
    plan::Plan,
    world::{Call, Outcome, Tune, World, note},
};

/// How long a link that is down is waited for before a call is tried all the same.
const PATIENCE: u64 = 3 * SECOND;

/// What a history came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seen: Coverage,
    /// Operations that came to something.
    pub(crate) operations: usize,
    pub(crate) cuts: usize,
    pub(crate) streams: usize,
    pub(crate) outcome: Outcome,
    pub(crate) trace: Vec<String>,
    /// The lengths of the frames that each end sent on its last socket.
    pub(crate) frames: Vec<Vec<usize>>,
}

pub(crate) fn run(history: &History, tune: Tune, traced: bool) -> Report {
    let mut world = World::new(history.seed, history.style.clone(), tune, traced);
    let blank = |nonce| Call::new(Plan::blank(nonce as u32, 0));
    world.calls = (0..history.nonces()).map(blank).collect();
    let (mut operations, mut cuts) = (0, 0);
    let outcome = world
        .live(history, &mut operations, &mut cuts)
        .and_then(|()| world.rest());
    let streams = world
        .calls
        .iter()
        .filter(|call| call.started && call.plan.stream);
    let lanes = world.links.iter().flat_map(|link| &link.lanes);
    Report {
        operations,
        cuts,
        streams: streams.count(),
        frames: lanes.map(|lane| lane.frames.clone()).collect(),
        outcome,
        seen: world.seen,
        trace: world.trace.unwrap_or_default(),
    }
}

impl World {
    fn live(&mut self, history: &History, operations: &mut usize, cuts: &mut usize) -> Outcome {
        for step in &history.steps {
            if let Op::Tear { end, frame, byte } = step.op {
                // The first frames are those of the handshake.
                self.links[end / 2].lanes[end % 2].tear = Some((frame, byte));
            }
        }
        self.advance(200 * MS)?;
        for step in &history.steps {
            self.advance(self.now + step.pause)?;
            if let Some(link) = step.op.needs() {
                self.waits_for(link)?;
            }
            let done = self.operate(&step.op)?;
            *operations += usize::from(done);
            let cut = matches!(
                step.op,
                Op::Cut { .. } | Op::Restart { .. } | Op::Tear { .. }
            );
            *cuts += usize::from(done && cut);
        }
        self.settle()
    }

    /// Waits until a link is up at both ends, as far as these know.
    fn waits_for(&mut self, link: usize) -> Outcome {
        let until = self.now + PATIENCE;
        loop {
            self.settle()?;
            let up = self.ends[2 * link].is_up() && self.ends[2 * link + 1].is_up();
            match self.next_time() {
                Some(at) if !up && at <= until => self.goes_on(at)?,
                _ => return Ok(()),
            }
        }
    }

    /// Does something, unless it comes to nothing: a call that is not started, a cancel of none.
    fn operate(&mut self, op: &Op) -> Outcome<bool> {
        match *op {
            Op::Call(ref plan) => self.starts((**plan).clone()),
            Op::Cancel { end, pick } => self.cancels_any(end, pick),
            Op::Drain { end } => {
                let this = &mut self.ends[end];
                if self.nodes[this.node].kind != Kind::Ours {
                    return Ok(false);
                }
                note!(self, "end {end} refuses new calls");
                self.seen.saw("refuses new");
                let this = &mut self.ends[end];
                this.conn.refuse_new();
                (this.drained, this.dirty) = (this.socket, true);
                Ok(!std::mem::replace(&mut this.draining, true))
            }
            Op::Ping { end } => {
                let this = &mut self.ends[end];
                if !this.is_up() || self.nodes[this.node].kind != Kind::Ours {
                    return Ok(false);
                }
                let ping = this.conn.ping();
                this.dirty = true;
                if !this.pings.contains(&ping) {
                    this.pings.push(ping);
                }
                Ok(true)
            }
            Op::Stall {
                link,
                lanes,
                length,
            } => Ok(self.stalls(link, lanes, length)),
            Op::Deaf { end } => {
                note!(self, "what end {end} sends gets lost");
                self.seen.saw("one direction dead");
                let link = &mut self.links[end / 2];
                (link.trouble, link.fit_since) = (true, self.now);
                let lane = &mut link.lanes[end % 2];
                lane.dead = true;
                lane.lose();
                Ok(true)
            }
            Op::Cut {
                link,
                seed,
                notice,
                outage,
            } => self.cuts(link, seed, notice, outage),
            Op::Tear { .. } => Ok(true),
            Op::Restart {
                node,
                seed,
                told,
                away,
            } => self.restarts(node, seed, told, away),
            Op::Jump { node, by } => {
                note!(self, "the clock of node {node} jumps by {by} us");
                self.seen.saw("clock jumps");
                let skew = &mut self.nodes[node].skew;
                // Every second jump goes back.
                *skew = if skew.abs() > 200_000_000 {
                    0
                } else {
                    *skew + by
                };
                for link in &mut self.links {
                    link.fit_since = self.now;
                }
                Ok(true)
            }
            Op::Stranger { link, lie } => self.stranger(link, lie),
        }
    }

    fn starts(&mut self, plan: Plan) -> Outcome<bool> {
        let (nonce, end) = (plan.nonce, plan.end);
        match self.nodes[self.ends[end].node].kind {
            _ if !self.nodes[self.ends[end].node].up => return Ok(false),
            Kind::Ours => self.start(plan)?,
            Kind::Reference => self.reference_starts(plan)?,
            Kind::Hostile => return Ok(false),
        }
        Ok(self.call(nonce).started)
    }

    fn cancels_any(&mut self, end: usize, pick: u64) -> Outcome<bool> {
        let open: Vec<u32> = self.ends[end].by_mux.values().copied().collect();
        if open.is_empty() {
            return Ok(false);
        }
        let nonce = open[pick as usize % open.len()];
        self.caller_cancels(nonce)?;
        Ok(true)
    }

    fn stalls(&mut self, link: usize, lanes: [bool; 2], length: u64) -> bool {
        let this = &mut self.links[link];
        let again = this
            .lanes
            .iter()
            .any(|lane| lane.stalled_until + 300 * MS > self.now);
        // A stall of every few seconds would keep a link from ever being heard.
        if again && this.lanes[0].stalled_until + this.lanes[1].stalled_until > 0 {
            return false;
        }
        for (lane, stalls) in this.lanes.iter_mut().zip(lanes) {
            if stalls {
                lane.stalled_until = self.now + length;
            }
        }
        this.trouble |= length > SECOND / 2;
        this.fit_since = self.now + length;
        note!(self, "link {link} stands still for {length} us: {lanes:?}");
        self.seen.saw("stalls");
        true
    }
}

impl Op {
    /// The link that has to be up for the operation to come to something.
    fn needs(&self) -> Option<usize> {
        match self {
            Self::Call(plan) if !plan.nonce.is_multiple_of(16) => Some(plan.end / 2),
            Self::Cut { link, .. } | Self::Stall { link, .. } => Some(*link),
            Self::Deaf { end } => Some(end / 2),
            _ => None,
        }
    }
}
