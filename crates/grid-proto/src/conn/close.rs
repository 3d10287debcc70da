//! How a connection ends.

use crate::MuxId;

use super::{
    Connection,
    caller_end::unsent,
    error::{CallError, CloseReason},
    event::{CancelReason, Event, ServeId},
    handler_end::unsent_end,
    incoming::{Ending, Served},
    outgoing::Call,
};

impl Connection {
    /// Ends the connection: every call of ours fails, every handler is told to stop, nothing more is sent.
    ///
    /// The first reason counts.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{HandlerId, Payload, conn::{CallError, CloseReason, Config, Connection, Event, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// connection.request(now, NewRequest::new(HandlerId::new(9), Payload::from("hello")))?;
    /// connection.close(CloseReason::ShuttingDown);
    /// connection.close(CloseReason::Local);
    /// assert_eq!(connection.close_reason(), Some(&CloseReason::ShuttingDown));
    /// let Some(Event::Answered { outcome, .. }) = connection.poll_event() else { panic!("no end") };
    /// assert_eq!(outcome, Err(CallError::Closed));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn close(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        let mut calls: Vec<(u64, Call)> = self.calls.drain().collect();
        calls.sort_unstable_by_key(|(mux, _)| *mux);
        for (mux, call) in calls {
            self.events
                .push_back(self.call_event(mux, &call, CallError::Closed));
        }
        let mut incoming: Vec<(u64, u64)> = Vec::new();
        for (mux, stream) in self.incoming.drain() {
            match stream.ending {
                Ending::Open => incoming.push((mux, stream.serial)),
                Ending::Held(end) => unsent_end(&mut self.events, end),
                Ending::Queued => {}
            }
        }
        incoming.sort_unstable();
        for (mux, serial) in incoming {
            let stream = ServeId {
                mux: MuxId::new(mux),
                serial,
            };
            self.events.push_back(Event::Cancelled {
                stream,
                why: CancelReason::Link,
            });
        }
        let mut served: Vec<(u64, Served)> = self
            .served
            .drain()
            .filter(|(_, served)| !served.cancelled)
            .collect();
        served.sort_unstable_by_key(|(serial, _)| *serial);
        for (serial, served) in served {
            self.events.push_back(Event::RequestCancelled {
                ticket: served.ticket(serial),
                why: CancelReason::Link,
            });
        }
        self.open_requests = 0;
        self.served_by_mux.clear();
        self.timers.drop_all();
        for message in self.queue.drain() {
            unsent(&mut self.events, message);
        }
        self.control.clear();
        self.control_bytes = 0;
        self.link_ping_owed = false;
        self.link_pong_owed = None;
        self.dirty.clear();
    }
}
