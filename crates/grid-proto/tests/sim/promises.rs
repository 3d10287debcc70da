//! The promises of `docs/scenarios.md`, as far as machines can show them, and what is checked for each.
//!
//! | promise | checked |
//! | --- | --- |
//! | 1, a clean end means everything | `check.rs`, `on_ended`: all items were received, in order, and the handler returned without an error |
//! | 2, an answer reaches its call only | `check.rs`, `on_answered`, and `identify` of `handler.rs`: every payload says whose it is; each call is served once, also where processes begin to count anew |
//! | 3, no panic, no hang, bounded memory | every history runs behind a catch; [`World::check_tables`] and `hostile.rs` check bounds after everything that happens; [`World::check_quiet`] finds who waits for nothing |
//! | 4, a stuck consumer hurts only its stream | [`World::check_quiet`]: whenever nothing has happened for a while, all that wait are stuck themselves |
//! | 5, a lost peer is noticed and found again | [`World::check_close`] and [`World::check_links`]: silence of 2 to 3 ping intervals ends a connection, nothing else does; two nodes that nothing keeps apart find each other |
//! | 6, a call ends by its deadline | [`World::check_deadlines`]: to the microsecond, as machines get their timers in time here |
//! | 7, a drop leaves nothing | [`World::check_tables`]: as many entries as calls are open, never more timers; [`World::check_empty`] at the end |

use std::cmp::Reverse;

use grid_proto::conn::{CancelReason, CloseReason};

use crate::{
    connect::FOUND,
    history::SECOND,
    node::{Kind, Phase},
    plan::Answer,
    world::{Call, Outcome, World, note},
};

impl World {
    /// Promises 3 and 7: what holds after everything that happens.
    pub(crate) fn check_tables(&self, end: usize) -> Outcome {
        let this = &self.ends[end];
        let conn = &this.conn;
        let open = conn.open_requests() + conn.open_streams();
        let muxes = open + conn.serving_requests() + conn.serving_streams();
        if conn.timers() > muxes {
            let timers = conn.timers();
            return Err(format!("end {end} has {timers} timers for {muxes} muxes"));
        }
        if open != this.by_mux.len() {
            let known = this.by_mux.len();
            return Err(format!("end {end} has {open} calls open, not {known}"));
        }
        if conn.serving_streams() < this.by_stream.len() {
            return Err(format!("end {end} has lost a stream: {:?}", this.by_stream));
        }
        let (requests, streams) = (self.style.max_requests, self.style.max_streams);
        let over = conn.open_requests().max(conn.serving_requests()) > requests
            || conn.open_streams().max(conn.serving_streams()) > streams;
        if over {
            return Err(format!("end {end} has more open than it may: {conn:?}"));
        }
        if conn.close_reason().is_some() && (conn.wants_transmit() || muxes > 0) {
            return Err(format!(
                "end {end} has something left after its end: {conn:?}"
            ));
        }
        Ok(())
    }

    /// Promise 6: no call outlives its deadline.
    pub(crate) fn check_deadlines(&mut self) -> Outcome {
        while let Some(Reverse((at, nonce))) = self.deadlines.peek().copied() {
            if self.calls[nonce as usize].open {
                if at < self.now {
                    return Err(format!("call {nonce} outlives its deadline"));
                }
                break;
            }
            self.deadlines.pop();
        }
        Ok(())
    }

    /// Promise 5: a connection ends for a reason that is true.
    pub(crate) fn check_close(&self, end: usize, reason: &CloseReason) -> Outcome {
        let silence = self.now - self.ends[end].heard;
        let period = self.style.ping.as_micros() as u64;
        let (troubled, hostile) = (self.troubled(end), self.peer(end).kind == Kind::Hostile);
        let right = match reason {
            CloseReason::PeerSilent(_) => {
                (troubled || hostile) && (2 * period..=3 * period).contains(&silence)
            }
            CloseReason::PeerNotReading | CloseReason::Abuse(_) => hostile,
            CloseReason::Decode(_) => troubled || hostile,
            // The newer one is there.
            CloseReason::Replaced => self.ends[end].socket != self.links[end / 2].socket,
            // A history closes no link that it has not cut.
            CloseReason::Lost(_) | CloseReason::Local | CloseReason::ShuttingDown => troubled,
            _ => false,
        };
        if right {
            Ok(())
        } else {
            Err(format!(
                "end {end} closes a good link after {silence} us of silence: {reason}"
            ))
        }
    }

    /// Nothing happens until `at` but what machines and applications wait for: whether that is right.
    pub(crate) fn check_quiet(&self, at: u64) -> Outcome {
        self.check_links(at)?;
        for call in self.calls.iter().filter(|call| call.started) {
            self.check_waits(call)?;
        }
        Ok(())
    }

    /// Promise 5: a lost peer is noticed, and found again.
    fn check_links(&self, at: u64) -> Outcome {
        let most = 3 * self.style.ping.as_micros() as u64;
        for (index, end) in self.ends.iter().enumerate() {
            if self.nodes[end.node].kind != Kind::Ours {
                continue;
            }
            if end.is_up() && at > end.heard + most && self.now > end.heard + most {
                return Err(format!("end {index} doesn't notice that its peer is lost"));
            }
            let (node, peer) = (&self.nodes[end.node], self.peer(index));
            let apart = node.skew.abs_diff(peer.skew) > 290 * SECOND;
            if !end.dials || end.phase == Phase::Up || !node.up || !peer.up || apart {
                continue;
            }
            if self.over && peer.kind == Kind::Hostile {
                continue;
            }
            let link = &self.links[index / 2];
            let since = end.down_since.max(link.fit_since).max(link.outage_until);
            if self.now > since + FOUND {
                return Err(format!("end {index} doesn't find its peer again"));
            }
        }
        Ok(())
    }

    /// Promises 3 and 4: a call that nothing of its own holds up has ended.
    fn check_waits(&self, call: &Call) -> Outcome {
        let (nonce, plan, end) = (call.plan.nonce, &call.plan, call.plan.end);
        let link = &self.links[end / 2];
        let under_way = link.lanes.iter().any(|lane| lane.next().is_some());
        let writing = [end, end ^ 1].map(|end| self.ends[end].writes_at < u64::MAX);
        if !self.is_good(end / 2) || under_way || writing != [false; 2] {
            return Ok(());
        }
        if self.peer(end).kind == Kind::Hostile {
            return self.check_waits_for_hostile(call);
        }
        let handler = call.handler.as_ref().filter(|handler| !handler.over);
        let at_work = handler.is_some_and(|handler| handler.step_armed || handler.read_armed);
        let busy = call.send_armed || call.read_armed || call.cancel_armed || at_work;
        let ends_soon = call.deadline_at.is_some_and(|at| at <= self.now + 5_000);
        let cut_off = call.cut_off == Some(CancelReason::Deadline);
        let by_deadline = plan.waits_for_deadline() && call.deadline_at.is_some();
        let guest = self.ends[end].reference.is_some() || self.ends[end ^ 1].reference.is_some();
        let busy = busy || guest && self.reference_is_at_work(call);
        // A reference says nothing where a handler of ours would refuse.
        let refuses = !plan.stream && plan.answer == Answer::Refuse;
        let silent = refuses && self.ends[end ^ 1].reference.is_some();
        let by_deadline = by_deadline || silent && call.deadline_at.is_some();
        if call.open && !busy && !by_deadline && !ends_soon && !cut_off {
            return Err(format!(
                "call {nonce} waits for nothing: sent {} of {}, received {} of {} (handler: {:?})",
                call.sent, plan.items_in, call.received, call.handler_sent, call.handler
            ));
        }
        // Nor does it where it gives a single request up, or opens a stream for a call that has failed already: our handler
        // works on until the deadline, or until it misses four pings; those of a reference are 15 s apart.
        let pings = 60 * SECOND;
        let limit = match plan.deadline {
            None if !plan.stream => 60 * SECOND,
            Some(after) if !plan.stream || after <= 60 * SECOND => after,
            _ => pings,
        };
        let unaware = guest && handler.is_some_and(|handler| self.now <= handler.since + limit);
        if handler.is_some() && !call.open && !at_work && !unaware {
            return Err(format!(
                "the handler of call {nonce} waits for ever: {:?}",
                call.handler
            ));
        }
        Ok(())
    }

    /// After the last operation all that was begun ends by itself.
    pub(crate) fn rest(&mut self) -> Outcome {
        note!(self, "no more operations");
        self.over = true;
        self.dismiss_hostile()?;
        self.comes_to_rest()?;
        self.check_empty()?;
        // An idle link stays as it is.
        self.advance(self.now + 25 * SECOND)?;
        self.comes_to_rest()?;
        let mut ends = self.ends.iter();
        if ends.any(|end| end.conn.round_trip().is_some()) {
            self.seen.saw("round trips");
        }
        self.check_empty()
    }

    fn comes_to_rest(&mut self) -> Outcome {
        let until = self.now + 400 * SECOND;
        loop {
            self.settle()?;
            if self.is_at_rest() {
                return Ok(());
            }
            match self.next_time() {
                Some(at) if at <= until => self.goes_on(at)?,
                _ => return Err(format!("it never comes to rest: {}", self.unrest())),
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let lanes = self.links.iter().flat_map(|link| &link.lanes);
        let under_way = lanes.filter_map(crate::link::Lane::next).next();
        let writing = self.ends.iter().any(|end| end.writes_at < u64::MAX);
        let lost = (0..self.ends.len()).any(|end| self.ends[end].is_up() && self.is_lost(end));
        // What a reference opens for a call that has failed ends for want of pings.
        let held = self.ends.iter().enumerate().any(|(index, end)| {
            self.peer(index).kind == Kind::Reference && end.conn.serving_streams() > 0
        });
        if lost || held {
            return false;
        }
        self.working == 0 && under_way.is_none() && !writing && !self.calls.iter().any(is_alive)
    }

    /// Whether an end holds a socket that carries nothing any more, which it is about to find out.
    fn is_lost(&self, end: usize) -> bool {
        let link = &self.links[end / 2];
        let dead = link.lanes.iter().any(|lane| lane.dead);
        !link.alive || dead || self.ends[end].socket != link.socket
    }

    fn unrest(&self) -> String {
        let alive = self.calls.iter().filter(|call| is_alive(call));
        let alive: Vec<_> = alive.map(|call| (call.plan.nonce, call.open)).collect();
        format!("{} steps are due, calls {alive:?}", self.working)
    }

    /// Promise 7: nothing is left anywhere.
    pub(crate) fn check_empty(&self) -> Outcome {
        for (index, end) in self.ends.iter().enumerate() {
            let node = &self.nodes[end.node];
            if node.kind != Kind::Ours {
                continue;
            }
            let conn = &end.conn;
            let left = [
                conn.open_requests(),
                conn.open_streams(),
                conn.serving_requests(),
                conn.serving_streams(),
                conn.timers(),
                conn.queued_bytes(),
                node.inbound.used(),
                node.queued.used(),
            ];
            if left != [0; 8] || !conn.is_idle() {
                return Err(format!(
                    "end {index} has something left (requests, streams, served requests, served streams, timers, queued bytes, inbound, queued on the node): {left:?}"
                ));
            }
            let counters = conn.counters();
            let odd = counters.excess_credit + counters.duplicate_mux + counters.ignored;
            if odd > 0 && self.peer(index).kind != Kind::Hostile {
                return Err(format!(
                    "end {index} has seen what no node sends: {counters:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a call or its handler is still there.
fn is_alive(call: &Call) -> bool {
    call.open || call.handler.as_ref().is_some_and(|handler| !handler.over)
}
