//! A peer that behaves as the recorded reference does, by the annex of the protocol: what nodes of ours have to live with.
//!
//! It is a script about messages, without the machine. Towards the machine it also checks promise 8 as far as a peer can:
//! it fails the history where a message would make the reference fail a call, or end one as if it were complete.
//!
//! | annex | shown |
//! | --- | --- |
//! | 2, 7, 8 | the handshake without flags, by `connect.rs`; a dialer that comes back at once and takes the place of the connection that was there |
//! | 10, 32 | items that are absent and not empty, in the middle of a stream |
//! | 12, 13, 47 | checksums on all but pings of the link; merged messages of up to 51, and of 31 KiB and one more |
//! | 16, 28, 30 | calls are counted from 1 in each process; one count of messages a side and mux |
//! | 17, 18, 19 | whole milliseconds, 60,000 without a deadline; answers repeat the seq; empty error texts with and without the flag |
//! | 20 | a refusal is the call again, as MuxConnectError |
//! | 23 | no answer at all from a handler that took too long |
//! | 24 | a cancelled or late single request says nothing; nor does one that it serves listen to a cancel |
//! | 33, 34, 35 | credits of both directions, the end of a stream among them |
//! | 36, 37, 38 | the ends of both directions, then DisconnectClientMux; a last item that comes with EOF |
//! | 39, 41 | DisconnectServerMux once or twice, with the running number and with 0, also as an answer |
//! | 40 | a deadline that passes on the serving side says no more than DisconnectClientMux |
//! | 44 | DisconnectClientMux for a mux that is not known, whoever's it is |
//! | 48, 49 | pings of streams every 15 s, their pongs, and what follows where they stay away |
//! | 51 | what waited to be sent when a connection was lost comes out on the next one |
//! | 52, 53 | single handlers work on, and answer on the next connection under the old number |
//! | its faults | a stray DisconnectServerMux for a stream that has just ended |
//!
//! The rest of the handshake is shown where there are sockets, by `transcripts_tcp` of grid-transport: the head, its answer,
//! and what refuses it (1, 6); who dials, and what the wrong side is told (3, with the pairs of names of `wire_vectors`); the
//! order of the checks, and what a rejection is (4, with `conn/handshake_tests.rs`); a first frame of text, and none (5).
//! What concerns bytes only (9, 11, 14, 15, 31, 50), texts (21, 22) and what only a raw peer provokes in it (25, 26, 27,
//! 29, 42, 43, 45, 46) is shown by the tests of `wire_vectors` and `replay`.

mod call;
mod serve;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use grid_proto::{
    MuxId,
    conn::{CallError, CancelReason, CloseReason},
    uses_checksums,
    wire::{Flags, Message, Op, Ping, Pong, Text, Timestamp},
};

use crate::{
    history::SECOND,
    world::{Action, Call, Outcome, World},
};
use call::Calling;
use serve::{Asked, Serving};

const PING: u64 = 10 * SECOND;
const STREAM_PING: u64 = 15 * SECOND;

/// What a timer of a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Answer,
    ServeStep,
    ServeDeadline,
    CallStep,
    CallReads,
    CallDeadline,
}

/// One end of a link that is no machine's.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    /// What waits to be written, over connections.
    pub(crate) out: VecDeque<Message>,
    calls_made: u64,
    calls: BTreeMap<u64, Calling>,
    serving: BTreeMap<u64, Serving>,
    /// Single requests that are worked on, over connections.
    asked: BTreeMap<u64, Asked>,
    asked_before: u64,
    ping_at: u64,
    pong_at: u64,
}

impl World {
    fn reference(&mut self, end: usize) -> &mut Reference {
        self.ends[end].dirty = true;
        self.ends[end].reference.get_or_insert_default()
    }

    fn reference_says(&mut self, end: usize, message: Message) {
        self.reference(end).out.push_back(message);
    }

    /// A message with nothing in it but what all have.
    fn reference_message(&self, end: usize, op: Op, mux: u64) -> Message {
        let (own, peer) = (&self.nodes[self.ends[end].node], self.peer(end));
        let mut message = Message::new(op, MuxId::new(mux));
        if uses_checksums(&own.name, &peer.name) {
            message.flags = Flags::CRC;
        }
        message
    }

    /// Whether a reference at either end of a call is about to do something for it, other than to give it up.
    pub(crate) fn reference_is_at_work(&self, call: &Call) -> bool {
        let (caller, server) = (call.plan.end, call.plan.end ^ 1);
        let asked = |key: &u64| {
            let reference = self.ends[server].reference.as_ref();
            let asked = reference.and_then(|reference| reference.asked.get(key));
            asked.is_some_and(|asked| asked.nonce == call.plan.nonce)
        };
        self.timers.iter().any(|Reverse((_, _, action))| {
            let Action::Reference(end, due, key, process) = action else {
                return false;
            };
            let lives = self.nodes[self.ends[*end].node].process == *process;
            lives
                && match due {
                    Due::Answer => *end == server && asked(key),
                    Due::ServeStep => *end == server && *key == call.mux,
                    Due::CallStep | Due::CallReads => *end == caller && *key == call.mux,
                    Due::ServeDeadline | Due::CallDeadline => false,
                }
        })
    }

    fn reference_arms(&mut self, end: usize, after: u64, due: Due, key: u64) {
        let process = self.nodes[self.ends[end].node].process;
        self.arm(after, Action::Reference(end, due, key, process));
    }

    pub(crate) fn reference_due(
        &mut self,
        end: usize,
        due: Due,
        key: u64,
        process: u32,
    ) -> Outcome {
        if self.nodes[self.ends[end].node].process != process {
            return Ok(());
        }
        self.ends[end].dirty = true;
        match due {
            Due::Answer => self.reference_answers(end, key),
            Due::ServeStep => self.reference_serves(end, key),
            Due::ServeDeadline => self.reference_cuts(end, key, CancelReason::Deadline),
            Due::CallStep => {
                if let Some(calling) = self.reference(end).calls.get(&key) {
                    let nonce = calling.nonce;
                    self.call(nonce).send_armed = false;
                }
                self.reference_sends(end, key);
            }
            Due::CallReads => self.reference_reads(end, key),
            Due::CallDeadline => self.reference_expires(end, key),
        }
        Ok(())
    }

    /// A connection begins.
    pub(crate) fn reference_rises(&mut self, end: usize) {
        let (now, socket) = (self.now, self.ends[end].socket);
        let this = self.reference(end);
        (this.ping_at, this.pong_at) = (now + PING, now);
        // Late answers are counted where they are made.
        let left = this.out.iter().filter(|left| left.op != Op::Response);
        let count = left.count() as u64;
        let what = "reference: left over from an earlier connection";
        self.seen.add(what, count);
        self.arm(SECOND, Action::Ticks(end, socket));
    }

    /// The connection is lost: calls fail, streams that are served are cancelled. What waits to be sent stays, and so do
    /// the handlers of single requests.
    pub(crate) fn reference_falls(&mut self, end: usize) {
        let this = self.reference(end);
        let calls = std::mem::take(&mut this.calls);
        let serving = std::mem::take(&mut this.serving);
        for calling in calls.into_values() {
            self.call(calling.nonce).open = false;
        }
        for serving in serving.into_values() {
            self.call(serving.nonce).cut_off = Some(CancelReason::Link);
        }
        self.ends[end].by_mux.clear();
    }

    /// What it does every second: pings, and what follows where their answers stay away.
    pub(crate) fn ticks(&mut self, end: usize, socket: u32) -> Outcome {
        if self.ends[end].socket != socket || !self.ends[end].is_up() {
            return Ok(());
        }
        self.arm(SECOND, Action::Ticks(end, socket));
        let now = self.now;
        let time = self.wall_clock(self.ends[end].node);
        let this = self.reference(end);
        if now > this.pong_at + 2 * PING {
            if !self.troubled(end) {
                return Err(format!("end {} doesn't answer pings", end ^ 1));
            }
            self.close_end(end, CloseReason::Lost(Text::from("no pong")));
            return Ok(());
        }
        if now >= this.ping_at {
            this.ping_at = now + PING;
            let mut payload = Vec::new();
            Ping { time }.encode(&mut payload);
            let mut ping = Message::new(Op::Ping, MuxId::CONNECTION);
            (ping.deadline_ms, ping.payload) = (10_000, payload.into());
            self.reference_says(end, ping);
        }
        self.reference_pings(end)?;
        let served = self.reference(end).serving.iter();
        let silent: Vec<u64> = served
            .filter(|(_, open)| open.pinged && now > open.ping_at + 4 * STREAM_PING)
            .map(|(mux, _)| *mux)
            .collect();
        for mux in silent {
            self.reference_cuts(end, mux, CancelReason::NoPing);
        }
        Ok(())
    }

    pub(crate) fn reference_hears(&mut self, end: usize, message: &Message) -> Outcome {
        let mux = message.mux.get();
        match message.op {
            Op::Request => self.reference_asked(end, message),
            Op::ConnectMux => self.reference_opened(end, message),
            Op::MuxClientMsg | Op::UnblockSrvMux | Op::DisconnectServerMux => {
                self.reference_served(end, message)
            }
            Op::Ping if mux == 0 => {
                self.reference_pong(end, message, false);
                Ok(())
            }
            Op::Ping => self.reference_served(end, message),
            Op::Pong if mux == 0 => {
                self.reference(end).pong_at = self.now;
                Ok(())
            }
            Op::Response => {
                let outcome = if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
                    Err(CallError::Remote(Text::from(message.payload.clone())))
                } else {
                    Ok(message.clone().content())
                };
                if self.reference(end).calls.remove(&mux).is_none() {
                    self.seen.saw("reference: nobody waits for an answer");
                    return Ok(());
                }
                if message.seq != 0 {
                    return Err(format!(
                        "end {}: an answer with seq {}",
                        end ^ 1,
                        message.seq
                    ));
                }
                self.on_answered(end, message.mux, outcome)
            }
            Op::AckMux
            | Op::MuxServerMsg
            | Op::UnblockClMux
            | Op::DisconnectClientMux
            | Op::MuxConnectError
            | Op::Pong => self.reference_called(end, message),
            other => Err(format!("end {} sends {other}, as no node does", end ^ 1)),
        }
    }

    fn reference_pong(&mut self, end: usize, ping: &Message, not_found: bool) {
        let time = Ping::decode(&ping.payload).map_or(Timestamp::ZERO, |ping| ping.time);
        let mut payload = Vec::new();
        let pong = Pong {
            not_found,
            error: None,
            time,
        };
        pong.encode(&mut payload);
        let base = self.reference_message(end, Op::Pong, ping.mux.get());
        self.reference_says(
            end,
            Message {
                op: Op::Pong,
                flags: ping.flags | base.flags,
                payload: payload.into(),
                ..ping.clone()
            },
        );
    }

    /// DisconnectClientMux: for what it ends, and for what it doesn't know.
    fn reference_disconnects(&mut self, end: usize, mux: u64) {
        let message = self.reference_message(end, Op::DisconnectClientMux, mux);
        self.reference_says(end, message);
    }
}

/// How many of what waits go out together: up to 50 that have less than 31 KiB, and then one more, whatever its size.
pub(crate) fn together(queue: &VecDeque<Message>) -> usize {
    let mut bytes = 0;
    let fits = |(place, message): &(usize, &Message)| {
        bytes += message.encoded_len();
        *place < 50 && bytes < 31 << 10
    };
    let gathered = queue.iter().enumerate().take_while(fits).count();
    queue.len().min(gathered + 1)
}

/// The whole milliseconds until a deadline.
fn millis(after: Duration) -> u32 {
    u32::try_from(after.as_millis()).unwrap_or(u32::MAX)
}

/// An item as it leaves: an absent one where it is empty, now and then.
fn with_item(mut message: Message, item: Bytes, absent: bool) -> Message {
    if item.is_empty() && !absent {
        message.flags |= Flags::PAYLOAD_IS_ZERO;
    }
    message.payload = item;
    message
}

#[test]
fn fifty_and_one_more_are_merged_or_31_kib_and_one_more() {
    let of = |sizes: &[usize]| {
        let message = |size: &usize| Message {
            payload: vec![7; *size].into(),
            ..Message::new(Op::Request, MuxId::new(1))
        };
        together(&sizes.iter().map(message).collect())
    };
    assert_eq!([of(&[]), of(&[1]), of(&[1; 50])], [0, 1, 50]);
    assert_eq!([of(&[1; 51]), of(&[1; 52]), of(&[1; 200])], [51; 3]);
    let kib = 1 << 10;
    assert_eq!(of(&[40 * kib, 1]), 1);
    assert_eq!(of(&[20 * kib, 20 * kib, 1]), 2);
    assert_eq!(of(&[10 * kib, 10 * kib, 10 * kib, 1, 1]), 5);
    assert_eq!(of(&[10 * kib, 10 * kib, 10 * kib, kib, 1]), 4);
}
