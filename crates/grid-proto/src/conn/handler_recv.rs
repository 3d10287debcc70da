//! What arrives for the handler's side of a mux.

use std::time::{Duration, Instant};

use crate::{
    MuxId,
    wire::{Flags, Message, MuxRejection, Text, stream_text},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, Dirty, TimerKey,
    credit::{Credits, credits_in},
    event::{CancelReason, Event, InboundRequest, InboundStream, Routes, ServeId, Ticket},
    incoming::{Ending, Head, Incoming, Served, UNPINGED},
    unread::Unread,
};

impl Connection {
    pub(super) fn on_request(&mut self, now: Instant, message: Message, routes: &dyn Routes) {
        // Its cancel may come at any time, and means nothing where requests aren't cancelled.
        self.late_incoming.allow(1);
        let route = self
            .may_serve(self.served.len() < self.config.max_requests)
            .and_then(|()| {
                let route = routes.single(message.handler, message.subroute.as_ref())?;
                if self.config.inbound.admits(message.payload.len(), 0) {
                    Ok(route)
                } else {
                    Err(MuxRejection::Overloaded)
                }
            });
        let route = match route {
            Ok(route) => route,
            Err(rejection) => return self.reject(&Head::of(&message), &rejection),
        };
        let serial = self.take_serial();
        let ticket = Ticket {
            mux: message.mux,
            seq: message.seq,
            serial,
        };
        let deadline = inbound_deadline(now, message.deadline_ms);
        let mut served = Served {
            head: Head::of(&message),
            cancelled: false,
            timer: None,
        };
        self.timers
            .set(TimerKey::Served(serial), &mut served.timer, deadline);
        self.served.insert(serial, served);
        if self.config.peer_cancels_requests {
            self.served_by_mux.insert(message.mux.get(), serial);
        }
        let charge = self.config.inbound.charge_over(message.payload.len());
        self.events.push_back(Event::Request(InboundRequest {
            ticket,
            route,
            handler: message.handler,
            subroute: message.subroute,
            deadline,
            payload: message.into_content(),
            charge,
        }));
    }

    pub(super) fn on_connect_mux(&mut self, now: Instant, message: Message, routes: &dyn Routes) {
        let mux = message.mux.get();
        if self.incoming.contains_key(&mux) {
            // Answering would end the one that is open.
            self.counters.duplicate_mux += 1;
            return self.abuse("streams that are open already");
        }
        self.late_incoming.allow(LATE);
        let route = if message.flags.contains(Flags::STATELESS) {
            Err(MuxRejection::Stateless)
        } else {
            self.may_serve(self.incoming.len() < self.config.max_streams)
                .and_then(|()| {
                    let route = routes.stream(message.handler, message.subroute.as_ref())?;
                    if self.config.inbound.admits(message.payload.len(), 0) {
                        Ok(route)
                    } else {
                        Err(MuxRejection::Overloaded)
                    }
                })
        };
        let (route, capacity) = match route {
            Ok(route) => route,
            Err(rejection) => return self.reject(&Head::of(&message), &rejection),
        };
        let (input, output) = (u64::from(capacity.input), u64::from(capacity.output));
        self.late_incoming.allow(input + output);
        if !self.config.peer_cancels_requests {
            // A MinIO node that has given it up answers each item, the ack and a pong as if the call were ours (annex 44).
            self.late_calls.allow(output + 2);
        }
        let serial = self.take_serial();
        let deadline = inbound_deadline(now, message.deadline_ms);
        // A caller that defines the stream without input never ends it otherwise, and its handler would wait for ever.
        let input_ended = capacity.input > 0 && message.flags.contains(Flags::EOF);
        // A caller pings streams that may live longer than a minute; four periods without one mean that it has gone.
        let pinged = message.deadline_ms == 0 || message.deadline_ms > 60_000;
        let mut open = Incoming {
            head: Head::of(&message),
            serial,
            capacity,
            urgent: routes.stream_is_urgent(route),
            deadline,
            send_seq: message.seq,
            recv_seq: message.seq.wrapping_add(1),
            credits: Credits::new(capacity.output, capacity.output),
            input_ended,
            unconsumed: 0,
            unread: Unread::default(),
            ack_owed: true,
            unblock_owed: 0,
            pong_owed: None,
            dirty: false,
            ending: Ending::Open,
            heard: now,
            early_pings: self.config.early_pings(),
            ping_deadline: pinged.then(|| now + self.config.stream_ping_interval * UNPINGED),
            timer: None,
        };
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::AckForgotten) && serial % 8 == 3 {
            open.ack_owed = false;
        }
        let due = open.due();
        self.timers
            .set(TimerKey::Incoming(mux), &mut open.timer, due);
        Self::owe(&mut self.dirty, &mut open.dirty, Dirty::Incoming(mux));
        self.answered_streams.forget(mux);
        self.incoming.insert(mux, Box::new(open));
        let charge = self.config.inbound.charge_over(message.payload.len());
        let stream = ServeId {
            mux: message.mux,
            serial,
        };
        self.events.push_back(Event::Opened(InboundStream {
            stream,
            route,
            handler: message.handler,
            subroute: message.subroute,
            deadline,
            payload: message.into_content(),
            capacity,
            charge,
        }));
        if input_ended {
            self.events.push_back(Event::InputEnded { stream });
        }
    }

    pub(super) fn on_client_msg(&mut self, message: Message) {
        let mux = message.mux.get();
        // Looked up once where all is well: this is what the items of a stream come by.
        let Some(open) = self.incoming.get_mut(&mux) else {
            return self.unknown_stream(mux, true);
        };
        let want = open.recv_seq;
        if message.seq != want {
            return self.break_off(mux, mismatch(want, message.seq));
        }
        open.recv_seq = want.wrapping_add(1);
        let stream = ServeId {
            mux: message.mux,
            serial: open.serial,
        };
        let gone = !open.ending.is_open();
        if open.capacity.input == 0 || open.input_ended {
            return self.break_off(mux, Text::from(stream_text::UNEXPECTED_INPUT));
        }
        if message.flags.contains(Flags::EOF) {
            // A payload beside it is dropped, as every node does.
            open.input_ended = true;
            if !gone {
                self.events.push_back(Event::InputEnded { stream });
            }
            return;
        }
        if gone {
            // The handler has returned: there is nobody to read it, and no credit for it either.
            return;
        }
        if open.unconsumed >= open.capacity.input {
            return self.break_off(mux, Text::from(stream_text::HANDLER_BLOCKED));
        }
        let payload = super::items::present(message.into_content());
        let cost = Unread::cost(payload.len());
        open.unconsumed += 1;
        let open = if self.config.inbound.admits(cost, self.shed_bytes) {
            open
        } else {
            self.shed((mux, false, cost));
            // Which may have ended this one.
            match self.incoming.get_mut(&mux) {
                Some(open) => open,
                None => return,
            }
        };
        let charge = open.unread.charge(&self.config.inbound, cost);
        self.holders.grew((open.unread.held(), mux, false));
        self.events.push_back(Event::Received {
            stream,
            payload,
            charge,
        });
    }

    pub(super) fn on_unblock_server(&mut self, message: &Message) {
        if !self.incoming.contains_key(&message.mux.get()) {
            return self.unknown_stream(message.mux.get(), false);
        }
        let count = credits_in(message);
        let Some(open) = self.counted_incoming(message) else {
            return;
        };
        let stream = ServeId {
            mux: message.mux,
            serial: open.serial,
        };
        let excess = open.credits.add(count);
        let writable = open.ending.is_open() && excess < count;
        let end = match &open.ending {
            Ending::Held(..) if open.credits.take() => {
                Some(std::mem::replace(&mut open.ending, Ending::Queued))
            }
            _ => None,
        };
        self.counters.exceeded(excess);
        if let Some(Ending::Held(end)) = end {
            self.queue_end(stream, end);
        } else if writable {
            self.events.push_back(Event::ServeWritable { stream });
        }
    }

    pub(super) fn on_disconnect_server(&mut self, message: &Message) {
        let mux = message.mux.get();
        if self.incoming.contains_key(&mux) {
            self.cut_incoming(mux, CancelReason::Caller);
        } else if let Some(serial) = self.served_by_mux.remove(&mux) {
            self.cancel_served(serial, CancelReason::Caller);
        } else {
            self.late_for_peer("cancels of calls that are not open");
        }
    }

    /// Nobody waits for an answer any more; the handler's work still counts against the limit.
    pub(super) fn cancel_served(&mut self, serial: u64, why: CancelReason) {
        if let Some(served) = self.served.get_mut(&serial)
            && !served.cancelled
        {
            served.cancelled = true;
            let ticket = served.ticket(serial);
            self.timers
                .clear(TimerKey::Served(serial), served.timer.take());
            self.events
                .push_back(Event::RequestCancelled { ticket, why });
        }
    }

    /// Checks the sequence number of a message for a stream that is being served.
    pub(super) fn counted_incoming(&mut self, message: &Message) -> Option<&mut Incoming> {
        let mux = message.mux.get();
        let want = self.incoming.get(&mux)?.recv_seq;
        if message.seq != want {
            self.break_off(mux, mismatch(want, message.seq));
            return None;
        }
        let open = self.incoming.get_mut(&mux)?;
        open.recv_seq = want.wrapping_add(1);
        Some(open)
    }

    /// The caller broke the rules of a stream: it ends with the reason, and the handler stops.
    fn break_off(&mut self, mux: u64, text: Text) {
        let Some(open) = self.incoming.get_mut(&mux) else {
            return;
        };
        let stream = ServeId {
            mux: MuxId::new(mux),
            serial: open.serial,
        };
        if open.ending.is_open() && open.credits.take() {
            open.ending = Ending::Queued;
            self.events.push_back(Event::Cancelled {
                stream,
                why: CancelReason::Protocol(text.clone()),
            });
            self.queue_end(stream, Err(text));
        } else if !matches!(open.ending, Ending::Queued) {
            // No credit for a last message: a MinIO caller would take one without for a clean end.
            self.cut_incoming(mux, CancelReason::Protocol(text));
        }
    }

    fn may_serve(&self, below_limit: bool) -> Result<(), MuxRejection> {
        if self.draining {
            Err(MuxRejection::ShuttingDown)
        } else if below_limit {
            Ok(())
        } else {
            Err(MuxRejection::Overloaded)
        }
    }

    /// A message for a stream that is not open. The caller of one that it still sends items on is told, once.
    pub(super) fn unknown_stream(&mut self, mux: u64, wants_answer: bool) {
        self.late_for_peer("messages for streams that are not open");
        if wants_answer && self.answered_streams.is_first(mux) {
            let disconnect = self.disconnect_client(mux, None);
            self.answer(disconnect);
        }
    }

    /// A message for a call of the peer's that is not open, as it may come when the call has just ended.
    fn late_for_peer(&mut self, what: &'static str) {
        self.counters.unknown_mux += 1;
        if !self.late_incoming.take() {
            self.stray(what);
        }
    }

    fn take_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = next_serial(serial);
        serial
    }
}

/// What a call of the peer's may send after it is over but for items and credits: its last item, a ping and a cancel.
const LATE: u64 = 3;

/// Where a serial ends and the generation above it begins: a connection that lives long must not come to the serials of
/// the one after it.
const SERIAL_BITS: u32 = 40;

/// The first serial of a connection.
pub(super) fn first_serial(generation: u32) -> u64 {
    u64::from(generation) << SERIAL_BITS
}

fn next_serial(serial: u64) -> u64 {
    let own = (1 << SERIAL_BITS) - 1;
    (serial & !own) | (serial.wrapping_add(1) & own)
}

/// The text by which the reference tells a wrong sequence number.
pub(super) fn mismatch(want: u32, got: u32) -> Text {
    Text::from(stream_text::sequence_mismatch(want, got))
}

fn inbound_deadline(now: Instant, millis: u32) -> Option<Instant> {
    (millis > 0).then(|| now + Duration::from_millis(u64::from(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_stay_in_their_generation() {
        let first = first_serial(7);
        assert_eq!(next_serial(first), first + 1);
        let last = first_serial(8) - 1;
        assert_eq!(next_serial(last - 1), last);
        assert_eq!(next_serial(last), first);
    }
}
