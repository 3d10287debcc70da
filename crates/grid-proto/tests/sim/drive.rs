//! Virtual time: what is due next, and what the driver of a machine does after each thing that happens.

use std::cmp::Reverse;

use bytes::Bytes;
use grid_proto::{
    conn::{CloseReason, Event, Routes},
    wire::{DecodeError, Message, Op, Text, unfold},
};

use crate::{
    check::check_batch,
    link::{self, Carried},
    node::{Kind, Phase, Registry},
    reference::together,
    style::Counts,
    world::{Action, Outcome, World, note},
};

/// More than any history needs.
const MOST_STEPS: u64 = 400_000;
/// A pause in which nothing happens that is long enough to ask whether somebody waits for nothing.
const QUIET: u64 = 200_000;

/// An event without its instants, which differ from run to run.
fn shown(event: &Event) -> String {
    match event {
        Event::Request(request) => format!("Request({:?})", request.ticket),
        Event::Opened(stream) => format!("Opened({:?})", stream.stream),
        other => format!("{other:?}"),
    }
}

impl World {
    /// Lets everything happen that happens until `until`.
    pub(crate) fn advance(&mut self, until: u64) -> Outcome {
        loop {
            self.settle()?;
            match self.next_time() {
                Some(at) if at <= until => self.goes_on(at)?,
                _ => break,
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Goes on to when something happens, and lets one of the things that are due then happen.
    pub(crate) fn goes_on(&mut self, at: u64) -> Outcome {
        if at > self.now + QUIET {
            self.check_quiet(at)?;
        }
        self.now = self.now.max(at);
        self.happen()
    }

    /// When something happens next; everything is settled.
    pub(crate) fn next_time(&self) -> Option<u64> {
        let timer = self.timers.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        let mut next = timer;
        for (index, end) in self.ends.iter().enumerate() {
            let lane = self.links[index / 2].lanes[index % 2].next();
            next = next.min(end.wake).min(end.writes_at);
            next = next.min(lane.unwrap_or(u64::MAX));
        }
        (next < u64::MAX).then_some(next.max(self.now))
    }

    /// Does one of the things that are due.
    fn happen(&mut self) -> Outcome {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err("it never comes to rest".into());
        }
        for from in 0..self.ends.len() {
            if let Some(carried) = self.links[from / 2].lanes[from % 2].pop(self.now) {
                return self.arrives(from ^ 1, carried);
            }
        }
        if let Some(Reverse((at, _, action))) = self.timers.peek().copied()
            && at <= self.now
        {
            self.timers.pop();
            self.working -= usize::from(action.is_work());
            return self.act(action);
        }
        let now = self.instant();
        for (index, end) in self.ends.iter_mut().enumerate() {
            if end.writes_at <= self.now {
                end.dirty = true;
            }
            if end.wake <= self.now {
                end.dirty = true;
                end.conn.handle_timeout(now);
                if end.conn.poll_timeout().is_some_and(|at| at <= now) {
                    return Err(format!("end {index} wants to be woken for what was done"));
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Outcome {
        match action {
            Action::CallerSends(nonce) => self.caller_sends(nonce),
            Action::CallerReads(nonce) => self.caller_reads(nonce),
            Action::CallerCancels(nonce) => {
                self.call(nonce).cancel_armed = false;
                self.caller_cancels(nonce)
            }
            Action::HandlerSteps(nonce) => self.handler_steps(nonce),
            Action::HandlerReads(nonce) => self.handler_reads(nonce),
            Action::Closes(end, socket) => {
                if self.ends[end].socket == socket {
                    self.close_end(end, CloseReason::Lost(Text::from("reset")));
                }
                Ok(())
            }
            Action::Dials(end) => self.dials(end),
            Action::GivesUp(end, socket) => self.gives_up(end, socket),
            Action::Boots(node) => self.boots(node),
            Action::Ticks(end, socket) => self.ticks(end, socket),
            Action::Reference(end, due, key, process) => self.reference_due(end, due, key, process),
            Action::Attacks(end, socket) => self.attacks(end, socket),
        }
    }

    /// Puts something on its way, if the sender's socket still carries anything.
    pub(crate) fn send(&mut self, end: usize, carried: Carried) {
        let socket = self.ends[end].socket;
        self.send_on(end, socket, carried);
    }

    pub(crate) fn send_on(&mut self, end: usize, socket: u32, carried: Carried) {
        let link = &mut self.links[end / 2];
        if socket != link.socket || !link.alive {
            // Where the network is there again, somebody says that nobody knows of this socket.
            let told = socket > 0 && (socket + end as u32).is_multiple_of(2);
            if told && self.now >= link.outage_until && !matches!(carried, Carried::End) {
                self.arm(self.style.latency, Action::Closes(end, socket));
            }
            return;
        }
        let travel = link.rng.range(50, self.style.latency);
        let bandwidth = self.style.bandwidth;
        let lane = &mut link.lanes[end % 2];
        if bandwidth > 0 && lane.is_busy(self.now) {
            self.seen.saw("bandwidth: waits behind others");
        }
        match carried {
            Carried::Frame(frame) => lane.send_frame(self.now, travel, bandwidth, frame),
            other => lane.send(self.now, travel, bandwidth, other),
        }
        if link.lanes[end % 2].torn && !link.trouble {
            link.trouble = true;
            self.seen.saw("torn");
        }
    }

    /// Something comes to an end.
    pub(crate) fn arrives(&mut self, end: usize, carried: Carried) -> Outcome {
        let socket = self.links[end / 2].socket;
        if self.ends[end].socket != socket {
            return match carried {
                Carried::Frame(frame) => self.greeted(end, frame),
                _ => Ok(()),
            };
        }
        let read = match (self.ends[end].phase, carried) {
            (Phase::Down, _) => return Ok(()),
            (_, Carried::End) => {
                self.links[end / 2].trouble = true;
                self.close_end(end, CloseReason::Lost(Text::from("the peer has closed")));
                return Ok(());
            }
            (Phase::Dialing, Carried::Frame(frame)) => return self.answered(end, frame),
            (Phase::Up, Carried::Frame(frame)) => self.receive(end, frame)?,
            (Phase::Up, Carried::Torn(frame)) if self.style.reads_torn => {
                self.links[end / 2].trouble = true;
                let whole = frame.is_empty();
                let read = self.receive(end, frame)?;
                if read.is_ok() && !whole && self.ends[end].conn.close_reason().is_none() {
                    return Err(format!("end {end} takes a part of a frame for a whole one"));
                }
                read
            }
            (_, Carried::Torn(_)) => {
                self.links[end / 2].trouble = true;
                return Ok(());
            }
        };
        match read {
            Err(error) if self.links[end / 2].trouble || self.peer(end).kind == Kind::Hostile => {
                self.close_end(end, CloseReason::Decode(error));
                Ok(())
            }
            Err(error) => Err(format!("end {end} can't read a frame: {error}")),
            Ok(()) => Ok(()),
        }
    }

    /// Feeds a frame to whoever is there; the inner result is that of reading it.
    fn receive(&mut self, end: usize, frame: Bytes) -> Outcome<Result<(), DecodeError>> {
        let (now, kind) = (self.instant(), self.nodes[self.ends[end].node].kind);
        let honest = self.peer(end).kind != Kind::Hostile;
        self.ends[end].dirty = true;
        self.ends[end].heard = self.now;
        if self.ends[end].conn.close_reason().is_some() {
            return Ok(Ok(()));
        }
        self.ends[end].conn.handle_alive(now);
        for message in unfold(frame) {
            let message = match message {
                Ok(message) => message,
                Err(error) => return Ok(Err(error)),
            };
            note!(self, "end {end} <- {message:?}");
            self.seen.saw("messages");
            match kind {
                Kind::Ours => {}
                Kind::Reference => {
                    self.reference_hears(end, &message)?;
                    continue;
                }
                Kind::Hostile => {
                    self.hostile_hears(end, &message);
                    continue;
                }
            }
            if !honest {
                self.hears_sign(end, &message);
            }
            let this = &mut self.ends[end];
            if honest {
                let served = (message.op == Op::ConnectMux).then(|| {
                    Registry
                        .stream(message.handler, message.subroute.as_ref())
                        .ok()
                });
                let served = served.flatten().map(|(_, capacity)| capacity);
                let heard = this.monitor.received(&message, served);
                heard.map_err(|why| format!("end {end}: {why}"))?;
            }
            this.conn.handle_message(now, message, &Registry);
        }
        Ok(Ok(()))
    }

    /// What the drivers do after each thing that happened.
    pub(crate) fn settle(&mut self) -> Outcome {
        for end in 0..self.ends.len() {
            if self.ends[end].dirty {
                self.settle_end(end)?;
            }
        }
        self.check_deadlines()
    }

    pub(crate) fn settle_end(&mut self, end: usize) -> Outcome {
        let honest = self.peer(end).kind != Kind::Hostile;
        loop {
            while let Some(event) = self.ends[end].conn.poll_event() {
                note!(self, "end {end}    {}", shown(&event));
                if honest {
                    self.on_event(end, event)?;
                } else {
                    self.on_any_event(end, event)?;
                }
            }
            let sent = self.transmit(end)?;
            let woken = self.wake_for_room(end)?;
            if !sent && !woken {
                break;
            }
        }
        if self.nodes[self.ends[end].node].kind == Kind::Ours {
            self.check_tables(end)?;
            if !honest {
                self.check_bounds(end)?;
            }
        }
        self.notice_close(end)?;
        let this = &mut self.ends[end];
        this.dirty = false;
        let silent = this.reference.is_some() || this.hostile.is_some();
        let machine = this.conn.poll_timeout().filter(|_| !silent);
        let wants = this.wants_transmit();
        let writer_ready = this.writer_ready;
        let wake = machine.map_or(u64::MAX, |at| self.micros(at));
        let this = &mut self.ends[end];
        this.wake = wake;
        this.writes_at = if wants { writer_ready } else { u64::MAX };
        Ok(())
    }

    fn transmit(&mut self, end: usize) -> Outcome<bool> {
        let now = self.instant();
        let this = &mut self.ends[end];
        if self.now < this.writer_ready || !this.wants_transmit() {
            return Ok(false);
        }
        let mut out: Vec<Message> = Vec::new();
        if let Some(queue) = this.guest_queue() {
            let most = together(queue);
            out.extend(queue.drain(..most));
        } else {
            let bytes = this.conn.poll_transmit(now, &mut out, self.style.batch);
            check_batch(end, &out, bytes, self.style.batch)?;
        }
        if out.is_empty() {
            return Ok(false);
        }
        let ours = self.nodes[self.ends[end].node].kind == Kind::Ours;
        let honest = ours && self.peer(end).kind != Kind::Hostile;
        for message in &out {
            note!(self, "end {end} -> {message:?}");
            if ours && !honest {
                self.asks_for_sign(end, message);
            }
            if honest {
                let this = &mut self.ends[end];
                let nonce = this.by_mux.get(&message.mux.get());
                let plan = nonce.map(|nonce| &self.calls[*nonce as usize].plan);
                let capacity = plan.map(|plan| plan.caller_capacity);
                let sent = this.monitor.sent(message, capacity);
                sent.map_err(|why| format!("end {end}: {why}"))?;
                if matches!(message.op, Op::UnblockSrvMux | Op::UnblockClMux)
                    && message.deadline_ms > 0
                {
                    self.seen.saw("credit counted");
                    if self.style.counts == Counts::One {
                        self.seen.saw("credit counted one way");
                    }
                }
            }
        }
        for frame in link::frames(&mut self.links[end / 2].rng, &out) {
            self.send(end, Carried::Frame(frame));
        }
        let busy = self.links[end / 2].rng.below(self.style.write_time + 1);
        let writable = self.links[end / 2].lanes[end % 2].writable_at(self.style.bandwidth);
        if writable > self.now {
            self.seen.saw("bandwidth: the writer waits");
        }
        self.ends[end].writer_ready = (self.now + busy).max(writable);
        Ok(true)
    }

    /// Those who waited for room try again, in the order in which they came.
    fn wake_for_room(&mut self, end: usize) -> Outcome<bool> {
        let mut woken = false;
        for _ in 0..self.ends[end].room.len() {
            let this = &mut self.ends[end];
            if !this.conn.has_room() && this.conn.close_reason().is_none() {
                break;
            }
            let Some((nonce, handler)) = this.room.pop_front() else {
                break;
            };
            woken = true;
            self.seen.saw("waited for room");
            if handler {
                self.handler_steps(nonce)?;
            } else {
                self.caller_sends(nonce)?;
            }
        }
        Ok(woken)
    }

    /// A machine has ended its connection.
    fn notice_close(&mut self, end: usize) -> Outcome {
        let this = &mut self.ends[end];
        let Some(reason) = this.conn.close_reason().cloned() else {
            return Ok(());
        };
        if std::mem::replace(&mut this.closed, true) {
            return Ok(());
        }
        note!(self, "end {end} has closed: {reason}");
        self.seen.saw(match reason {
            CloseReason::PeerSilent(_) => "close: peer silent",
            CloseReason::Decode(_) => "close: decode",
            CloseReason::Lost(_) => "close: lost",
            CloseReason::Replaced => "close: replaced",
            CloseReason::Abuse(_) => "close: abuse",
            CloseReason::PeerNotReading => "close: peer not reading",
            CloseReason::Local => "close: local",
            CloseReason::ShuttingDown => "close: shutting down",
            _ => return Err(format!("end {end} closes for an unknown reason: {reason}")),
        });
        self.check_close(end, &reason)?;
        self.falls(end);
        Ok(())
    }
}
