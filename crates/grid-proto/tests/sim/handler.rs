//! The application of a handler: answers, sends and reads items, returns, or goes on after it should have stopped.

use std::collections::VecDeque;

use grid_proto::{
    Payload, SubrouteId,
    conn::{
        CancelReason, Charge, InboundRequest, InboundStream, RespondError, Routes, SendError,
        ServeId, Ticket,
    },
    wire::{MuxRejection, Text},
};

use crate::{
    caller::{expect_item, take_unread},
    node::Registry,
    plan::{Answer, INPUT, OUTPUT, item, nonce_of},
    rng::mix,
    world::{Action, Handler, Outcome, Served, Wait, World},
};

impl World {
    pub(crate) fn on_request(&mut self, end: usize, request: InboundRequest) -> Outcome {
        self.seen.saw("event: request");
        let nonce = self.identify(end, &request.payload, request.subroute, false)?;
        self.ends[end].by_ticket.insert(request.ticket, nonce);
        self.serve(end, nonce, Served::Request(request.ticket), request.charge);
        Ok(())
    }

    pub(crate) fn on_opened(&mut self, end: usize, stream: InboundStream) -> Outcome {
        self.seen.saw("event: opened");
        if Registry.stream_is_urgent(stream.route) {
            self.seen.saw("event: opened, urgent");
        }
        let nonce = self.identify(end, &stream.payload, stream.subroute, true)?;
        if stream.capacity != self.call(nonce).plan.capacity {
            return Err(format!("call {nonce} is opened with {:?}", stream.capacity));
        }
        self.ends[end].by_stream.insert(stream.stream, nonce);
        self.serve(end, nonce, Served::Stream(stream.stream), stream.charge);
        Ok(())
    }

    /// Whose call it is, by what it carries; all of it has to be the call's.
    pub(crate) fn identify(
        &mut self,
        end: usize,
        payload: &Payload,
        subroute: Option<SubrouteId>,
        stream: bool,
    ) -> Outcome<u32> {
        let routed = subroute.map(|id| {
            let bytes = id.as_bytes();
            u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]])
        });
        let nonce = routed.or_else(|| nonce_of(payload.as_slice()));
        let call = nonce.and_then(|nonce| self.calls.get_mut(nonce as usize));
        let Some(call) = call else {
            return Err(format!("end {end} gets a call that nobody made"));
        };
        let plan = &call.plan;
        let same = *payload == plan.arrives() && subroute == plan.subroute_id();
        if !same || stream != plan.stream || plan.end != end ^ 1 || !call.started {
            return Err(format!(
                "call {} does not arrive as it was made",
                plan.nonce
            ));
        }
        if std::mem::replace(&mut call.served, true) {
            return Err(format!("call {} is served twice", plan.nonce));
        }
        Ok(plan.nonce)
    }

    fn serve(&mut self, end: usize, nonce: u32, id: Served, charge: Charge) {
        let (epoch, since) = (self.ends[end].epoch, self.now);
        let call = self.call(nonce);
        call.handler = Some(Handler {
            end,
            since,
            epoch,
            id,
            cancelled: None,
            over: false,
            got: 0,
            unread: VecDeque::new(),
            input_ended: false,
            wait: Wait::Nothing,
            step_armed: true,
            read_armed: false,
            late_tries: 0,
            initial: Some(charge),
        });
        let work = call.plan.work;
        self.arm(work, Action::HandlerSteps(nonce));
    }

    pub(crate) fn handler_steps(&mut self, nonce: u32) -> Outcome {
        let Some(handler) = &mut self.calls[nonce as usize].handler else {
            return Ok(());
        };
        handler.step_armed = false;
        handler.wait = Wait::Nothing;
        match handler.id {
            _ if handler.over => Ok(()),
            Served::Request(ticket) => self.answers(nonce, ticket),
            Served::Stream(stream) => self.serves(nonce, stream),
        }
    }

    fn answers(&mut self, nonce: u32, ticket: Ticket) -> Outcome {
        let call = &mut self.calls[nonce as usize];
        let Some(handler) = &mut call.handler else {
            return Ok(());
        };
        let end = &mut self.ends[handler.end];
        end.dirty = true;
        let wanted = handler.epoch == end.epoch && handler.cancelled.is_none();
        let plan = &call.plan;
        let mut answer = match plan.answer {
            Answer::Ok => Ok(plan.reply()),
            Answer::Error => Err(Text::from(plan.error_text())),
            Answer::Never | Answer::Refuse => {
                handler.stop();
                end.by_ticket.remove(&ticket);
                if plan.answer == Answer::Refuse {
                    end.conn.refuse(ticket, MuxRejection::Overloaded);
                } else {
                    end.conn.forget(ticket);
                }
                return Ok(());
            }
        };
        let good = answer.is_ok();
        let late = handler.epoch != end.epoch;
        match end.conn.try_respond(ticket, &mut answer, plan.urgent) {
            Ok(()) => {
                if wanted {
                    call.result = Some(good);
                }
            }
            Err(RespondError::QueueFull) => {
                handler.wait = Wait::Room;
                end.room.push_back((nonce, true));
                self.seen.saw("respond: queue full");
                return Ok(());
            }
            Err(RespondError::Gone) if !wanted => {
                self.seen.saw(if late {
                    "respond: late"
                } else {
                    "respond: gone"
                });
            }
            Err(error) => return Err(format!("call {nonce} can't be answered: {error}")),
        }
        handler.stop();
        end.by_ticket.remove(&ticket);
        Ok(())
    }

    /// Sends what may be sent, and returns when all is done.
    fn serves(&mut self, nonce: u32, stream: ServeId) -> Outcome {
        loop {
            let call = &mut self.calls[nonce as usize];
            let (plan, Some(handler)) = (&call.plan, &mut call.handler) else {
                return Ok(());
            };
            let end = &mut self.ends[handler.end];
            end.dirty = true;
            let wanted = handler.epoch == end.epoch && handler.cancelled.is_none();
            if call.handler_sent == plan.items_out && wanted {
                let reads = plan.reads_input && plan.capacity.input > 0;
                let more = reads && !(handler.input_ended && handler.unread.is_empty());
                if plan.hangs || more {
                    return Ok(());
                }
            }
            if call.handler_sent == plan.items_out || handler.late_tries > 6 {
                let outcome = if plan.fails {
                    Err(Text::from(plan.error_text()))
                } else {
                    Ok(())
                };
                if wanted {
                    call.result = Some(outcome.is_ok());
                }
                handler.stop();
                if end.by_stream.remove(&stream).is_some() {
                    end.returned.insert(stream, nonce);
                }
                end.conn.serve_finish(stream, outcome);
                return Ok(());
            }
            let payload = Payload::from(item(nonce, OUTPUT, call.handler_sent));
            match end.conn.serve_send(stream, payload) {
                Ok(()) => {
                    call.handler_sent += 1;
                    self.seen.saw("items out");
                    let gap = self.calls[nonce as usize].plan.gap_out;
                    if gap > 0 {
                        return self.step_after(nonce, gap);
                    }
                }
                Err(SendError::NoCredit) => {
                    handler.wait = Wait::Credit;
                    self.seen.saw("serve: no credit");
                    return Ok(());
                }
                Err(SendError::QueueFull) => {
                    handler.wait = Wait::Room;
                    end.room.push_back((nonce, true));
                    self.seen.saw("serve: queue full");
                    return Ok(());
                }
                // The event that says so is in the queue.
                Err(SendError::Ended) if wanted => return Ok(()),
                Err(SendError::Ended) => {
                    handler.late_tries += 1;
                    self.seen.saw("serve: late");
                    let tries = u64::from(handler.late_tries);
                    let pause = 20_000 + mix(self.seed, u64::from(nonce), tries) % 380_000;
                    return self.step_after(nonce, pause);
                }
                Err(error) => {
                    return Err(format!("the handler of call {nonce} can't send: {error}"));
                }
            }
        }
    }

    fn step_after(&mut self, nonce: u32, after: u64) -> Outcome {
        if let Some(handler) = &mut self.call(nonce).handler {
            handler.step_armed = true;
        }
        self.arm(after, Action::HandlerSteps(nonce));
        Ok(())
    }

    pub(crate) fn on_received(
        &mut self,
        end: usize,
        stream: ServeId,
        payload: Payload,
        charge: Charge,
    ) -> Outcome {
        self.seen.saw("event: received");
        let Some((nonce, handler)) = self.handler(end, stream, "Received")? else {
            return Ok(());
        };
        let index = handler.got;
        expect_item(nonce, INPUT, index, payload)?;
        handler.got += 1;
        handler.unread.push_back(charge);
        let armed = std::mem::replace(&mut handler.read_armed, true);
        let plan = &self.calls[nonce as usize].plan;
        if plan.reads_input && !armed {
            let after = plan.read_in;
            self.arm(after, Action::HandlerReads(nonce));
        }
        Ok(())
    }

    pub(crate) fn handler_reads(&mut self, nonce: u32) -> Outcome {
        let call = &mut self.calls[nonce as usize];
        let Some(handler) = call.handler.as_mut().filter(|handler| !handler.over) else {
            return Ok(());
        };
        let items = take_unread(&mut handler.unread, call.plan.gulp);
        handler.read_armed = !handler.unread.is_empty();
        if let Served::Stream(stream) = handler.id {
            let this = &mut self.ends[handler.end];
            this.dirty = true;
            this.conn.serve_consumed(stream, items);
        }
        if handler.read_armed {
            let after = call.plan.read_in;
            self.arm(after, Action::HandlerReads(nonce));
        } else if handler.input_ended && !handler.step_armed && handler.wait == Wait::Nothing {
            return self.handler_steps(nonce);
        }
        Ok(())
    }

    pub(crate) fn on_input_ended(&mut self, end: usize, stream: ServeId) -> Outcome {
        self.seen.saw("event: input ended");
        let Some((nonce, handler)) = self.handler(end, stream, "InputEnded")? else {
            return Ok(());
        };
        handler.input_ended = true;
        let (got, idle) = (
            handler.got,
            !handler.step_armed && handler.unread.is_empty(),
        );
        let idle = idle && handler.wait == Wait::Nothing;
        let call = self.call(nonce);
        if !call.finished || call.sent != got {
            return Err(format!(
                "call {nonce} ends its input after {got} of {} items",
                call.sent
            ));
        }
        if idle {
            self.handler_steps(nonce)
        } else {
            Ok(())
        }
    }

    pub(crate) fn on_serve_writable(&mut self, end: usize, stream: ServeId) -> Outcome {
        self.seen.saw("event: serve writable");
        match self.handler(end, stream, "ServeWritable")? {
            Some((nonce, handler)) if handler.wait == Wait::Credit => self.handler_steps(nonce),
            _ => Ok(()),
        }
    }

    pub(crate) fn on_cancelled(
        &mut self,
        end: usize,
        stream: ServeId,
        why: CancelReason,
    ) -> Outcome {
        let this = &mut self.ends[end];
        let open = this.by_stream.remove(&stream);
        let nonce = open.or_else(|| this.returned.remove(&stream));
        let nonce = nonce.ok_or_else(|| format!("end {end}: {stream:?} is cancelled twice"))?;
        self.check_cancel(end, nonce, &why)?;
        let linger = 1_000 + mix(self.seed, u64::from(nonce), 99) % 900_000;
        let call = self.call(nonce);
        call.cut_off = Some(why.clone());
        call.result = None;
        let Some(handler) = call.handler.as_mut().filter(|handler| !handler.over) else {
            return Ok(());
        };
        handler.cancelled = Some(why);
        if call.plan.detached {
            if !handler.step_armed {
                return self.step_after(nonce, linger);
            }
        } else {
            handler.stop();
        }
        Ok(())
    }

    pub(crate) fn on_request_cancelled(
        &mut self,
        end: usize,
        ticket: Ticket,
        why: CancelReason,
    ) -> Outcome {
        let nonce = self.ends[end].by_ticket.remove(&ticket);
        let nonce = nonce.ok_or_else(|| format!("end {end}: {ticket:?} is cancelled twice"))?;
        self.check_cancel(end, nonce, &why)?;
        let call = self.call(nonce);
        call.cut_off = Some(why.clone());
        if let Some(handler) = &mut call.handler {
            handler.cancelled = Some(why);
        }
        Ok(())
    }

    /// The handler that a machine speaks of; `None` where it has returned, which the machine may not know yet.
    fn handler(
        &mut self,
        end: usize,
        stream: ServeId,
        event: &str,
    ) -> Outcome<Option<(u32, &mut Handler)>> {
        let this = &self.ends[end];
        if this.returned.contains_key(&stream) {
            return Ok(None);
        }
        let Some(nonce) = this.by_stream.get(&stream).copied() else {
            return Err(format!(
                "end {end}: {event} for {stream:?}, which is not served"
            ));
        };
        let handler = self.calls[nonce as usize].handler.as_mut();
        Ok(handler
            .filter(|handler| !handler.over)
            .map(|handler| (nonce, handler)))
    }
}
