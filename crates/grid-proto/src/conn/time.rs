//! What the passing of time does: deadlines, pings, silence.

use std::time::{Duration, Instant};

use super::{
    Connection, Dirty, MOST_ASKED_PINGS, TimerKey,
    error::{CallError, CloseReason},
    event::CancelReason,
    keepalive::a_period_ago,
    outgoing::{Call, SILENT, SILENT_AT_MOST},
};

impl Connection {
    /// Does what is due by now; see [`poll_timeout`](Self::poll_timeout). Calling it early or late does no harm:
    /// one that is late by a whole ping period was asleep, and gives the peer time to be heard.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use grid_proto::{HandlerId, Payload, conn::{CallError, Config, Connection, Event, NewRequest}};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let mut hello = NewRequest::new(HandlerId::new(9), Payload::from("hello"));
    /// hello.deadline = Some(now + Duration::from_millis(20));
    /// connection.request(now, hello)?;
    /// let Some(due) = connection.poll_timeout() else { panic!("it has ended") };
    /// connection.handle_timeout(due);
    /// let Some(Event::Answered { outcome, .. }) = connection.poll_event() else { panic!("no end") };
    /// assert_eq!(outcome, Err(CallError::Deadline));
    /// # Ok::<(), grid_proto::conn::SubmitError>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed.is_some() {
            return;
        }
        self.clock = self.clock.max(now);
        let due = self.poll_timeout().unwrap_or(now);
        let slept = self
            .keepalive
            .slept(now, now.saturating_duration_since(due));
        if let Some(silence) = self.keepalive.silent(now) {
            return self.close(CloseReason::PeerSilent(silence));
        }
        if self.keepalive.take_ping(now) {
            self.link_ping_owed = true;
            self.asked_left = MOST_ASKED_PINGS;
            self.abuse = 0;
            self.holders.forget();
        }
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Call(mux) => self.call_due(now, slept, mux),
                TimerKey::Served(serial) => self.served_due(serial),
                TimerKey::Incoming(mux) => self.incoming_due(now, slept, mux),
            }
        }
    }

    fn call_due(&mut self, now: Instant, slept: bool, mux: u64) {
        let interval = self.config.stream_ping_interval;
        let stream = match self.calls.get_mut(&mux) {
            None => return,
            Some(Call::Request(request)) => {
                request.timer = None;
                return self.request_deadline(mux);
            }
            Some(Call::Stream(stream)) => stream,
        };
        stream.timer = None;
        if stream.deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail_call(mux, CallError::Deadline);
        }
        if !stream.opened {
            // The remote can't answer what has not left: a long queue is no sign of its death.
            stream.heard = now;
        } else if slept {
            stream.heard = stream.heard.max(a_period_ago(now, interval));
        }
        if let Some(next) = stream.next_ping {
            let silence = now.saturating_duration_since(stream.heard);
            if silence >= interval * SILENT_AT_MOST
                || silence >= interval * SILENT
                    && !self
                        .keepalive
                        .is_late(now, stream.pinged, self.link_ping_owed)
            {
                return self.fail_call(mux, CallError::NoPong);
            }
            if next <= now {
                stream.next_ping = Some(now + interval);
                stream.ping_owed = true;
                Self::owe(&mut self.dirty, &mut stream.dirty, Dirty::Call(mux));
            }
        }
        let due = stream.due(now, interval);
        self.timers.set(TimerKey::Call(mux), &mut stream.timer, due);
    }

    /// The remote knows the deadline too: nothing has to be sent.
    fn request_deadline(&mut self, mux: u64) {
        self.fail_call(mux, CallError::Deadline);
    }

    fn served_due(&mut self, serial: u64) {
        let Some(served) = self.served.get_mut(&serial) else {
            return;
        };
        served.timer = None;
        self.cancel_served(serial, CancelReason::Deadline);
    }

    fn incoming_due(&mut self, now: Instant, slept: bool, mux: u64) {
        let Some(open) = self.incoming.get_mut(&mux) else {
            return;
        };
        open.timer = None;
        let interval = self.config.stream_ping_interval;
        let again = now + interval;
        if slept && let Some(deadline) = &mut open.ping_deadline {
            *deadline = again.max(*deadline);
        }
        if let Some(deadline) = open.ping_deadline.as_mut().filter(|at| **at <= now) {
            // The ping that was due first takes the way of the link's pongs, and waits behind the same bulk data.
            let first_due = open.heard + interval;
            let at_most = open.heard + interval * SILENT_AT_MOST;
            if now < at_most
                && self
                    .keepalive
                    .is_late(now, Some(first_due), self.link_ping_owed)
            {
                *deadline = again.min(at_most);
            }
        }
        let why = if open.deadline.is_some_and(|deadline| deadline <= now) {
            CancelReason::Deadline
        } else if open.ping_deadline.is_some_and(|deadline| deadline <= now) {
            CancelReason::NoPing
        } else {
            let due = open.due();
            return self
                .timers
                .set(TimerKey::Incoming(mux), &mut open.timer, due);
        };
        self.cut_incoming(mux, why);
    }
}

/// The whole milliseconds that are left, rounded down, as they stand in a message.
pub(super) fn millis_left(deadline: Instant, now: Instant) -> u32 {
    let left: Duration = deadline.saturating_duration_since(now);
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}
