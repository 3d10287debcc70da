//! Pings that arrive and their pongs, of the link and of streams (protocol section 8).

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::wire::{Flags, Message, Op, Ping, Pong, Text, Timestamp};

use super::{
    Connection, Dirty, Event, PingId, TimerKey, error::CallError, handler_recv::mismatch,
    incoming::UNPINGED, outgoing::Call,
};

/// Pings of a stream that follow each other within a second, or a quarter of the period where that is less, count as pings
/// of the link do, but for those that may have been held up together.
const OFTEN: Duration = Duration::from_secs(1);

impl Connection {
    /// Sends a ping of the link as soon as there is room, besides those that show the peer to be alive; its answer is
    /// reported by [`Event::Ponged`]. Asked again before one has left, it is the same ping.
    ///
    /// No more than 1,000 leave in a ping period, whoever asks: a peer takes many for a flood and ends the connection.
    /// One more is the next of those that are sent in any case. Once the connection has ended nothing is sent.
    ///
    /// ```
    /// use std::time::Instant;
    /// use grid_proto::{MuxId, conn::{Config, Connection}, wire::Op};
    ///
    /// let now = Instant::now();
    /// let mut connection = Connection::new(Config::default(), now);
    /// let ping = connection.ping();
    /// assert_eq!(connection.ping(), ping);
    /// let mut out = Vec::new();
    /// connection.poll_transmit(now, &mut out, 64 << 10);
    /// assert_eq!(out.len(), 1);
    /// assert_eq!((out[0].op, out[0].mux), (Op::Ping, MuxId::CONNECTION));
    /// assert!(connection.ping() > ping);
    /// ```
    pub fn ping(&mut self) -> PingId {
        let ping = self.keepalive.next_id();
        if self.closed.is_none() {
            self.asked_ping = Some(ping);
            if !self.link_ping_owed
                && let Some(left) = self.asked_left.checked_sub(1)
            {
                self.asked_left = left;
                self.link_ping_owed = true;
            }
        }
        ping
    }

    pub(super) fn on_link_pong(&mut self, now: Instant, message: &Message) {
        let time = Pong::decode(&message.payload).ok().map(|pong| pong.time);
        let time = time.filter(|time| !time.is_zero());
        for (ping, round_trip) in self.keepalive.pong(now, time) {
            // Without somebody who asked there is nothing to report.
            let Some(asked) = self.asked_ping else {
                continue;
            };
            self.events.push_back(Event::Ponged { ping, round_trip });
            if ping >= asked {
                self.asked_ping = None;
            }
        }
    }

    pub(super) fn on_link_ping(&mut self, message: &Message) {
        // Only the newest is answered: a flood of pings can't make us owe more than one pong, nor write any that is not sent.
        let ping = Message {
            payload: Bytes::new(),
            subroute: None,
            ..*message
        };
        self.link_pong_owed = Some((ping, time_of(message)));
        self.abuse("pings");
    }

    pub(super) fn on_stream_ping(&mut self, now: Instant, message: &Message) {
        let mux = message.mux.get();
        let Some(want) = self.incoming.get(&mux).map(|open| open.recv_seq) else {
            self.unknown_stream(mux, false);
            let pong = self.pong(message, true, None);
            return self.answer(pong);
        };
        if self.counted_incoming(message).is_none() {
            let pong = self.pong(message, false, Some(mismatch(want, message.seq)));
            return self.answer(pong);
        }
        let pong = self.pong(message, false, None);
        let period = self.config.stream_ping_interval;
        let Some(open) = self.incoming.get_mut(&mux) else {
            return;
        };
        let often = now < open.heard + (period / 4).min(OFTEN);
        let counts = often && open.early_pings == 0;
        if often {
            open.early_pings = open.early_pings.saturating_sub(1);
        } else if now >= open.heard + period / 2 {
            open.early_pings = self.config.early_pings();
        }
        open.heard = now;
        if open.ping_deadline.is_some() {
            open.ping_deadline = Some(now + period * UNPINGED);
            let due = open.due();
            self.timers
                .set(TimerKey::Incoming(mux), &mut open.timer, due);
        }
        open.pong_owed = Some(Box::new(pong));
        Self::owe(&mut self.dirty, &mut open.dirty, Dirty::Incoming(mux));
        if counts {
            self.abuse("pings");
        }
    }

    pub(super) fn on_stream_pong(&mut self, now: Instant, message: &Message) {
        let mux = message.mux.get();
        let stream = match self.calls.get_mut(&mux) {
            Some(Call::Stream(stream)) if stream.opened => stream,
            _ => return self.unknown_call(message),
        };
        stream.hear(now);
        // One that can't be read still shows that the remote knows of the ping.
        let pong = Pong::decode(&message.payload).unwrap_or_default();
        if pong.not_found || pong.error.is_some() {
            let text = pong.error.map(|text| text.detached());
            self.fail_call(mux, CallError::Terminated { text });
        }
    }

    /// The answer to a ping: the ping with another op and payload (protocol section 8).
    fn pong(&self, ping: &Message, not_found: bool, error: Option<Text>) -> Message {
        let pong = Pong {
            not_found,
            error,
            time: time_of(ping),
        };
        self.answer_with(ping, &pong)
    }

    pub(super) fn link_pong(&self, ping: &Message, time: Timestamp) -> Message {
        let pong = Pong {
            not_found: false,
            error: None,
            time,
        };
        self.answer_with(ping, &pong)
    }

    fn answer_with(&self, ping: &Message, pong: &Pong) -> Message {
        let mut payload = Vec::with_capacity(pong.encoded_len());
        pong.encode(&mut payload);
        Message {
            op: Op::Pong,
            flags: (ping.flags - Flags::SUBROUTE - Flags::PAYLOAD_IS_ZERO) | self.base_flags(),
            payload: payload.into(),
            subroute: None,
            ..*ping
        }
    }
}

fn time_of(ping: &Message) -> Timestamp {
    Ping::decode(&ping.payload).map_or(Timestamp::ZERO, |ping| ping.time)
}
