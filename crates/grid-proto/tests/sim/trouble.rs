//! What goes wrong with links and processes.

use grid_proto::{conn::CloseReason, wire::Text};

use crate::{
    history::Notice,
    rng::Rng,
    world::{Action, Outcome, World, note},
};

impl World {
    /// Cuts a link at any byte. A side may notice later than the other, or be left with half a connection.
    pub(crate) fn cuts(
        &mut self,
        link: usize,
        seed: u64,
        notice: [Notice; 2],
        outage: u64,
    ) -> Outcome<bool> {
        let mut rng = Rng::new(seed);
        note!(self, "link {link} is cut: {notice:?}, outage {outage} us");
        let this = &self.links[link];
        let held = |end: usize| self.ends[end].is_up() && self.ends[end].socket == this.socket;
        let was_up = this.alive && (held(2 * link) || held(2 * link + 1));
        if was_up {
            self.seen.saw("cuts");
        }
        self.breaks(link, &mut rng, outage)?;
        for (side, notice) in notice.into_iter().enumerate() {
            let end = 2 * link + side;
            let socket = self.ends[end].socket;
            match notice {
                _ if socket == 0 => {}
                Notice::After(0) => self.close_for_a_reason(end, &mut rng),
                Notice::After(later) => self.arm(later, Action::Closes(end, socket)),
                Notice::Never => self.seen.saw("half-open"),
            }
        }
        self.settle()?;
        Ok(was_up)
    }

    fn close_for_a_reason(&mut self, end: usize, rng: &mut Rng) {
        let reason = match rng.below(8) {
            0 => CloseReason::Local,
            1 => CloseReason::ShuttingDown,
            _ => CloseReason::Lost(Text::from("cut")),
        };
        self.close_end(end, reason);
    }

    /// Nothing gets through any more but a part of what is under way.
    pub(crate) fn breaks(&mut self, link: usize, rng: &mut Rng, outage: u64) -> Outcome {
        let now = self.now;
        let this = &mut self.links[link];
        (this.alive, this.trouble) = (false, true);
        this.outage_until = this.outage_until.max(now + outage);
        this.fit_since = now + outage;
        for side in [0, 1] {
            for carried in self.links[link].lanes[side].cut(rng) {
                self.arrives((2 * link + side) ^ 1, carried)?;
            }
        }
        Ok(())
    }

    pub(crate) fn restarts(
        &mut self,
        node: usize,
        seed: u64,
        told: bool,
        away: u64,
    ) -> Outcome<bool> {
        if !self.nodes[node].up {
            return Ok(false);
        }
        note!(
            self,
            "node {node} restarts; told: {told}, away for {away} us"
        );
        self.seen.saw("cuts");
        self.seen
            .saw(if told { "processes end" } else { "hosts crash" });
        let mut rng = Rng::new(seed);
        self.nodes[node].up = false;
        for end in 0..self.ends.len() {
            if self.ends[end].node != node {
                continue;
            }
            let socket = self.ends[end ^ 1].socket;
            let held = self.ends[end].socket;
            self.breaks(end / 2, &mut rng, 0)?;
            if told && socket > 0 && socket == held {
                let later = rng.below(self.style.latency + 1);
                self.arm(later, Action::Closes(end ^ 1, socket));
            }
        }
        self.settle()?;
        for end in 0..self.ends.len() {
            if self.ends[end].node == node {
                let next =
                    self.ends[end].renewed(end, &self.nodes[node], self.peer(end), self.instant());
                self.ends[end] = next;
            }
        }
        self.forget_process(node);
        let this = &mut self.nodes[node];
        let (inbound, queued) = (this.inbound.used(), this.queued.used());
        let index = node;
        this.restart(index, &self.style);
        if inbound + queued > 0 {
            return Err(format!(
                "node {node} leaves charges behind: {inbound}, {queued}"
            ));
        }
        for end in 0..self.ends.len() {
            if self.ends[end].node == node {
                let next =
                    self.ends[end].renewed(end, &self.nodes[node], self.peer(end), self.instant());
                self.ends[end] = next;
            }
        }
        self.arm(away, Action::Boots(node));
        Ok(true)
    }

    pub(crate) fn boots(&mut self, node: usize) -> Outcome {
        note!(self, "node {node} begins anew");
        self.nodes[node].up = true;
        let now = self.now;
        for end in 0..self.ends.len() {
            if self.ends[end].node == node {
                self.links[end / 2].fit_since = now;
                if self.ends[end].dials {
                    self.dial_after(end, 0);
                }
            }
        }
        Ok(())
    }
}
