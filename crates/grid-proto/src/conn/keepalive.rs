//! Whether the link is alive (protocol section 8).

use std::time::{Duration, Instant};

/// When the next ping of the link is due, and since when nothing was heard.
#[derive(Debug)]
pub(super) struct Keepalive {
    period: Duration,
    next_ping: Instant,
    heard: Instant,
    /// The silence has been excused by a sleep of ours; once, or a process that is always late would never find a
    /// dead peer.
    excused: bool,
    ping_sent: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Keepalive {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        Self {
            period,
            next_ping: now + period,
            heard: now,
            excused: false,
            ping_sent: None,
            round_trip: None,
        }
    }

    /// Any byte at all: a peer that is busy but sends is not dead.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.excused = false;
    }

    /// Whether a timer that ran late by this much tells that the process stood still for a period. What the peer sent
    /// meanwhile is still to be read then, so it gets another period before its silence counts.
    pub(super) fn slept(&mut self, now: Instant, late: Duration) -> bool {
        let slept = late >= self.period;
        if slept && !self.excused {
            self.excused = true;
            self.heard = self.heard.max(a_period_ago(now, self.period));
        }
        slept
    }

    /// A pong of the link arrived.
    pub(super) fn pong(&mut self, now: Instant) {
        if let Some(sent) = self.ping_sent.take() {
            self.round_trip = Some(now.saturating_duration_since(sent));
        }
    }

    /// Whether a ping has to go out now; the next is due a period later.
    pub(super) fn take_ping(&mut self, now: Instant) -> bool {
        if now < self.next_ping {
            return false;
        }
        self.next_ping += self.period;
        if self.next_ping <= now {
            // The process slept; a burst of pings would tell nothing more than one.
            self.next_ping = now + self.period;
        }
        true
    }

    /// The ping left for the socket.
    pub(super) fn ping_left(&mut self, now: Instant) {
        self.ping_sent = Some(now);
    }

    /// For how long nothing was heard, when that is too long.
    pub(super) fn silent(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.heard);
        (silence >= self.period * 2).then_some(silence)
    }

    pub(super) fn next(&self) -> Instant {
        self.next_ping.min(self.heard + self.period * 2)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

pub(super) fn a_period_ago(now: Instant, period: Duration) -> Instant {
    now.checked_sub(period).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_after_two_periods_without_a_byte() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut keepalive = Keepalive::new(Duration::from_secs(10), start);
        assert_eq!(keepalive.next(), at(10));
        assert!(
            !keepalive.take_ping(at(9))
                && keepalive.take_ping(at(10))
                && !keepalive.take_ping(at(11))
        );
        keepalive.heard(at(12));
        assert_eq!(keepalive.next(), at(20));
        assert!(keepalive.take_ping(at(20)));
        assert_eq!(
            (keepalive.silent(at(31)), keepalive.silent(at(32))),
            (None, Some(Duration::from_secs(20)))
        );
    }

    #[test]
    fn a_round_trip_is_measured_once_a_ping() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Duration::from_secs(10), start);
        keepalive.pong(start);
        assert_eq!(keepalive.round_trip(), None);
        keepalive.ping_left(start);
        keepalive.pong(start + Duration::from_millis(50));
        keepalive.pong(start + Duration::from_millis(90));
        assert_eq!(keepalive.round_trip(), Some(Duration::from_millis(50)));
    }
}
