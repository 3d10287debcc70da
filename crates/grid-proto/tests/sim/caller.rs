//! The application of a caller: starts calls, sends and reads items, gives up.

use std::{cmp::Reverse, collections::VecDeque, time::Duration};

use bytes::Bytes;
use grid_proto::{
    MuxId, Payload,
    conn::{Charge, NewRequest, NewStream, SendError, SubmitError},
};

use crate::{
    plan::{INPUT, OUTPUT, Plan, describe, item},
    world::{Action, Call, Outcome, Wait, World, note},
};

impl World {
    pub(crate) fn start(&mut self, plan: Plan) -> Outcome {
        let (nonce, end, now) = (plan.nonce, plan.end, self.instant());
        note!(self, "end {end}    call {nonce}: {plan:?}");
        self.ends[end].dirty = true;
        let deadline = plan.deadline.map(|after| self.at(self.now + after));
        let conn = &mut self.ends[end].conn;
        let submitted = if plan.stream {
            let mut new = NewStream::new(plan.handler_id(), plan.caller_capacity, plan.initial());
            (new.subroute, new.deadline) = (plan.subroute_id(), deadline);
            new.urgent = plan.urgent;
            conn.open(now, new)
        } else {
            let mut new = NewRequest::new(plan.handler_id(), plan.initial());
            (new.subroute, new.deadline) = (plan.subroute_id(), deadline);
            new.urgent = plan.urgent;
            conn.request(now, new)
        };
        let default = (!plan.stream).then_some(self.style.default_deadline);
        let after = plan.deadline.map(Duration::from_micros).or(default);
        let cancel_after = plan.cancel_after;
        let (stream, urgent) = (plan.stream, plan.urgent);
        *self.call(nonce) = Call::new(plan);
        let mux = match submitted {
            Ok(mux) => mux.get(),
            Err(error) => return self.not_started(nonce, error),
        };
        let deadline_at = after.map(|after| self.now + after.as_micros() as u64);
        let socket = self.ends[end].socket;
        let call = self.call(nonce);
        (call.open, call.started, call.mux, call.deadline_at) = (true, true, mux, deadline_at);
        (call.socket, call.cancel_armed) = (socket, cancel_after.is_some());
        if let Some(other) = self.ends[end].by_mux.insert(mux, nonce) {
            return Err(format!(
                "call {nonce} gets the number {mux} of call {other}"
            ));
        }
        self.seen.saw(if stream { "streams" } else { "requests" });
        if urgent {
            self.seen.saw(if stream {
                "urgent streams"
            } else {
                "urgent requests"
            });
        }
        self.deadlines
            .extend(deadline_at.map(|at| Reverse((at, nonce))));
        if let Some(after) = cancel_after {
            self.arm(after, Action::CallerCancels(nonce));
        }
        if stream {
            self.caller_sends(nonce)
        } else {
            Ok(())
        }
    }

    fn not_started(&mut self, nonce: u32, error: SubmitError) -> Outcome {
        let plan = &self.calls[nonce as usize].plan;
        let conn = &self.ends[plan.end].conn;
        let (justified, seen) = match error {
            SubmitError::Closed => (conn.close_reason().is_some(), "submit: closed"),
            SubmitError::QueueFull => (!conn.has_room(), "submit: queue full"),
            SubmitError::TooManyOpen { .. } => (self.style.small_limits(), "submit: too many"),
            SubmitError::DeadlinePassed => (
                plan.deadline.is_some_and(|after| after < 1_000),
                "submit: deadline passed",
            ),
            _ => (false, ""),
        };
        self.seen.saw(seen);
        if justified {
            Ok(())
        } else {
            Err(format!("call {nonce} is not started: {error}"))
        }
    }

    /// Sends what may be sent.
    pub(crate) fn caller_sends(&mut self, nonce: u32) -> Outcome {
        loop {
            let call = &mut self.calls[nonce as usize];
            call.send_armed = false;
            call.wait = Wait::Nothing;
            if !call.open || call.finished {
                return Ok(());
            }
            let (end, mux) = (call.plan.end, MuxId::new(call.mux));
            let this = &mut self.ends[end];
            this.dirty = true;
            let conn = &mut this.conn;
            if call.sent == call.plan.items_in {
                call.finished = true;
                conn.finish(mux);
                conn.finish(mux);
                return Ok(());
            }
            let payload = Payload::from(item(nonce, INPUT, call.sent));
            match conn.send(mux, payload) {
                Ok(()) => {
                    call.sent += 1;
                    self.seen.saw("items in");
                    let gap = self.calls[nonce as usize].plan.gap_in;
                    if gap > 0 {
                        self.call(nonce).send_armed = true;
                        self.arm(gap, Action::CallerSends(nonce));
                        return Ok(());
                    }
                }
                Err(SendError::NoCredit) => {
                    call.wait = Wait::Credit;
                    self.seen.saw("send: no credit");
                    return Ok(());
                }
                Err(SendError::QueueFull) => {
                    call.wait = Wait::Room;
                    self.ends[end].room.push_back((nonce, false));
                    self.seen.saw("send: queue full");
                    return Ok(());
                }
                // The event that says so is in the queue.
                Err(SendError::Ended) => return Ok(()),
                Err(error) => return Err(format!("call {nonce} can't send: {error}")),
            }
        }
    }

    pub(crate) fn on_writable(&mut self, end: usize, mux: MuxId) -> Outcome {
        let nonce = self.open_call(end, mux, "Writable")?;
        self.seen.saw("event: writable");
        if self.call(nonce).wait == Wait::Credit {
            return self.caller_sends(nonce);
        }
        Ok(())
    }

    pub(crate) fn on_item(
        &mut self,
        end: usize,
        mux: MuxId,
        payload: Payload,
        charge: Charge,
    ) -> Outcome {
        let nonce = self.open_call(end, mux, "Item")?;
        self.seen.saw("event: item");
        let call = self.call(nonce);
        let index = call.received;
        expect_item(nonce, OUTPUT, index, payload)?;
        if index >= call.handler_sent && call.cut_off.is_none() {
            return Err(format!("call {nonce} gets item {index} before it is sent"));
        }
        call.received += 1;
        call.unread.push_back(charge);
        if !std::mem::replace(&mut call.read_armed, true) {
            let after = call.plan.read_out;
            self.arm(after, Action::CallerReads(nonce));
        }
        Ok(())
    }

    pub(crate) fn caller_reads(&mut self, nonce: u32) -> Outcome {
        let call = &mut self.calls[nonce as usize];
        if let Some((item, pause)) = call.plan.stuck
            && call.received > item
            && !std::mem::replace(&mut call.stuck_done, true)
        {
            self.seen.saw("consumer stuck");
            self.arm(pause, Action::CallerReads(nonce));
            return Ok(());
        }
        let items = take_unread(&mut call.unread, call.plan.gulp);
        call.read_armed = !call.unread.is_empty();
        if call.open {
            let mux = MuxId::new(call.mux);
            let this = &mut self.ends[call.plan.end];
            this.dirty = true;
            this.conn.consumed(mux, items);
        }
        if self.calls[nonce as usize].read_armed {
            let after = self.calls[nonce as usize].plan.read_out;
            self.arm(after, Action::CallerReads(nonce));
        }
        Ok(())
    }

    pub(crate) fn caller_cancels(&mut self, nonce: u32) -> Outcome {
        let call = &mut self.calls[nonce as usize];
        if self.ends[call.plan.end].reference.is_some() {
            return self.reference_cancels(nonce);
        }
        if !std::mem::take(&mut call.open) {
            return Ok(());
        }
        note!(self, "end {}    cancels call {nonce}", call.plan.end);
        call.unread.clear();
        let end = &mut self.ends[call.plan.end];
        end.dirty = true;
        end.by_mux.remove(&call.mux);
        end.conn.cancel(MuxId::new(call.mux));
        end.conn.cancel(MuxId::new(call.mux));
        self.seen.saw("cancels");
        Ok(())
    }

    /// The call that a machine speaks of by its number.
    pub(crate) fn open_call(&self, end: usize, mux: MuxId, event: &str) -> Outcome<u32> {
        let nonce = self.ends[end].by_mux.get(&mux.get()).copied();
        nonce.ok_or_else(|| format!("end {end}: {event} for call {mux}, which is not open"))
    }
}

impl Call {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            socket: 0,
            cancel_armed: false,
            mux: 0,
            open: false,
            started: false,
            deadline_at: None,
            heard: 0,
            pinged: None,
            sent: 0,
            finished: false,
            received: 0,
            unread: VecDeque::new(),
            wait: Wait::Nothing,
            send_armed: false,
            read_armed: false,
            stuck_done: false,
            served: false,
            handler_sent: 0,
            result: None,
            cut_off: None,
            handler: None,
        }
    }
}

/// A wrong, doubled, missing or foreign item is none that was expected.
pub(crate) fn expect_item(nonce: u32, kind: u8, index: u32, payload: Payload) -> Outcome {
    let expected: Bytes = item(nonce, kind, index);
    let absent = payload.is_absent();
    let bytes = payload.into_bytes();
    if bytes == expected && !absent {
        return Ok(());
    }
    Err(format!(
        "call {nonce} expects its {} {index} ({} bytes) and gets {}{}",
        if kind == INPUT { "input" } else { "output" },
        expected.len(),
        describe(&bytes),
        if absent { ", absent" } else { "" },
    ))
}

pub(crate) fn take_unread(unread: &mut VecDeque<Charge>, all: bool) -> u32 {
    let count = if all {
        unread.len()
    } else {
        unread.len().min(1)
    };
    unread.drain(..count);
    count as u32
}
