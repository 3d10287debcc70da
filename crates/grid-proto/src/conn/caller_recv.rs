//! What arrives for the caller's side of a mux.

use std::time::{Duration, Instant};

use crate::{
    MuxId,
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op, Text},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection,
    credit::credits_in,
    error::CallError,
    event::Event,
    items::present,
    outgoing::{Call, OutRequest, OutStream},
    unread::Unread,
};

impl Connection {
    pub(super) fn on_response(&mut self, message: Message) {
        let mux = message.mux.get();
        #[cfg(feature = "__faults")]
        let mux = if self.faulty(Fault::AnswerToNeighbour) && !self.calls.contains_key(&mux) {
            mux + 1
        } else {
            mux
        };
        let Some(Call::Request(OutRequest { sent: true, .. })) = self.calls.get(&mux) else {
            // The caller has gone, or it is an answer to somebody before us: normal after a reconnect.
            return self.late_for_us();
        };
        let outcome = if message.seq != 0 {
            Err(CallError::OutOfSequence {
                want: 0,
                got: message.seq,
            })
        } else if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            Err(CallError::Remote(Text::from(message.payload).detached()))
        } else {
            Ok(message.into_content())
        };
        self.remove_call(mux);
        self.events.push_back(Event::Answered {
            mux: MuxId::new(mux),
            outcome,
        });
    }

    pub(super) fn on_ack(&mut self, now: Instant, message: &Message) {
        let Some(stream) = self.counted(now, message) else {
            return;
        };
        let excess = if stream.acked {
            1
        } else {
            stream.acked = true;
            let capacity = stream.capacity.input;
            stream.credits.add(capacity)
        };
        let writable = stream.capacity.input > 0;
        self.counters.exceeded(excess);
        if writable && excess == 0 {
            self.events.push_back(Event::Writable { mux: message.mux });
        }
    }

    pub(super) fn on_unblock_client(&mut self, now: Instant, message: &Message) {
        #[cfg(feature = "__faults")]
        let missed = self.faulty(Fault::MissedWake);
        let count = credits_in(message);
        let Some(stream) = self.counted(now, message) else {
            return;
        };
        // Credit before the ack is credit for nothing: the ack brings all that there is.
        let excess = if stream.acked {
            stream.credits.add(count)
        } else {
            count
        };
        self.counters.exceeded(excess);
        #[cfg(feature = "__faults")]
        if missed {
            return;
        }
        if excess < count {
            self.events.push_back(Event::Writable { mux: message.mux });
        }
    }

    pub(super) fn on_server_msg(&mut self, now: Instant, message: Message) {
        let mux = message.mux.get();
        let eof = message.flags.contains(Flags::EOF);
        // Looked up once where all is well: this is what the items of a stream come by.
        let stream = match self.calls.get_mut(&mux) {
            Some(Call::Stream(stream)) if stream.opened => stream,
            _ => return self.unknown_call(&message),
        };
        if let Err(error) = stream.count(now, &message) {
            return self.fail_call(mux, error);
        }
        if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            let error = CallError::Remote(Text::from(message.payload).detached());
            if eof {
                self.end_call(mux, Err(error));
            } else {
                // It doesn't say that it is over: the remote is told to stop.
                self.fail_call(mux, error);
            }
            return;
        }
        let content = message.into_content();
        if !(eof && content.is_absent()) {
            let capacity = stream.capacity.output;
            if stream.unconsumed >= capacity {
                self.fail_call(mux, CallError::CapacityMismatch { capacity });
                return;
            }
            stream.unconsumed += 1;
            let payload = present(content);
            let cost = Unread::cost(payload.len());
            #[cfg(feature = "__faults")]
            if self.config.fault == Some(Fault::ItemDropped)
                && (capacity > 1 && stream.unconsumed == capacity && !eof)
            {
                return;
            }
            let stream = if self.config.inbound.admits(cost, self.shed_bytes) {
                Some(stream)
            } else {
                self.shed((mux, true, cost));
                // Which may have ended this one.
                match self.calls.get_mut(&mux) {
                    Some(Call::Stream(stream)) => Some(stream),
                    _ => None,
                }
            };
            if let Some(stream) = stream {
                #[cfg(feature = "__faults")]
                if self.config.fault == Some(Fault::ItemTwice) && payload.len() % 16 == 7 {
                    let charge = self.config.inbound.charge_over(cost);
                    self.events.push_back(Event::Item {
                        mux: MuxId::new(mux),
                        payload: payload.clone(),
                        charge,
                    });
                }
                let charge = stream.unread.charge(&self.config.inbound, cost);
                self.holders.grew((stream.unread.held(), mux, true));
                self.events.push_back(Event::Item {
                    mux: MuxId::new(mux),
                    payload,
                    charge,
                });
            }
        }
        if eof {
            self.end_call(mux, Ok(()));
        }
    }

    /// The remote ended a stream of ours: nothing is left to tell it.
    fn end_call(&mut self, mux: u64, outcome: Result<(), CallError>) {
        if self.remove_call(mux).is_some() {
            self.events.push_back(Event::Ended {
                mux: MuxId::new(mux),
                outcome,
            });
        }
    }

    pub(super) fn on_disconnect_client(&mut self, now: Instant, message: Message) {
        let mux = message.mux.get();
        let Some(call) = self.calls.get(&mux).filter(|call| call.has_left()) else {
            return self.late_for_us();
        };
        let error = if message.flags.contains(Flags::PAYLOAD_IS_ERR) {
            CallError::Remote(Text::from(message.payload).detached())
        } else {
            let deadline = match call {
                Call::Request(request) => Some(request.deadline),
                Call::Stream(stream) => stream.deadline,
            };
            // The handler's clock may be the first to tell: a MinIO node says no more than this when it does.
            let near = (self.round_trip().unwrap_or_default() * 2).max(Duration::from_millis(5));
            if deadline.is_some_and(|deadline| deadline.saturating_duration_since(now) <= near) {
                CallError::Deadline
            } else {
                CallError::RemoteDisconnected
            }
        };
        self.fail_call(mux, error);
    }

    pub(super) fn on_mux_connect_error(&mut self, message: &Message) {
        let call = self.calls.get(&message.mux.get());
        if call.is_some_and(Call::has_left) {
            let rejection = match MuxConnectError::decode(&message.payload) {
                Ok(refused) => MuxRejection::from_text(refused.error.as_bytes()),
                Err(_) => MuxRejection::Other(Text::from("the reason could not be read")),
            };
            self.fail_call(message.mux.get(), CallError::Rejected(rejection));
        } else {
            self.late_for_us();
        }
    }

    /// The stream of ours that a counted message is for, with its sequence number checked.
    fn counted(&mut self, now: Instant, message: &Message) -> Option<&mut OutStream> {
        let mux = message.mux.get();
        // Looked up twice, because a stream that is returned can't be failed in the same breath.
        match self.calls.get_mut(&mux) {
            Some(Call::Stream(stream)) if stream.opened => {
                if let Err(error) = stream.count(now, message) {
                    self.fail_call(mux, error);
                    return None;
                }
            }
            _ => {
                self.unknown_call(message);
                return None;
            }
        }
        match self.calls.get_mut(&mux) {
            Some(Call::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    /// A message for a call that is not open. A remote that still works for one that was never ours is told to stop,
    /// once; for one of ours it has been told already.
    pub(super) fn unknown_call(&mut self, message: &Message) {
        self.late_for_us();
        let mux = message.mux.get();
        if (self.first_mux..self.next_mux).contains(&mux) {
            return;
        }
        let wants_answer = matches!(message.op, Op::MuxServerMsg | Op::AckMux | Op::Pong);
        if wants_answer && !message.flags.contains(Flags::EOF) && self.answered_calls.is_first(mux)
        {
            let stop = self.message(Op::DisconnectServerMux, mux);
            self.answer(stop);
        }
    }

    /// A message for a call of ours that is not open, as it may come when the call has just ended.
    fn late_for_us(&mut self) {
        self.counters.unknown_mux += 1;
        if !self.late_calls.take() {
            self.stray("messages for calls that are not open");
        }
    }
}
