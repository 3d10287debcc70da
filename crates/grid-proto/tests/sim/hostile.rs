//! A peer that has a valid token and sends anything, and the application of a node that has to live with it.
//!
//! Promise 3: nothing it sends makes the machine panic or hold more than its limits; promise 4: the other links of the
//! same node don't notice (they are checked as if nothing were the matter).

mod attack;

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use grid_proto::{
    conn::{Charge, CloseReason, Config, Event, ServeId, Ticket},
    wire::{Message, Text},
};

use crate::{
    caller::take_unread,
    node::Kind,
    plan::{OUTPUT, item},
    rng::{Fast, Rng, mix},
    world::{Action, Outcome, World, note},
};

/// What a node holds for such a peer at the most.
pub(crate) const INBOUND: usize = 32 << 10;
const CONTROL: usize = 1 << 10;
/// What waits to be written to it at the most, beside one message more and what refuses it.
const QUEUED: usize = 16 << 10;
/// What may be urgent and wait besides.
const RESERVES: usize = 512 << 10;
const REQUESTS: usize = 48;
const STREAMS: usize = 24;
/// More than the longest message of either side, as it waits or as it is held.
const MESSAGE: usize = 64 << 10;

/// The end of the peer.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) out: VecDeque<Message>,
    rng: Rng,
    /// How often it still attacks in haste.
    hurry: u32,
    /// Numbers of calls of the machine that came up lately.
    heard: VecDeque<u64>,
    /// The seq that would be right, by mux: as a caller, and as a handler.
    numbers: [HashMap<u64, u32, Fast>; 2],
}

impl Hostile {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            out: VecDeque::new(),
            rng: Rng::new(mix(index as u64, 77, 0)),
            hurry: 60,
            heard: VecDeque::new(),
            numbers: Default::default(),
        }
    }
}

/// What the application of an honest node keeps of such a peer's calls.
#[derive(Debug, Default)]
pub(crate) struct Victim {
    /// Each with the moment at which nobody waits for its answer any more.
    tickets: Vec<(Ticket, Option<Instant>)>,
    streams: HashMap<ServeId, Open, Fast>,
    held: VecDeque<Charge>,
}

#[derive(Debug)]
struct Open {
    /// What was delivered of its input and not consumed, and how much of it there may be.
    unread: u32,
    most: u32,
    /// When its caller is gone; `None` too where the handler has returned.
    deadline: Option<Instant>,
}

pub(crate) fn limits(config: &mut Config) {
    config.max_control_bytes = CONTROL;
    config.max_requests = config.max_requests.min(REQUESTS);
    config.max_streams = config.max_streams.min(STREAMS);
    config.max_queued_bytes = config.max_queued_bytes.min(QUEUED);
    config.max_leftovers = 30;
    config.max_abuse = 60;
}

impl World {
    /// What happens at an end whose peer is hostile: the machine still has to make sense.
    pub(crate) fn on_any_event(&mut self, end: usize, event: Event) -> Outcome {
        let chance = mix(self.seed, self.now, self.steps);
        match event {
            Event::Answered { mux, .. } => {
                self.seen.saw("hostile: answered");
                self.ends(end, mux).map(|_| ())
            }
            Event::Ended { mux, .. } => {
                self.seen.saw("hostile: ended");
                self.ends(end, mux).map(|_| ())
            }
            Event::Item { mux, charge, .. } => {
                self.seen.saw("hostile: item");
                let nonce = self.open_call(end, mux, "Item")?;
                let call = self.call(nonce);
                call.received += 1;
                call.unread.push_back(charge);
                if call.unread.len() > call.plan.caller_capacity.output as usize {
                    return Err(format!("call {nonce} gets more items than it may hold"));
                }
                if !std::mem::replace(&mut call.read_armed, true) {
                    let after = call.plan.read_out;
                    self.arm(after, Action::CallerReads(nonce));
                }
                Ok(())
            }
            Event::Writable { mux } => self.on_writable(end, mux),
            Event::Request(request) => {
                self.seen.saw("hostile: request");
                let this = &mut self.ends[end];
                let ticket = request.ticket;
                match chance % 4 {
                    0 => this
                        .conn
                        .refuse(ticket, grid_proto::wire::MuxRejection::Overloaded),
                    1 => _ = this.conn.respond(ticket, Ok(request.payload)),
                    _ => {
                        let victim = self.victim(end);
                        victim.tickets.push((ticket, request.deadline));
                        victim.held.push_back(request.charge);
                    }
                }
                Ok(())
            }
            Event::RequestCancelled { ticket, .. } => {
                self.ends[end].conn.forget(ticket);
                let victim = self.victim(end);
                victim.tickets.retain(|(held, _)| *held != ticket);
                Ok(())
            }
            Event::Opened(open) => {
                self.seen.saw("hostile: opened");
                let victim = self.victim(end);
                victim.held.push_back(open.charge);
                let new = Open {
                    unread: 0,
                    most: open.capacity.input,
                    deadline: open.deadline,
                };
                if victim.streams.insert(open.stream, new).is_some() {
                    return Err(format!("end {end} opens {:?} twice", open.stream));
                }
                self.serves_anybody(end, open.stream, chance);
                Ok(())
            }
            Event::Received { stream, charge, .. } => {
                self.seen.saw("hostile: received");
                let victim = self.victim(end);
                let Some(Open { unread, most, .. }) = victim.streams.get_mut(&stream) else {
                    return Err(format!(
                        "end {end}: input for {stream:?}, which is not served"
                    ));
                };
                *unread += 1;
                if unread > most {
                    return Err(format!("end {end} delivers more than fits to {stream:?}"));
                }
                victim.held.push_back(charge);
                if chance.is_multiple_of(3) {
                    let items = std::mem::take(unread);
                    victim.held.clear();
                    self.ends[end].conn.serve_consumed(stream, items);
                }
                Ok(())
            }
            Event::InputEnded { stream } | Event::ServeWritable { stream } => {
                if !self.victim(end).streams.contains_key(&stream) {
                    return Err(format!(
                        "end {end}: an event for {stream:?}, which has ended"
                    ));
                }
                self.serves_anybody(end, stream, chance);
                Ok(())
            }
            Event::Cancelled { stream, .. } => match self.victim(end).streams.remove(&stream) {
                Some(_) => Ok(()),
                None => Err(format!("end {end}: {stream:?} is cancelled twice")),
            },
            Event::Unsent(_) | Event::Ponged { .. } => Ok(()),
            other => Err(format!("an event that nobody knows: {other:?}")),
        }
    }

    /// The handler of a stream sends a little, and sometimes returns.
    fn serves_anybody(&mut self, end: usize, stream: ServeId, chance: u64) {
        let conn = &mut self.ends[end].conn;
        for index in 0..(chance >> 8) % 4 {
            let _ = conn.serve_send(stream, item(index as u32, OUTPUT, index as u32).into());
        }
        // An event of it may wait still: the application would know that it has returned.
        if chance.is_multiple_of(5) && conn.close_reason().is_none() {
            conn.serve_finish(stream, Ok(()));
            if let Some(open) = self.ends[end].victim.streams.get_mut(&stream) {
                open.deadline = None;
            }
        }
    }

    /// Promise 3: what is held for a hostile peer has bounds.
    pub(crate) fn check_bounds(&self, end: usize) -> Outcome {
        let conn = &self.ends[end].conn;
        let node = &self.nodes[self.ends[end].node];
        let open = [
            (conn.open_requests(), REQUESTS),
            (conn.serving_requests(), REQUESTS),
            (conn.open_streams(), STREAMS),
            (conn.serving_streams(), STREAMS),
            (
                conn.queued_bytes(),
                QUEUED + 4 * CONTROL + MESSAGE + RESERVES,
            ),
            // Other peers of the node are honest, and keep to their credit.
            (node.inbound.used(), 1 << 22),
            (self.ends[end].inbound.used(), INBOUND + MESSAGE),
        ];
        if let Some(which) = open.iter().position(|(is, most)| is > most) {
            return Err(format!(
                "end {end} is made to hold too much: {which} of {open:?}"
            ));
        }
        // Promise 6 on the serving side: nobody works on for a caller that is gone.
        let Victim {
            tickets, streams, ..
        } = &self.ends[end].victim;
        let requests = tickets.iter().filter_map(|(_, deadline)| *deadline);
        let mut due = requests.chain(streams.values().filter_map(|open| open.deadline));
        let now = self.instant();
        if due.any(|deadline| deadline < now) {
            return Err(format!("end {end} serves for longer than its caller waits"));
        }
        Ok(())
    }

    /// After the last operation such peers are gone for good.
    pub(crate) fn dismiss_hostile(&mut self) -> Outcome {
        for end in 0..self.ends.len() {
            if self.peer(end).kind != Kind::Hostile {
                continue;
            }
            note!(self, "the hostile peer of end {end} goes");
            let mut rng = Rng::new(self.seed);
            self.breaks(end / 2, &mut rng, 1 << 50)?;
            for end in [end, end ^ 1] {
                self.close_end(end, CloseReason::Lost(Text::from("gone")));
            }
        }
        self.settle()?;
        for end in &mut self.ends {
            end.victim = Victim::default();
        }
        Ok(())
    }

    fn victim(&mut self, end: usize) -> &mut Victim {
        &mut self.ends[end].victim
    }

    /// Now and then the application answers what it had left waiting, and lets go of what it held.
    fn victim_works(&mut self, end: usize) {
        let this = &mut self.ends[end];
        this.dirty = true;
        if mix(self.seed, self.now, self.steps).is_multiple_of(16) {
            this.victim.held.clear();
            for (ticket, _) in this.victim.tickets.drain(..) {
                let _ = this.conn.respond(ticket, Err("late".into()));
                // Where there is no room for the answer there is none.
                this.conn.forget(ticket);
            }
        }
        let nonces: Vec<u32> = this.by_mux.values().copied().collect();
        for nonce in nonces {
            let call = &mut self.calls[nonce as usize];
            let items = take_unread(&mut call.unread, true);
            let mux = grid_proto::MuxId::new(call.mux);
            self.ends[end].conn.consumed(mux, items);
        }
    }
}
