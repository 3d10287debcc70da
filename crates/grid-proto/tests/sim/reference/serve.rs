//! What a reference does for calls of the machine.

use grid_proto::{
    Payload,
    conn::{CancelReason, Capacity, Routes},
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op},
};

use super::{Due, with_item};
use crate::{
    caller::expect_item,
    history::MS,
    node::Registry,
    plan::{Answer, INPUT, OUTPUT, item},
    rng::mix,
    world::{Outcome, World},
};

/// A single request that is worked on.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) nonce: u32,
    mux: u64,
    seq: u32,
    /// When nobody waits for the answer any more.
    until: u64,
}

/// A stream that is served.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) nonce: u32,
    capacity: Capacity,
    send_seq: u32,
    recv_seq: u32,
    credits: u32,
    got: u32,
    input_ended: bool,
    /// It has no deadline, or one far away: its caller has to ping it.
    pub(super) pinged: bool,
    pub(super) ping_at: u64,
    step_armed: bool,
}

impl World {
    pub(super) fn reference_asked(&mut self, end: usize, message: &Message) -> Outcome {
        let route = Registry.single(message.handler, message.subroute.as_ref());
        if let Err(rejection) = route {
            self.reference_refuses(end, message, &rejection);
            return Ok(());
        }
        let content = message.clone().content();
        let nonce = self.identify(end, &content, message.subroute, false)?;
        let now = self.now;
        let this = self.reference(end);
        this.asked_before += 1;
        let key = this.asked_before;
        let asked = Asked {
            nonce,
            mux: message.mux.get(),
            seq: message.seq,
            until: match message.deadline_ms {
                0 => u64::MAX,
                millis => now + u64::from(millis) * MS,
            },
        };
        this.asked.insert(key, asked);
        let work = self.call(nonce).plan.work;
        self.reference_arms(end, work, Due::Answer, key);
        Ok(())
    }

    /// The call again, with another op and payload.
    fn reference_refuses(&mut self, end: usize, message: &Message, rejection: &MuxRejection) {
        let mut payload = Vec::new();
        let refused = MuxConnectError {
            error: rejection.to_text(),
        };
        refused.encode(&mut payload);
        let base = self.reference_message(end, Op::MuxConnectError, 0);
        let refusal = Message {
            op: Op::MuxConnectError,
            flags: (message.flags - Flags::SUBROUTE) | base.flags,
            payload: payload.into(),
            subroute: None,
            ..message.clone()
        };
        self.reference_says(end, refusal);
    }

    pub(super) fn reference_answers(&mut self, end: usize, key: u64) {
        let Some(asked) = self.reference(end).asked.remove(&key) else {
            return;
        };
        let call = &mut self.calls[asked.nonce as usize];
        let good = match call.plan.answer {
            Answer::Ok => true,
            Answer::Error => false,
            Answer::Never | Answer::Refuse => return,
        };
        if self.now > asked.until {
            self.seen.saw("reference: too late to answer");
            return;
        }
        call.result = Some(good);
        let late = !self.ends[end].is_up() || call.socket != self.ends[end].socket;
        let (reply, text) = (call.plan.reply(), call.plan.error_text());
        if late {
            self.seen.saw("reference: answers on a later connection");
        }
        let mut message = self.reference_message(end, Op::Response, asked.mux);
        message.seq = asked.seq;
        message.flags |= Flags::EOF;
        let message = if good {
            message.with_content(reply)
        } else {
            message.flags |= Flags::PAYLOAD_IS_ERR;
            message.payload = text.into_bytes().into();
            message
        };
        self.reference_says(end, message);
    }

    pub(super) fn reference_opened(&mut self, end: usize, message: &Message) -> Outcome {
        let mux = message.mux.get();
        if self.reference(end).serving.contains_key(&mux) {
            return Err(format!("end {} opens {mux} twice", end ^ 1));
        }
        let capacity = match Registry.stream(message.handler, message.subroute.as_ref()) {
            Ok((_, capacity)) => capacity,
            Err(rejection) => {
                self.reference_refuses(end, message, &rejection);
                return Ok(());
            }
        };
        if (capacity.input == 0) != message.flags.contains(Flags::EOF) {
            return Err(format!("end {} opens {mux} with the wrong EOF", end ^ 1));
        }
        let content = message.clone().content();
        let nonce = self.identify(end, &content, message.subroute, true)?;
        let (millis, now) = (message.deadline_ms, self.now);
        let serving = Serving {
            nonce,
            capacity,
            send_seq: message.seq.wrapping_add(1),
            recv_seq: message.seq.wrapping_add(1),
            credits: capacity.output,
            got: 0,
            input_ended: capacity.input == 0,
            pinged: millis == 0 || millis > 60_000,
            ping_at: now,
            step_armed: true,
        };
        self.reference(end).serving.insert(mux, serving);
        let mut ack = self.reference_message(end, Op::AckMux, mux);
        ack.seq = message.seq;
        self.reference_says(end, ack);
        if millis > 0 {
            self.reference_arms(end, u64::from(millis) * MS, Due::ServeDeadline, mux);
        }
        let work = self.call(nonce).plan.work;
        self.reference_arms(end, work, Due::ServeStep, mux);
        Ok(())
    }

    /// A message of the caller's for a stream that is served, or was.
    pub(super) fn reference_served(&mut self, end: usize, message: &Message) -> Outcome {
        let (mux, now) = (message.mux.get(), self.now);
        let Some(open) = self.reference(end).serving.get_mut(&mux) else {
            match message.op {
                Op::MuxClientMsg => self.reference_disconnects(end, mux),
                Op::Ping => self.reference_pong(end, message, true),
                _ => {}
            }
            return Ok(());
        };
        if message.op == Op::DisconnectServerMux {
            self.seen.saw("reference: cancelled");
            self.reference_cuts(end, mux, CancelReason::Caller);
            return Ok(());
        }
        if message.seq != open.recv_seq {
            let (got, want) = (message.seq, open.recv_seq);
            return Err(format!(
                "end {} sends seq {got} on {mux}, not {want}",
                end ^ 1
            ));
        }
        open.recv_seq = open.recv_seq.wrapping_add(1);
        let nonce = open.nonce;
        match message.op {
            Op::UnblockSrvMux => {
                open.credits += 1;
                if open.credits > open.capacity.output {
                    return Err(format!("end {} gives too much credit on {mux}", end ^ 1));
                }
                if !open.step_armed {
                    self.reference_serves(end, mux);
                }
                Ok(())
            }
            Op::Ping => {
                open.ping_at = now;
                self.reference_pong(end, message, false);
                Ok(())
            }
            _ => self.reference_gets(end, mux, nonce, message),
        }
    }

    fn reference_gets(&mut self, end: usize, mux: u64, nonce: u32, message: &Message) -> Outcome {
        let Some(open) = self.ends[end]
            .reference
            .as_mut()
            .and_then(|reference| reference.serving.get_mut(&mux))
        else {
            return Ok(());
        };
        if open.input_ended {
            return Err(format!(
                "end {} sends input on {mux} after its end",
                end ^ 1
            ));
        }
        let call = &self.calls[nonce as usize];
        let reads = call.plan.reads_input;
        if message.flags.contains(Flags::EOF) {
            if !call.finished || call.sent != open.got {
                let (got, sent) = (open.got, call.sent);
                return Err(format!("call {nonce} ends its input after {got} of {sent}"));
            }
            open.input_ended = true;
            if !open.step_armed {
                self.reference_serves(end, mux);
            }
            return Ok(());
        }
        expect_item(nonce, INPUT, open.got, message.clone().content())?;
        open.got += 1;
        // One fits between the connection and a handler that doesn't read.
        if reads || open.got == 1 {
            let seq = open.send_seq;
            open.send_seq = seq.wrapping_add(1);
            let mut credit = self.reference_message(end, Op::UnblockClMux, mux);
            credit.seq = seq;
            self.reference_says(end, credit);
        }
        Ok(())
    }

    /// Sends what may be sent, and returns when all is done.
    pub(super) fn reference_serves(&mut self, end: usize, mux: u64) {
        loop {
            let Some(open) = self.ends[end]
                .reference
                .as_mut()
                .and_then(|reference| reference.serving.get_mut(&mux))
            else {
                return;
            };
            open.step_armed = false;
            let nonce = open.nonce;
            let call = &mut self.calls[nonce as usize];
            let plan = &call.plan;
            let sent = call.handler_sent;
            let waits = plan.hangs || (plan.reads_input && !open.input_ended);
            if open.credits == 0 || (sent == plan.items_out && waits) {
                return;
            }
            open.credits -= 1;
            let seq = open.send_seq;
            open.send_seq = seq.wrapping_add(1);
            let odd = mix(u64::from(nonce), u64::from(sent), 5);
            let last = sent + 1 == plan.items_out && !plan.fails && !waits && odd.is_multiple_of(3);
            let (fails, gap, text) = (plan.fails, plan.gap_out, plan.error_text());
            let ends = sent == plan.items_out || last;
            if ends {
                call.result = Some(!fails);
            }
            let items = sent < plan.items_out;
            call.handler_sent += u32::from(items);
            let mut message = self.reference_message(end, Op::MuxServerMsg, mux);
            message.seq = seq;
            if ends {
                message.flags |= Flags::EOF;
            }
            let message = if items {
                // An absent item beside EOF would be none.
                let absent = !ends && odd.is_multiple_of(2);
                let item = item(nonce, OUTPUT, sent);
                if absent && item.is_empty() {
                    self.seen.saw("reference: sends an absent item");
                }
                with_item(message, item, absent)
            } else if fails {
                message.flags |= Flags::PAYLOAD_IS_ERR;
                message.with_content(Payload::Present(text.into_bytes().into()))
            } else {
                message
            };
            if last {
                self.seen.saw("reference: the last item with EOF");
            }
            self.reference_says(end, message);
            if ends {
                self.reference(end).serving.remove(&mux);
                self.reference_disconnects(end, mux);
                return;
            }
            if gap > 0 {
                if let Some(open) = self.reference(end).serving.get_mut(&mux) {
                    open.step_armed = true;
                }
                self.reference_arms(end, gap, Due::ServeStep, mux);
                return;
            }
        }
    }

    /// Ends a stream that it serves, with no word but DisconnectClientMux.
    pub(super) fn reference_cuts(&mut self, end: usize, mux: u64, why: CancelReason) {
        if let Some(open) = self.reference(end).serving.remove(&mux) {
            let call = self.call(open.nonce);
            (call.cut_off, call.result) = (Some(why), None);
            self.reference_disconnects(end, mux);
        }
    }
}
