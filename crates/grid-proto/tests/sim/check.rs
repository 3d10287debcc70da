//! The promises: what may happen to a call, and what must be left in the end.

use grid_proto::{
    MuxId, Payload,
    conn::{CallError, CancelReason, Event},
    wire::{MuxRejection, stream_text},
};

use crate::{
    plan::{Answer, Target, describe},
    world::{Outcome, World},
};

impl World {
    pub(crate) fn on_event(&mut self, node: usize, event: Event) -> Outcome {
        match event {
            Event::Answered { mux, outcome, .. } => self.on_answered(node, mux, outcome),
            Event::Item {
                mux,
                payload,
                charge,
            } => self.on_item(node, mux, payload, charge),
            Event::Writable { mux } => self.on_writable(node, mux),
            Event::Ended { mux, outcome } => self.on_ended(node, mux, outcome),
            Event::Request(request) => self.on_request(node, request),
            Event::RequestCancelled { ticket, why } => self.on_request_cancelled(node, ticket, why),
            Event::Opened(stream) => self.on_opened(node, stream),
            Event::Received {
                stream,
                payload,
                charge,
            } => self.on_received(node, stream, payload, charge),
            Event::InputEnded { stream } => self.on_input_ended(node, stream),
            Event::ServeWritable { stream } => self.on_serve_writable(node, stream),
            Event::Cancelled { stream, why } => self.on_cancelled(node, stream, why),
            Event::Unsent(_) => {
                self.seen.saw("unsent");
                Ok(())
            }
            other => Err(format!("an event that nobody knows: {other:?}")),
        }
    }

    fn on_answered(
        &mut self,
        node: usize,
        mux: MuxId,
        outcome: Result<Payload, CallError>,
    ) -> Outcome {
        let nonce = self.ends(node, mux)?;
        let call = &self.calls[nonce as usize];
        match outcome {
            Ok(payload) => {
                self.seen.saw("answered: ok");
                if payload != call.plan.reply() || call.result != Some(true) {
                    let got = describe(payload.as_slice());
                    return Err(format!("call {nonce} is answered with {got}"));
                }
                Ok(())
            }
            Err(error) => self.check_error(node, nonce, &error),
        }
    }

    fn on_ended(&mut self, node: usize, mux: MuxId, outcome: Result<(), CallError>) -> Outcome {
        let nonce = self.ends(node, mux)?;
        let call = &self.calls[nonce as usize];
        match outcome {
            Ok(()) => {
                self.seen.saw("ended: ok");
                if call.result != Some(true) || call.received != call.handler_sent {
                    return Err(format!(
                        "call {nonce} ends clean after {} of {} items; the handler's result: {:?}",
                        call.received, call.handler_sent, call.result
                    ));
                }
                Ok(())
            }
            Err(error) => self.check_error(node, nonce, &error),
        }
    }

    fn ends(&mut self, node: usize, mux: MuxId) -> Outcome<u32> {
        let nonce = self.open_call(node, mux, "an end")?;
        self.nodes[node].by_mux.remove(&mux.get());
        self.call(nonce).open = false;
        Ok(nonce)
    }

    /// An error is no excuse by itself: something must have happened that it tells of.
    fn check_error(&mut self, node: usize, nonce: u32, error: &CallError) -> Outcome {
        let call = &self.calls[nonce as usize];
        let (plan, style) = (&call.plan, &self.style);
        let other = &self.nodes[1 - node];
        let (justified, seen) = match error {
            CallError::Remote(text) if call.cut_off.is_some() => {
                let blocked = text.as_bytes() == stream_text::HANDLER_BLOCKED.as_bytes();
                let more_input = plan.caller_capacity.input > plan.capacity.input;
                let shed = call.cut_off == Some(CancelReason::Overloaded);
                (shed || (blocked && more_input), "error: remote, broken off")
            }
            CallError::Remote(text) => {
                let own = text.as_bytes() == plan.error_text().as_bytes();
                let all = call.received == if plan.stream { call.handler_sent } else { 0 };
                (own && all && call.result == Some(false), "error: remote")
            }
            CallError::Rejected(rejection) => match rejection {
                MuxRejection::UnknownHandler(_) => (
                    plan.target == Target::UnknownHandler,
                    "rejected: unknown handler",
                ),
                MuxRejection::InvalidHandler => (
                    plan.target == Target::InvalidHandler,
                    "rejected: invalid handler",
                ),
                MuxRejection::UnknownSubroute(id) => {
                    let own = Some(*id) == plan.subroute_id();
                    (
                        own && plan.target == Target::UnknownSubroute,
                        "rejected: unknown subroute",
                    )
                }
                MuxRejection::Overloaded => {
                    let refused = !plan.stream && plan.answer == Answer::Refuse && call.served;
                    let limit = style.small_limits() || style.tight();
                    (refused || limit, "rejected: overloaded")
                }
                MuxRejection::ShuttingDown => (other.draining, "rejected: shutting down"),
                _ => (false, ""),
            },
            CallError::Closed => (
                self.nodes[node].conn.close_reason().is_some(),
                "error: closed",
            ),
            CallError::Deadline => {
                // What the remote's clock may be ahead, when it is the first to tell.
                let near = self.nodes[node].conn.round_trip().unwrap_or_default() * 2;
                let near = (near.as_micros() as u64).max(5_000);
                (
                    call.deadline_at.is_some_and(|at| at <= self.now + near),
                    "error: deadline",
                )
            }
            CallError::CapacityMismatch { .. } => (
                plan.caller_capacity.output < plan.capacity.output,
                "error: capacity mismatch",
            ),
            CallError::Overloaded => (style.tight(), "error: overloaded"),
            CallError::NoPong => (style.long_stalls, "error: no pong"),
            CallError::RemoteDisconnected => (
                call.cut_off == Some(CancelReason::NoPing),
                "error: remote disconnected",
            ),
            _ => (false, ""),
        };
        self.seen.saw(seen);
        if justified {
            return Ok(());
        }
        Err(format!(
            "call {nonce} fails for no reason after {} of {} items; handler's result {:?}, cut off {:?}: {error:?}",
            call.received, call.handler_sent, call.result, call.cut_off
        ))
    }

    /// A handler is stopped only for a reason.
    pub(crate) fn check_cancel(&mut self, node: usize, nonce: u32, why: &CancelReason) -> Outcome {
        let call = &self.calls[nonce as usize];
        let (justified, seen) = match why {
            CancelReason::Caller => (!call.open, "cancelled: caller"),
            CancelReason::Deadline => {
                // The remote counts whole milliseconds, rounded down.
                let due = call.deadline_at.is_some_and(|at| at <= self.now + 1_000);
                (due, "cancelled: deadline")
            }
            CancelReason::NoPing => (self.style.long_stalls, "cancelled: no ping"),
            CancelReason::Protocol(_) => {
                let more_input = call.plan.caller_capacity.input > call.plan.capacity.input;
                (more_input, "cancelled: protocol")
            }
            CancelReason::Overloaded => (self.style.tight(), "cancelled: overloaded"),
            CancelReason::Link => (
                self.nodes[node].conn.close_reason().is_some(),
                "cancelled: link",
            ),
            _ => (false, ""),
        };
        self.seen.saw(seen);
        if justified {
            Ok(())
        } else {
            Err(format!(
                "the handler of call {nonce} is stopped for no reason: {why:?}"
            ))
        }
    }

    /// What holds after everything that happens.
    pub(crate) fn check_tables(&self, node: usize) -> Outcome {
        let this = &self.nodes[node];
        let conn = &this.conn;
        let open = conn.open_requests() + conn.open_streams();
        let muxes = open + conn.serving_requests() + conn.serving_streams();
        if conn.timers() > muxes {
            return Err(format!(
                "node {node} has {} timers for {muxes} muxes",
                conn.timers()
            ));
        }
        if open != this.by_mux.len() {
            return Err(format!(
                "node {node} has {open} calls open, not {}",
                this.by_mux.len()
            ));
        }
        if conn.serving_streams() < this.by_stream.len() {
            return Err(format!(
                "node {node} has lost a stream: {:?}",
                this.by_stream
            ));
        }
        if conn.close_reason().is_some() && (conn.wants_transmit() || muxes > 0) {
            return Err(format!(
                "node {node} has something left after its end: {conn:?}"
            ));
        }
        Ok(())
    }

    /// No call outlives its deadline.
    pub(crate) fn check_deadlines(&mut self) -> Outcome {
        while let Some((at, nonce)) = self.deadlines.first().copied() {
            if self.calls[nonce as usize].open {
                if at < self.now {
                    return Err(format!("call {nonce} outlives its deadline"));
                }
                break;
            }
            self.deadlines.remove(&(at, nonce));
        }
        Ok(())
    }

    /// Nothing happens any more but what machines wait for: whether that is right.
    pub(crate) fn check_quiet(&self) -> Outcome {
        for call in &self.calls {
            let (nonce, plan) = (call.plan.nonce, &call.plan);
            let ends_soon = call.deadline_at.is_some_and(|at| at <= self.now + 5_000);
            let cut_off = call.cut_off == Some(CancelReason::Deadline);
            let by_deadline = plan.waits_for_deadline() && call.deadline_at.is_some();
            if call.open && !by_deadline && !ends_soon && !cut_off {
                return Err(format!(
                    "call {nonce} waits for nothing: sent {} of {}, received {} of {} (handler: {:?})",
                    call.sent, plan.items_in, call.received, call.handler_sent, call.handler
                ));
            }
            let waits = call.handler.as_ref().is_some_and(|handler| !handler.over);
            if waits && !call.open {
                return Err(format!(
                    "the handler of call {nonce} waits for ever: {:?}",
                    call.handler
                ));
            }
        }
        Ok(())
    }

    /// Nothing is left anywhere.
    pub(crate) fn check_empty(&self) -> Outcome {
        for (node, this) in self.nodes.iter().enumerate() {
            let conn = &this.conn;
            let left = [
                conn.open_requests(),
                conn.open_streams(),
                conn.serving_requests(),
                conn.serving_streams(),
                conn.timers(),
                conn.queued_bytes(),
                this.inbound.used(),
                this.queued.used(),
            ];
            if left != [0; 8] || !conn.is_idle() {
                return Err(format!(
                    "node {node} has something left (requests, streams, served requests, served streams, timers, queued bytes, inbound, queued on the node): {left:?}"
                ));
            }
            let counters = conn.counters();
            if counters.excess_credit > 0 || counters.duplicate_mux > 0 || counters.ignored > 0 {
                return Err(format!(
                    "node {node} has seen what no node sends: {counters:?}"
                ));
            }
        }
        Ok(())
    }
}
