//! Answers of single handlers, on their way into the queue.
//!
//! One that finds no room there waits, and counts among the bytes that are held for the peer. Where too many are held
//! already it is dropped, and its caller gets a short error in its place: else a peer that asks and never reads would have
//! us hold the answers of all the requests that it may have open, however large they are.

use std::{mem, sync::Arc};

use grid_proto::{
    Payload,
    conn::{Budget, Charge, RespondError, Ticket},
    wire::Text,
};

use super::{Core, Session, report};
use crate::link::shared::LinkShared;

/// What a caller gets whose answer was dropped. It is no refusal: the handler has run.
const DROPPED: &str = "the answer was dropped: too much waits to be read by the caller's node";

pub(super) type Response = Result<Payload, Text>;

/// An answer that is not in the queue yet.
pub(super) struct Answer {
    ticket: Ticket,
    response: Response,
    urgent: bool,
    /// It is in the queue, or nobody waits for it.
    over: bool,
    /// What it counts among the bytes held, once it has had to wait.
    held: Option<Charge>,
    /// What was dropped, until no lock is held: these may be bytes of the user's.
    dropped: Option<Response>,
}

impl Answer {
    pub(super) fn new(ticket: Ticket, response: Response, urgent: bool) -> Self {
        Self {
            ticket,
            response,
            urgent,
            over: false,
            held: None,
            dropped: None,
        }
    }

    /// Has it counted while it waits, or dropped where that is too much.
    fn hold(&mut self, inbound: &Arc<Budget>) {
        if self.held.is_some() {
            return;
        }
        let bytes = len(&self.response);
        let held = if bytes <= DROPPED.len() {
            // To drop it would gain nothing.
            inbound.charge_over(bytes)
        } else {
            inbound.charge(bytes).unwrap_or_else(|| {
                let error = Err(Text::from(DROPPED));
                self.dropped = Some(mem::replace(&mut self.response, error));
                Charge::default()
            })
        };
        self.held = Some(held);
    }
}

impl Session {
    /// Answers a request, and waits for room where there is none; gives up when the session ends.
    pub(super) async fn answer(self: &Arc<Self>, mut answer: Answer) {
        if !self.hand_in(&mut answer) {
            // In a box: hardly any answer waits, and the task of each handler would have the room for it.
            Box::pin(self.wait_for_room(answer)).await;
        }
    }

    /// False where it has to wait for room.
    fn hand_in(self: &Arc<Self>, answer: &mut Answer) -> bool {
        let handed_in = self.with(|core| core.respond(&self.link, answer));
        self.is_over(answer) || handed_in.is_none()
    }

    pub(super) async fn wait_for_room(self: &Arc<Self>, mut answer: Answer) {
        loop {
            let room = self.monitor.room.notified();
            let node_room = self.link.node.room.wake.notified();
            if self.hand_in(&mut answer) {
                return;
            }
            if self.starve() {
                continue;
            }
            tokio::select! {
                () = room => {}
                () = node_room => {}
                () = self.monitor.closing.cancelled() => return,
            }
        }
    }

    /// Whether nothing is left to do for an answer that was handed in.
    pub(super) fn is_over(&self, answer: &mut Answer) -> bool {
        if let Some(dropped) = answer.dropped.take() {
            self.link.counters.dropped_answer();
            report::dropped_answer(self, len(&dropped));
        }
        answer.over
    }
}

impl Core {
    /// Hands in an answer, unless it has to wait for room.
    pub(super) fn respond(&mut self, link: &LinkShared, answer: &mut Answer) {
        if self.cause.is_some() {
            link.counters.late_answer();
            answer.over = true;
            return;
        }
        let ticket = answer.ticket;
        let mut responded = self
            .conn
            .try_respond(ticket, &mut answer.response, answer.urgent);
        if let Err(RespondError::TooLarge { len, limit }) = responded {
            let text = format!("the answer of {len} bytes is over the limit of {limit}");
            responded = self.conn.respond(ticket, Err(Text::from(text)));
        }
        if responded == Err(RespondError::QueueFull) {
            self.sleepers.starve();
            answer.hold(&link.inbound);
            return;
        }
        self.unwatch(ticket);
        answer.over = true;
    }
}

/// The bytes of an answer.
fn len(response: &Response) -> usize {
    match response {
        Ok(payload) => payload.len(),
        Err(text) => text.len(),
    }
}
