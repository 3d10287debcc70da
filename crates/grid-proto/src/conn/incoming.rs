//! The handler's side of a mux: what is known of a call of the peer's.

use std::time::Instant;

use bytes::Bytes;

use crate::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, Text},
};

use super::{config::Capacity, credit::Credits, event::Ticket, unread::Unread};

/// What a call said of itself, which its refusal repeats (protocol section 6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) mux: MuxId,
    pub(super) seq: u32,
    deadline_ms: u32,
    handler: HandlerId,
    flags: Flags,
}

impl Head {
    pub(super) fn of(call: &Message) -> Self {
        Self {
            mux: call.mux,
            seq: call.seq,
            deadline_ms: call.deadline_ms,
            handler: call.handler,
            flags: call.flags,
        }
    }

    /// The call again, with another op and payload.
    pub(super) fn refusal(&self, base: Flags, payload: Bytes) -> Message {
        Message {
            mux: self.mux,
            seq: self.seq,
            deadline_ms: self.deadline_ms,
            handler: self.handler,
            op: Op::MuxConnectError,
            flags: (self.flags - Flags::SUBROUTE - Flags::PAYLOAD_IS_ZERO) | base,
            payload,
            subroute: None,
        }
    }
}

/// A single request that is being served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) head: Head,
    /// Nobody waits for the answer; it still counts against the limit.
    pub(super) cancelled: bool,
    pub(super) timer: Option<Instant>,
}

impl Served {
    /// The ticket that was given for it.
    pub(super) fn ticket(&self, serial: u64) -> Ticket {
        Ticket {
            mux: self.head.mux,
            seq: self.head.seq,
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
    pub(super) head: Head,
    pub(super) serial: u64,
    pub(super) capacity: Capacity,
    /// What its handler sends goes before what isn't urgent.
    pub(super) urgent: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) send_seq: u32,
    pub(super) recv_seq: u32,
    pub(super) credits: Credits,
    pub(super) input_ended: bool,
    pub(super) unconsumed: u32,
    pub(super) unread: Unread,
    pub(super) ack_owed: bool,
    pub(super) unblock_owed: u32,
    pub(super) pong_owed: Option<Box<Message>>,
    pub(super) dirty: bool,
    pub(super) ending: Ending,
    /// When the caller last pinged it, or opened it.
    pub(super) heard: Instant,
    /// How many more pings may come close together.
    pub(super) early_pings: u8,
    /// When the handler is cancelled for want of pings, or that is looked at again; `None` where none are due.
    pub(super) ping_deadline: Option<Instant>,
    pub(super) timer: Option<Instant>,
}

/// Periods without a ping after which a stream that ought to be pinged ends.
pub(super) const UNPINGED: u32 = 4;

/// How far the end of a served stream has come.
#[derive(Debug)]
pub(super) enum Ending {
    /// The handler is at work.
    Open,
    /// The handler has returned; its end, which is short, waits for a credit.
    Held(Result<(), Text>),
    /// The message that ends the stream is in the queue.
    Queued,
}

impl Ending {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }
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
