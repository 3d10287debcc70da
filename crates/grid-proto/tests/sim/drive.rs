//! Virtual time: what is due next, and what the driver of a machine does after each thing that happens.

use bytes::Bytes;
use grid_proto::{
    conn::{CloseReason, Event},
    wire::{DecodeError, Text, unfold},
};

use crate::{
    link,
    world::{Action, Outcome, Registry, World, note},
};

/// More than any history needs.
const MOST_STEPS: u64 = 400_000;

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
                Some(at) if at <= until => {
                    self.now = self.now.max(at);
                    self.happen()?;
                }
                _ => break,
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<u64> {
        let machines = self
            .nodes
            .iter()
            .filter_map(|node| node.conn.poll_timeout());
        machines
            .map(|at| self.micros(at))
            .chain(self.next_work())
            .min()
    }

    /// The same without what only the machines' timers wait for.
    pub(crate) fn next_work(&self) -> Option<u64> {
        let timers = self.timers.first().map(|(at, ..)| *at);
        let lanes = self.link.lanes.iter().filter_map(link::Lane::next);
        let writers = self.nodes.iter().filter(|node| node.conn.wants_transmit());
        timers
            .into_iter()
            .chain(lanes)
            .chain(writers.map(|node| node.writer_ready.max(self.now)))
            .min()
    }

    /// Does one of the things that are due.
    fn happen(&mut self) -> Outcome {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err("it never comes to rest".into());
        }
        for from in [0, 1] {
            if let Some(frame) = self.link.lanes[from].pop(self.now) {
                let read = self.receive(1 - from, frame)?;
                if let Err(error) = read {
                    return Err(format!("node {} can't read a frame: {error}", 1 - from));
                }
                return Ok(());
            }
        }
        if let Some((at, order, action)) = self.timers.first().copied()
            && at <= self.now
        {
            self.timers.remove(&(at, order, action));
            return self.act(action);
        }
        for node in [0, 1] {
            let now = self.instant();
            let conn = &mut self.nodes[node].conn;
            if conn.poll_timeout().is_some_and(|at| at <= now) {
                conn.handle_timeout(now);
                if conn.poll_timeout().is_some_and(|at| at <= now) {
                    return Err(format!("node {node} wants to be woken for what was done"));
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Outcome {
        match action {
            Action::CallerSends(nonce) => self.caller_sends(nonce),
            Action::CallerReads(nonce) => self.caller_reads(nonce),
            Action::CallerCancels(nonce) => self.caller_cancels(nonce),
            Action::HandlerSteps(nonce) => self.handler_steps(nonce),
            Action::HandlerReads(nonce) => self.handler_reads(nonce),
            Action::Closes(node) => {
                self.close_node(node);
                Ok(())
            }
            Action::Connects => self.connects(),
        }
    }

    /// Feeds a frame to a machine; the inner result is that of reading it.
    pub(crate) fn receive(
        &mut self,
        node: usize,
        frame: Bytes,
    ) -> Outcome<Result<(), DecodeError>> {
        let now = self.instant();
        if self.nodes[node].conn.close_reason().is_some() {
            return Ok(Ok(()));
        }
        self.nodes[node].conn.handle_alive(now);
        for message in unfold(frame) {
            let message = match message {
                Ok(message) => message,
                Err(error) => return Ok(Err(error)),
            };
            note!(self, "node {node} <- {message:?}");
            self.seen.saw("messages");
            self.monitor.received(node, &message)?;
            self.nodes[node]
                .conn
                .handle_message(now, message, &Registry);
        }
        Ok(Ok(()))
    }

    /// What a driver does after each thing that happened.
    pub(crate) fn settle(&mut self) -> Outcome {
        for node in [0, 1] {
            loop {
                while let Some(event) = self.nodes[node].conn.poll_event() {
                    note!(self, "node {node}    {}", shown(&event));
                    self.on_event(node, event)?;
                }
                let sent = self.transmit(node)?;
                let woken = self.wake_for_room(node)?;
                if !sent && !woken {
                    break;
                }
            }
            self.check_tables(node)?;
            self.notice_close(node)?;
        }
        self.check_deadlines()
    }

    fn transmit(&mut self, node: usize) -> Outcome<bool> {
        let now = self.instant();
        let this = &mut self.nodes[node];
        if self.now < this.writer_ready || !this.conn.wants_transmit() {
            return Ok(false);
        }
        let mut out = Vec::new();
        let bytes = this.conn.poll_transmit(now, &mut out, self.style.batch);
        let sum: usize = out.iter().map(|message| message.encoded_len()).sum();
        if bytes != sum {
            return Err(format!("node {node} says {bytes} bytes of {sum}"));
        }
        if out.is_empty() {
            return Ok(false);
        }
        if out.len() > 1
            && bytes - out.last().map_or(0, |last| last.encoded_len()) > self.style.batch + 200
        {
            return Err(format!(
                "node {node} gives {bytes} bytes where {} were asked for",
                self.style.batch
            ));
        }
        for message in &out {
            note!(self, "node {node} -> {message:?}");
            let nonce = self.nodes[node].by_mux.get(&message.mux.get());
            let plan = nonce.map(|nonce| &self.calls[*nonce as usize].plan);
            let capacity = plan.map(|plan| (plan.caller_capacity, plan.capacity));
            self.monitor.sent(node, message, capacity)?;
        }
        let frames = link::frames(&mut self.rng, &out);
        self.nodes[node].writer_ready = self.now + self.rng.below(self.style.write_time + 1);
        if self.link.up {
            let travel = self.rng.range(50, self.style.latency);
            self.link.lanes[node].send(self.now, travel, frames);
        }
        Ok(true)
    }

    /// Those who waited for room try again, in the order in which they came.
    fn wake_for_room(&mut self, node: usize) -> Outcome<bool> {
        let mut woken = false;
        for _ in 0..self.nodes[node].room.len() {
            if !self.nodes[node].conn.has_room() && !self.nodes[node].closed {
                break;
            }
            let Some((nonce, handler)) = self.nodes[node].room.pop_front() else {
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

    /// A machine has ended the connection: the other one will see the socket end.
    fn notice_close(&mut self, node: usize) -> Outcome {
        let this = &mut self.nodes[node];
        let Some(reason) = this.conn.close_reason().cloned() else {
            return Ok(());
        };
        if std::mem::replace(&mut this.closed, true) {
            return Ok(());
        }
        note!(self, "node {node} has closed: {reason}");
        self.seen.saw(match reason {
            CloseReason::PeerSilent(_) => "close: peer silent",
            CloseReason::Decode(_) => "close: decode",
            CloseReason::Lost(_) => "close: lost",
            _ => "close: other",
        });
        if self.link.up {
            if !self.style.long_stalls || !matches!(reason, CloseReason::PeerSilent(_)) {
                return Err(format!("node {node} closes a good link: {reason}"));
            }
            self.link.up = false;
            self.link.lanes = Default::default();
            self.arm(1_000, Action::Closes(1 - node));
            self.arm(100_000, Action::Connects);
        }
        Ok(())
    }

    fn close_node(&mut self, node: usize) {
        let reason = match self.rng.below(8) {
            0 => CloseReason::Local,
            1 => CloseReason::ShuttingDown,
            2 => CloseReason::Replaced,
            _ => CloseReason::Lost(Text::from("cut")),
        };
        self.nodes[node].close(reason);
    }

    /// Cuts the link at any byte. A node may notice later than the other, and may come back as a new process.
    pub(crate) fn cut(&mut self) -> Outcome {
        for node in [0, 1] {
            self.restarting[node] = self.rng.percent(self.style.restarts / 2);
        }
        note!(self, "cut; restarts: {:?}", self.restarting);
        self.seen.saw("cuts");
        self.link.up = false;
        for from in [0, 1] {
            let (whole, torn) = self.link.lanes[from].cut(&mut self.rng);
            for frame in whole.into_iter().chain(torn) {
                if let Err(error) = self.receive(1 - from, frame)? {
                    self.nodes[1 - from].close(CloseReason::Decode(error));
                }
            }
        }
        let first = self.rng.index(2);
        let later = self.rng.pick(&[0, 0, 5_000, 150_000]);
        self.close_node(first);
        self.arm(later, Action::Closes(1 - first));
        let gap = self.rng.pick(&[1, 3_000, 100_000, 600_000]);
        self.arm(later + gap, Action::Connects);
        self.settle()
    }

    fn connects(&mut self) -> Outcome {
        self.settle()?;
        note!(self, "connects; restarted: {:?}", self.restarting);
        let again = self.restarting.contains(&true);
        self.seen.saw(if again { "restarts" } else { "reconnects" });
        self.renew(0)?;
        self.renew(1)?;
        self.monitor.reset();
        self.link.lanes = Default::default();
        self.link.up = true;
        Ok(())
    }
}
