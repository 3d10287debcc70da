//! How calls end at their caller before their answer is there: given up, or failed (protocol sections 6 and 7).

use std::collections::VecDeque;

use crate::{
    MuxId,
    wire::{Message, Op},
};

#[cfg(feature = "__faults")]
use super::Fault;
use super::{
    Connection, TimerKey,
    error::CallError,
    event::Event,
    lanes::Lane,
    outgoing::{Call, OutStream},
    table::release,
};

impl Connection {
    /// Gives up a call of ours: its mux is free at once, no event follows, and the remote is told where it listens.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{Config, Connection, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let mux = connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// connection.cancel(mux);
    /// assert_eq!(connection.open_requests(), 0);
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn cancel(&mut self, mux: MuxId) {
        let Some(call) = self.remove_call(mux.get()) else {
            return;
        };
        match call {
            Call::Request(request) => {
                if request.sent && self.config.peer_cancels_requests {
                    self.tell_cancel(mux.get());
                }
            }
            Call::Stream(stream) => self.cancel_remote(mux.get(), &stream),
        }
    }

    /// Ends a call of ours with an error, and tells the remote if it is a stream that it knows of.
    pub(super) fn fail_call(&mut self, mux: u64, error: CallError) {
        let Some(call) = self.remove_call(mux) else {
            return;
        };
        let event = self.call_event(mux, &call, error);
        self.events.push_back(event);
        if let Call::Stream(stream) = call {
            self.cancel_remote(mux, &stream);
        }
    }

    pub(super) fn remove_call(&mut self, mux: u64) -> Option<Call> {
        let call = self.calls.remove(&mux)?;
        release(&mut self.calls);
        match call {
            Call::Request(_) => self.open_requests -= 1,
            Call::Stream(_) => self.let_go(Lane::Caller(MuxId::new(mux))),
        }
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::TimerLeaks) {
            return Some(call);
        }
        self.timers.clear(TimerKey::Call(mux), call.timer());
        Some(call)
    }

    /// The event by which a call ends.
    pub(super) fn call_event(&self, mux: u64, call: &Call, error: CallError) -> Event {
        let mux = MuxId::new(mux);
        match call {
            Call::Request(_) => Event::Answered {
                mux,
                outcome: Err(error),
            },
            Call::Stream(_) => {
                #[cfg(feature = "__faults")]
                if error == CallError::Closed && self.faulty(Fault::CleanEndOnClose) {
                    return Event::Ended {
                        mux,
                        outcome: Ok(()),
                    };
                }
                Event::Ended {
                    mux,
                    outcome: Err(error),
                }
            }
        }
    }

    fn cancel_remote(&mut self, mux: u64, stream: &OutStream) {
        #[cfg(feature = "__faults")]
        if self.faulty(Fault::CancelNotSent) {
            return;
        }
        // A ConnectMux that has not left is dropped when its turn comes; the remote never hears of the stream.
        if stream.opened {
            self.tell_cancel(mux);
        }
    }

    /// At most one a call, and only for calls that have left for the socket: it needs no bound of its own.
    fn tell_cancel(&mut self, mux: u64) {
        let message = self.message(Op::DisconnectServerMux, mux);
        self.control.push_back((message, 0));
    }
}

/// Hands out the payload of a message that is not sent.
pub(super) fn unsent(events: &mut VecDeque<Event>, message: Message) {
    if !message.payload.is_empty() {
        events.push_back(Event::Unsent(message.payload));
    }
}
