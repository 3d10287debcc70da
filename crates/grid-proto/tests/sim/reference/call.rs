//! What a reference does when it calls the machine.

use std::{cmp::Reverse, time::Duration};

use grid_proto::{
    MuxId,
    conn::{CallError, Capacity},
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op, Pong, Text},
};

use super::{Due, STREAM_PING, millis, with_item};
use crate::{
    caller::expect_item,
    history::MS,
    plan::{INPUT, OUTPUT, Plan, item},
    rng::mix,
    world::{Call, Outcome, World, note},
};

/// A call that waits for its end.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) nonce: u32,
    stream: bool,
    capacity: Capacity,
    send_seq: u32,
    recv_seq: u32,
    credits: u32,
    /// Items that were not read, of which credit is owed.
    unread: u32,
    acked: bool,
    /// When it is pinged next; `None` where it is not.
    ping_at: Option<u64>,
    heard: u64,
}

impl Calling {
    fn number(&mut self) -> u32 {
        let seq = self.send_seq;
        self.send_seq = seq.wrapping_add(1);
        seq
    }
}

impl World {
    pub(crate) fn reference_starts(&mut self, plan: Plan) -> Outcome {
        let (nonce, end, now) = (plan.nonce, plan.end, self.now);
        note!(self, "end {end}    call {nonce}: {plan:?}");
        *self.call(nonce) = Call::new(plan.clone());
        let short = plan.deadline.is_some_and(|after| after < MS);
        if !self.ends[end].is_up() || short {
            return Ok(());
        }
        let default = (!plan.stream).then_some(60_000 * MS);
        let after = plan.deadline.or(default);
        let socket = self.ends[end].socket;
        let this = self.reference(end);
        this.calls_made += 1;
        let mux = this.calls_made;
        let calling = Calling {
            nonce,
            stream: plan.stream,
            capacity: plan.capacity,
            send_seq: 1,
            recv_seq: 0,
            credits: 0,
            unread: 0,
            acked: false,
            ping_at: (plan.stream && after.is_none_or(|after| after > STREAM_PING))
                .then_some(now + STREAM_PING),
            heard: now,
        };
        this.calls.insert(mux, calling);
        let op = if plan.stream {
            Op::ConnectMux
        } else {
            Op::Request
        };
        let mut message = self.reference_message(end, op, mux);
        message.handler = plan.handler_id();
        message.subroute = plan.subroute_id();
        message.deadline_ms = after.map_or(0, |after| millis(Duration::from_micros(after)));
        message = if plan.stream {
            message.with_content(plan.initial())
        } else {
            message.payload = plan.initial().into_bytes();
            message
        };
        if message.subroute.is_some() {
            message.flags |= Flags::SUBROUTE;
        }
        if !plan.stream || plan.capacity.input == 0 {
            message.flags |= Flags::EOF;
        }
        self.reference_says(end, message);
        self.ends[end].by_mux.insert(mux, nonce);
        let call = self.call(nonce);
        (call.open, call.started, call.mux, call.socket) = (true, true, mux, socket);
        call.deadline_at = after.map(|after| now + after);
        self.seen.saw("reference: calls");
        if let Some(after) = after {
            self.deadlines.push(Reverse((now + after, nonce)));
            self.reference_arms(end, after, Due::CallDeadline, mux);
        }
        if let Some(after) = plan.cancel_after {
            self.call(nonce).cancel_armed = true;
            self.arm(after, crate::world::Action::CallerCancels(nonce));
        }
        self.reference_sends(end, mux);
        Ok(())
    }

    /// Sends what may be sent of a stream's input.
    pub(super) fn reference_sends(&mut self, end: usize, mux: u64) {
        loop {
            let Some(calling) = self.ends[end]
                .reference
                .as_mut()
                .and_then(|reference| reference.calls.get_mut(&mux))
            else {
                return;
            };
            let call = &mut self.calls[calling.nonce as usize];
            if !calling.stream || calling.capacity.input == 0 || call.finished || call.send_armed {
                return;
            }
            let ends = call.sent == call.plan.items_in;
            if !ends && calling.credits == 0 {
                return;
            }
            let (nonce, index, gap, seq) =
                (calling.nonce, call.sent, call.plan.gap_in, calling.number());
            if ends {
                call.finished = true;
            } else {
                calling.credits -= 1;
                call.sent += 1;
                call.send_armed = gap > 0;
            }
            let mut message = self.reference_message(end, Op::MuxClientMsg, mux);
            message.seq = seq;
            if ends {
                message.flags |= Flags::EOF;
                self.reference_says(end, message);
                return;
            }
            self.reference_says(end, with_item(message, item(nonce, INPUT, index), false));
            if gap > 0 {
                self.reference_arms(end, gap, Due::CallStep, mux);
                return;
            }
        }
    }

    /// The consumer takes an item of a stream.
    pub(super) fn reference_reads(&mut self, end: usize, mux: u64) {
        let Some(calling) = self.reference(end).calls.get_mut(&mux) else {
            return;
        };
        if calling.unread == 0 {
            return;
        }
        calling.unread -= 1;
        let seq = calling.number();
        let mut credit = self.reference_message(end, Op::UnblockSrvMux, mux);
        credit.seq = seq;
        self.reference_says(end, credit);
    }

    /// A message of the machine's for a call, or for none any more.
    pub(super) fn reference_called(&mut self, end: usize, message: &Message) -> Outcome {
        let (mux, now) = (message.mux.get(), self.now);
        let (error, eof) = (
            message.flags.contains(Flags::PAYLOAD_IS_ERR),
            message.flags.contains(Flags::EOF),
        );
        let Some(calling) = self.reference(end).calls.get_mut(&mux) else {
            let told = matches!(message.op, Op::AckMux | Op::MuxServerMsg) && !eof;
            if told || message.op == Op::Pong {
                self.seen.saw("reference: misdirected DisconnectClientMux");
                self.reference_disconnects(end, mux);
            }
            return Ok(());
        };
        let nonce = calling.nonce;
        match message.op {
            Op::DisconnectClientMux => return self.reference_disconnected(end, message),
            Op::MuxConnectError => {
                let text = MuxConnectError::decode(&message.payload).unwrap_or_default();
                let rejection = MuxRejection::from_text(text.error.as_bytes());
                return self.reference_fails(end, mux, CallError::Rejected(rejection));
            }
            Op::Pong => {
                calling.heard = now;
                let pong = Pong::decode(&message.payload).unwrap_or_default();
                if pong.not_found || pong.error.is_some() {
                    return Err(format!("end {} doesn't know {mux}, which is open", end ^ 1));
                }
                return Ok(());
            }
            _ => {}
        }
        let counted =
            message.op != Op::MuxServerMsg || !message.payload.is_empty() || error || !eof;
        if counted {
            if message.seq != calling.recv_seq {
                let (got, want) = (message.seq, calling.recv_seq);
                return Err(format!(
                    "end {} sends seq {got} on {mux}, not {want}",
                    end ^ 1
                ));
            }
            calling.recv_seq = calling.recv_seq.wrapping_add(1);
        }
        match message.op {
            Op::AckMux => {
                if std::mem::replace(&mut calling.acked, true) {
                    return Err(format!("end {} acknowledges {mux} twice", end ^ 1));
                }
                calling.credits = calling.capacity.input;
            }
            Op::UnblockClMux => {
                calling.credits += 1;
                if calling.credits > calling.capacity.input {
                    return Err(format!("end {} gives too much credit on {mux}", end ^ 1));
                }
            }
            _ => return self.reference_item(end, nonce, message),
        }
        self.reference_sends(end, mux);
        Ok(())
    }

    fn reference_item(&mut self, end: usize, nonce: u32, message: &Message) -> Outcome {
        let (mux, now) = (message.mux.get(), self.now);
        let eof = message.flags.contains(Flags::EOF);
        if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            self.reference(end).calls.remove(&mux);
            let text = Text::from(message.payload.clone());
            return self.on_ended(end, message.mux, Err(CallError::Remote(text)));
        }
        let content = message.clone().content();
        if !content.is_absent() {
            let received = self.call(nonce).received;
            expect_item(nonce, OUTPUT, received, content)?;
            self.call(nonce).received += 1;
            let two_way = self.call(nonce).plan.capacity.input > 0;
            let pause = match self.call(nonce).plan.stuck {
                Some((stuck, pause)) if stuck == received => pause,
                _ => self.call(nonce).plan.read_out,
            };
            if let Some(calling) = self.reference(end).calls.get_mut(&mux) {
                calling.heard = now;
                calling.unread += 1;
                // It would take more for the end of the stream.
                if calling.unread > calling.capacity.output {
                    return Err(format!("end {} sends more on {mux} than fits", end ^ 1));
                }
            }
            if two_way && !eof {
                self.reference_reads(end, mux);
            } else {
                self.reference_arms(end, pause, Due::CallReads, mux);
            }
        }
        if eof {
            self.reference(end).calls.remove(&mux);
            if mix(self.seed, mux, 9).is_multiple_of(8) {
                // A race of its own cancels a stream that has just ended.
                self.seen.saw("reference: cancels what has ended");
                let stray = self.reference_message(end, Op::DisconnectServerMux, mux);
                self.reference_says(end, stray);
            }
            return self.on_ended(end, message.mux, Ok(()));
        }
        Ok(())
    }

    fn reference_disconnected(&mut self, end: usize, message: &Message) -> Outcome {
        let mux = message.mux.get();
        let nonce = self.ends[end].by_mux.get(&mux).copied();
        let due = nonce.and_then(|nonce| self.calls[nonce as usize].deadline_at);
        let error = if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            CallError::Remote(Text::from(message.payload.clone()))
        } else if due.is_some_and(|at| at <= self.now + 5 * MS) {
            CallError::Deadline
        } else {
            CallError::RemoteDisconnected
        };
        self.reference_fails(end, mux, error)
    }

    /// A call fails by what the machine says; it is told so where it is a stream.
    fn reference_fails(&mut self, end: usize, mux: u64, error: CallError) -> Outcome {
        let Some(calling) = self.reference(end).calls.remove(&mux) else {
            return Ok(());
        };
        if !calling.stream {
            return self.on_answered(end, MuxId::new(mux), Err(error));
        }
        let cancel = self.reference_message(end, Op::DisconnectServerMux, mux);
        self.reference_says(end, cancel);
        self.on_ended(end, MuxId::new(mux), Err(error))
    }

    pub(crate) fn reference_cancels(&mut self, nonce: u32) -> Outcome {
        let call = self.call(nonce);
        let (end, mux) = (call.plan.end, call.mux);
        if call.open {
            note!(self, "end {end}    cancels call {nonce}");
            self.seen.saw("cancels");
            self.reference_gives_up(end, mux);
        }
        Ok(())
    }

    pub(super) fn reference_expires(&mut self, end: usize, mux: u64) {
        self.reference_gives_up(end, mux);
    }

    /// The caller has gone. Of a single request nothing is said; a stream is cancelled once or twice.
    fn reference_gives_up(&mut self, end: usize, mux: u64) {
        let Some(mut calling) = self.reference(end).calls.remove(&mux) else {
            return;
        };
        self.ends[end].by_mux.remove(&mux);
        self.call(calling.nonce).open = false;
        if !calling.stream {
            return;
        }
        let cancel = self.reference_message(end, Op::DisconnectServerMux, mux);
        if mix(self.seed, mux, 8).is_multiple_of(2) {
            let mut first = cancel.clone();
            first.seq = calling.number();
            self.reference_says(end, first);
        }
        self.reference_says(end, cancel);
    }

    /// Pings the streams that need it.
    pub(super) fn reference_pings(&mut self, end: usize) -> Outcome {
        let now = self.now;
        let mut due: Vec<(u64, u32)> = Vec::new();
        let mut silent: Vec<u64> = Vec::new();
        for (mux, calling) in &mut self.reference(end).calls {
            let Some(at) = calling.ping_at.filter(|at| *at <= now) else {
                continue;
            };
            if now > calling.heard + 2 * STREAM_PING {
                silent.push(*mux);
            } else {
                calling.ping_at = Some(at + STREAM_PING);
                due.push((*mux, calling.number()));
            }
        }
        for (mux, seq) in due {
            let mut ping = self.reference_message(end, Op::Ping, mux);
            ping.seq = seq;
            self.seen.saw("reference: pings a stream");
            self.reference_says(end, ping);
        }
        for mux in silent {
            if !self.troubled(end) {
                return Err(format!("end {} doesn't answer pings on {mux}", end ^ 1));
            }
            self.reference_gives_up(end, mux);
        }
        Ok(())
    }
}
