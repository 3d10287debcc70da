//! The caller's side of a mux: what is known of a call of ours.

use std::time::{Duration, Instant};

use crate::wire::{Message, Op};

use super::{config::Capacity, credit::Credits, error::CallError, unread::Unread};

/// Periods after which the silence of a stream is judged.
pub(super) const SILENT: u32 = 2;

/// Periods after which it is judged even where all that the peer sends is late.
pub(super) const SILENT_AT_MOST: u32 = 16;

/// A call of ours.
#[derive(Debug)]
pub(super) enum Call {
    Request(OutRequest),
    Stream(Box<OutStream>),
}

impl Call {
    /// Whether it has left for the socket. Before that nothing can be an answer to it: what comes under its number
    /// answers a call of a process that was here before.
    pub(super) fn has_left(&self) -> bool {
        match self {
            Self::Request(request) => request.sent,
            Self::Stream(stream) => stream.opened,
        }
    }

    pub(super) fn timer(&self) -> Option<Instant> {
        match self {
            Self::Request(request) => request.timer,
            Self::Stream(stream) => stream.timer,
        }
    }
}

/// A single request that waits for its answer.
#[derive(Debug)]
pub(super) struct OutRequest {
    /// The caller set it, so that what is left of it is sent; else the default was sent as it is.
    pub(super) explicit_deadline: bool,
    pub(super) deadline: Instant,
    /// It has left for the socket.
    pub(super) sent: bool,
    pub(super) timer: Option<Instant>,
}

/// A stream that we opened.
///
/// ```text
///            open              AckMux: credit            finish
/// (nothing) ------> [opening] ---------------> [open] -----------> [input finished]
///                       |                        |                        |
///                       +------------------------+------------------------+
///                       |  EOF, error, refusal, deadline, cancel, lost link
///                       v
///                   (nothing)
/// ```
///
/// Items from the handler may come in any of the three.
#[derive(Debug)]
pub(super) struct OutStream {
    pub(super) capacity: Capacity,
    pub(super) deadline: Option<Instant>,
    /// ConnectMux has left for the socket: the remote knows of the stream.
    pub(super) opened: bool,
    pub(super) acked: bool,
    /// The caller sends no more items; the message that says so waits or has left.
    pub(super) finished: bool,
    /// What the caller sends on it goes before what isn't urgent.
    pub(super) urgent: bool,
    pub(super) send_seq: u32,
    pub(super) recv_seq: u32,
    pub(super) credits: Credits,
    /// Items delivered and not yet consumed.
    pub(super) unconsumed: u32,
    pub(super) unread: Unread,
    pub(super) unblock_owed: u32,
    pub(super) ping_owed: bool,
    pub(super) dirty: bool,
    /// When the next ping is due; `None` where the stream is too short to be pinged.
    pub(super) next_ping: Option<Instant>,
    /// When the first ping left after which nothing of this stream came.
    pub(super) pinged: Option<Instant>,
    pub(super) heard: Instant,
    pub(super) timer: Option<Instant>,
}

impl OutStream {
    pub(super) fn new(
        capacity: Capacity,
        deadline: Option<Instant>,
        now: Instant,
        ping: Duration,
    ) -> Self {
        let long = deadline.is_none_or(|deadline| deadline.saturating_duration_since(now) > ping);
        Self {
            capacity,
            deadline,
            opened: false,
            acked: false,
            finished: false,
            urgent: false,
            send_seq: 0,
            recv_seq: 0,
            credits: Credits::new(0, capacity.input),
            unconsumed: 0,
            unread: Unread::default(),
            unblock_owed: 0,
            ping_owed: false,
            dirty: false,
            next_ping: long.then(|| now + ping),
            pinged: None,
            heard: now,
            timer: None,
        }
    }

    /// A sign that the remote knows of the stream.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// Hears a message that is counted, and checks its number.
    ///
    /// # Errors
    /// It is not the next.
    #[inline]
    pub(super) fn count(&mut self, now: Instant, message: &Message) -> Result<(), CallError> {
        if message.op != Op::AckMux {
            // An ack tells nothing but that the stream was opened: silence is counted from there.
            self.hear(now);
        }
        let (want, got) = (self.recv_seq, message.seq);
        if got != want {
            return Err(CallError::OutOfSequence { want, got });
        }
        self.recv_seq = want.wrapping_add(1);
        Ok(())
    }

    /// When something of this stream is due next.
    pub(super) fn due(&self, now: Instant, ping: Duration) -> Option<Instant> {
        // Where its silence was excused it is looked at again whenever it is pinged.
        let judged = [SILENT, SILENT_AT_MOST].map(|periods| self.heard + ping * periods);
        let judged = judged.into_iter().find(|at| *at > now);
        let silent = self
            .next_ping
            .map(|next| judged.map_or(next, |judged| next.min(judged)));
        match (self.deadline, silent) {
            (Some(deadline), Some(silent)) => Some(deadline.min(silent)),
            (deadline, silent) => deadline.or(silent),
        }
    }

    /// Numbers a message that leaves.
    pub(super) fn number(&mut self) -> u32 {
        let seq = self.send_seq;
        self.send_seq = seq.wrapping_add(1);
        seq
    }
}
