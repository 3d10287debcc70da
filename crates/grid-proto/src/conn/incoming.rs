//! The handler's side of a mux: what is known of a call of the peer's.

use std::time::Instant;

use crate::{
    MuxId,
    wire::{Message, Text},
};

use super::{config::Capacity, credit::Credits, event::Ticket};

/// A single request that is being served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) mux: MuxId,
    pub(super) seq: u32,
    /// Nobody waits for the answer; it still counts against the limit.
    pub(super) cancelled: bool,
    pub(super) timer: Option<Instant>,
}

impl Served {
    /// The ticket that was given for it.
    pub(super) fn ticket(&self, serial: u64) -> Ticket {
        Ticket {
            mux: self.mux,
            seq: self.seq,
            serial,
        }
    }
}

/// A stream that is being served.
///
/// ```text
///             ConnectMux             handler returns                 EOF leaves for the socket
/// (nothing) -------------> [open] -------------------> [ending] ------------------------------> (nothing)
///                            |                            |
///                            +----------------------------+
///                            |  DisconnectServerMux, deadline, no ping, lost link, broken rule
///                            v
///                        (nothing)
/// ```
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) serial: u64,
    pub(super) capacity: Capacity,
    pub(super) deadline: Option<Instant>,
    pub(super) send_seq: u32,
    pub(super) recv_seq: u32,
    pub(super) credits: Credits,
    pub(super) input_ended: bool,
    pub(super) unconsumed: u32,
    pub(super) held_bytes: usize,
    pub(super) ack_owed: bool,
    pub(super) unblock_owed: u32,
    pub(super) pong_owed: Option<Message>,
    pub(super) dirty: bool,
    pub(super) ending: Ending,
    /// When the handler is cancelled for want of pings; `None` where none are due.
    pub(super) ping_deadline: Option<Instant>,
    pub(super) timer: Option<Instant>,
}

/// How far the end of a served stream has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The handler is at work.
    Open,
    /// The handler has returned; its end waits for a credit.
    Held(Result<(), Text>),
    /// The message that ends the stream is in the queue.
    Queued,
}

impl Incoming {
    /// When something of this stream is due next.
    pub(super) fn due(&self) -> Option<Instant> {
        match (self.deadline, self.ping_deadline) {
            (Some(deadline), Some(ping)) => Some(deadline.min(ping)),
            (deadline, ping) => deadline.or(ping),
        }
    }

    /// Numbers a message that leaves.
    pub(super) fn number(&mut self) -> u32 {
        let seq = self.send_seq;
        self.send_seq = seq.wrapping_add(1);
        seq
    }
}
