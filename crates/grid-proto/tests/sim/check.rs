//! The promises: what may happen to a call, and what must be left in the end.

use grid_proto::{
    MuxId, Payload,
    conn::{CallError, CancelReason, Event},
    wire::{Message, MuxRejection, stream_text},
};

use crate::{
    node::Kind,
    plan::{Answer, Target, describe},
    world::{Outcome, World},
};

impl World {
    pub(crate) fn on_event(&mut self, end: usize, event: Event) -> Outcome {
        match event {
            Event::Answered { mux, outcome, .. } => self.on_answered(end, mux, outcome),
            Event::Item {
                mux,
                payload,
                charge,
            } => self.on_item(end, mux, payload, charge),
            Event::Writable { mux } => self.on_writable(end, mux),
            Event::Ended { mux, outcome } => self.on_ended(end, mux, outcome),
            Event::Request(request) => self.on_request(end, request),
            Event::RequestCancelled { ticket, why } => self.on_request_cancelled(end, ticket, why),
            Event::Opened(stream) => self.on_opened(end, stream),
            Event::Received {
                stream,
                payload,
                charge,
            } => self.on_received(end, stream, payload, charge),
            Event::InputEnded { stream } => self.on_input_ended(end, stream),
            Event::ServeWritable { stream } => self.on_serve_writable(end, stream),
            Event::Cancelled { stream, why } => self.on_cancelled(end, stream, why),
            Event::Unsent(_) => {
                self.seen.saw("unsent");
                Ok(())
            }
            Event::Ponged { ping, .. } => {
                self.seen.saw("ponged");
                let asked = &mut self.ends[end].pings;
                let Some(_) = asked.iter().position(|asked| *asked >= ping) else {
                    return Err(format!(
                        "end {end}: an answer to {ping:?}, which nobody sent"
                    ));
                };
                asked.retain(|asked| *asked > ping);
                Ok(())
            }
            other => Err(format!("an event that nobody knows: {other:?}")),
        }
    }

    pub(crate) fn on_answered(
        &mut self,
        end: usize,
        mux: MuxId,
        outcome: Result<Payload, CallError>,
    ) -> Outcome {
        let nonce = self.ends(end, mux)?;
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
            Err(error) => self.check_error(end, nonce, &error),
        }
    }

    pub(crate) fn on_ended(
        &mut self,
        end: usize,
        mux: MuxId,
        outcome: Result<(), CallError>,
    ) -> Outcome {
        let nonce = self.ends(end, mux)?;
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
            Err(error) => self.check_error(end, nonce, &error),
        }
    }

    pub(crate) fn ends(&mut self, end: usize, mux: MuxId) -> Outcome<u32> {
        let nonce = self.open_call(end, mux, "an end")?;
        self.ends[end].by_mux.remove(&mux.get());
        self.call(nonce).open = false;
        Ok(nonce)
    }

    /// An error is no excuse by itself: something must have happened that it tells of.
    fn check_error(&mut self, end: usize, nonce: u32, error: &CallError) -> Outcome {
        let call = &self.calls[nonce as usize];
        let (plan, style) = (&call.plan, &self.style);
        let other = &self.ends[end ^ 1];
        let reference = other.reference.is_some() || self.ends[end].reference.is_some();
        let drained = other.drained == call.socket;
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
                MuxRejection::ShuttingDown => (drained, "rejected: shutting down"),
                _ => (false, ""),
            },
            CallError::Closed => (
                self.ends[end].conn.close_reason().is_some(),
                "error: closed",
            ),
            CallError::Deadline => {
                // What the remote's clock may be ahead, when it is the first to tell.
                let near = self.ends[end].conn.round_trip().unwrap_or_default() * 2;
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
            CallError::NoPong => (self.troubled(end), "error: no pong"),
            CallError::RemoteDisconnected => (
                matches!(call.cut_off, Some(CancelReason::NoPing))
                    || (reference && call.cut_off.is_some()),
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
    pub(crate) fn check_cancel(&mut self, end: usize, nonce: u32, why: &CancelReason) -> Outcome {
        let call = &self.calls[nonce as usize];
        let (justified, seen) = match why {
            CancelReason::Caller => (!call.open, "cancelled: caller"),
            CancelReason::Deadline => {
                // The remote counts whole milliseconds, rounded down.
                let due = call.deadline_at.is_some_and(|at| at <= self.now + 1_000);
                (due, "cancelled: deadline")
            }
            CancelReason::NoPing => (
                self.troubled(end) || self.peer(end).kind == Kind::Reference,
                "cancelled: no ping",
            ),
            CancelReason::Protocol(_) => {
                let more_input = call.plan.caller_capacity.input > call.plan.capacity.input;
                (more_input, "cancelled: protocol")
            }
            CancelReason::Overloaded => (self.style.tight(), "cancelled: overloaded"),
            CancelReason::Link => (
                self.ends[end].conn.close_reason().is_some(),
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
}

/// A batch says how many bytes it has, and has about as many as were asked for.
pub(crate) fn check_batch(end: usize, out: &[Message], bytes: usize, most: usize) -> Outcome {
    let sum: usize = out.iter().map(|message| message.encoded_len()).sum();
    if bytes != sum {
        return Err(format!("end {end} says {bytes} bytes of {sum}"));
    }
    let last = out.last().map_or(0, |last| last.encoded_len());
    if out.len() > 1 && bytes - last > most + 200 {
        return Err(format!(
            "end {end} gives {bytes} bytes where {most} were asked for"
        ));
    }
    Ok(())
}
