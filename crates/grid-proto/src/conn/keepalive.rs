//! Whether the link is alive (protocol section 8).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::wire::Timestamp;

use super::event::PingId;

/// Pings whose pong is still awaited; of more than these the oldest are forgotten.
const MOST_AWAITED: usize = 64;

/// When the next ping of the link is due, and since when nothing was heard.
#[derive(Debug)]
pub(super) struct Keepalive {
    period: Duration,
    next_ping: Instant,
    heard: Instant,
    /// When the peer has been silent for too long: asked for far more often than it changes.
    silent: Instant,
    /// The silence has been excused by a sleep of ours; once, or a process that is always late would never find a
    /// dead peer.
    excused: bool,
    /// The id of the next ping to leave.
    next_id: u64,
    awaited: VecDeque<Sent>,
    round_trip: Option<Duration>,
    /// The latest pongs, and those before them.
    answered: [Option<Answered>; 2],
    /// When the newest ping left whose pong came before those.
    settled: Option<Instant>,
}

/// What came within an eighth of a period.
#[derive(Debug, Clone, Copy)]
struct Answered {
    since: Instant,
    /// When the newest ping left that was answered.
    left: Instant,
}

/// A ping that has left and was not answered yet.
#[derive(Debug)]
struct Sent {
    id: PingId,
    /// What its pong repeats.
    time: Timestamp,
    at: Instant,
}

impl Keepalive {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        Self {
            period,
            next_ping: now + period,
            heard: now,
            silent: now + period * 2,
            excused: false,
            next_id: 0,
            awaited: VecDeque::new(),
            round_trip: None,
            answered: [None; 2],
            settled: None,
        }
    }

    /// Any byte at all: a peer that is busy but sends is not dead.
    pub(super) fn heard(&mut self, now: Instant) {
        self.listens(now);
        self.excused = false;
    }

    fn listens(&mut self, now: Instant) {
        if now > self.heard {
            self.heard = now;
            self.silent = now + self.period * 2;
        }
    }

    /// Whether a timer that ran late by this much tells that the process stood still for a period. What the peer sent
    /// meanwhile is still to be read then, so it gets another period before its silence counts.
    pub(super) fn slept(&mut self, now: Instant, late: Duration) -> bool {
        let slept = late >= self.period;
        if slept && !self.excused {
            self.excused = true;
            self.listens(a_period_ago(now, self.period));
        }
        slept
    }

    /// A pong of the link arrived: gives the pings that it answers, with how long each was under way. A peer that was
    /// busy answers only the newest of several, so those before it count as answered too.
    ///
    /// A pong that doesn't say which ping it is for answers the oldest; one for a ping that nobody sent, none.
    pub(super) fn pong(
        &mut self,
        now: Instant,
        time: Option<Timestamp>,
    ) -> impl Iterator<Item = (PingId, Duration)> {
        let answered = match time {
            Some(time) => self.awaited.iter().position(|sent| sent.time == time),
            None => (!self.awaited.is_empty()).then_some(0),
        };
        let count = answered.map_or(0, |newest| newest + 1);
        if let Some(left) = answered.and_then(|newest| self.awaited.get(newest).map(|sent| sent.at))
        {
            self.round_trip = Some(now.saturating_duration_since(left));
            self.note_answered(now, left);
        }
        self.awaited
            .drain(..count)
            .map(move |sent| (sent.id, now.saturating_duration_since(sent.at)))
    }

    /// Whoever asks for many pings must not keep all of them from settling, so the pongs of a while settle together.
    fn note_answered(&mut self, now: Instant, left: Instant) {
        let [latest, before] = &mut self.answered;
        match latest {
            Some(latest) if now.saturating_duration_since(latest.since) < self.period / 8 => {
                latest.left = latest.left.max(left);
            }
            _ => {
                self.settled = before.map(|before| before.left).max(self.settled);
                *before = latest.replace(Answered { since: now, left });
            }
        }
    }

    /// Whether the answer to what left at this time, or has not left yet, may still be on its way although the peer is
    /// well: so are those to the pings of the link that left no earlier, or the first of them has come just now, a
    /// quarter of a period ago at the most, and may have passed it. `owed` is a ping that is due and has not left.
    pub(super) fn is_late(&self, now: Instant, left: Option<Instant>, owed: bool) -> bool {
        let Some(left) = left else {
            return true;
        };
        let answered = self
            .answered
            .iter()
            .flatten()
            .filter(|answered| answered.left >= left);
        let has_settled =
            |answered: &Answered| now.saturating_duration_since(answered.since) >= self.period / 4;
        if self.settled.is_some_and(|settled| settled >= left) || answered.clone().any(has_settled)
        {
            return false;
        }
        let awaited = self.awaited.back().is_some_and(|newest| newest.at >= left);
        owed || awaited || answered.count() > 0
    }

    /// The id of the next ping to leave.
    pub(super) fn next_id(&self) -> PingId {
        PingId(self.next_id)
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
    pub(super) fn ping_left(&mut self, now: Instant, time: Timestamp) {
        if self.awaited.len() >= MOST_AWAITED {
            self.awaited.pop_front();
        }
        self.awaited.push_back(Sent {
            id: self.next_id(),
            time,
            at: now,
        });
        self.next_id += 1;
    }

    /// For how long nothing was heard, when that is too long.
    pub(super) fn silent(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.heard);
        (silence >= self.period * 2).then_some(silence)
    }

    pub(super) fn next(&self) -> Instant {
        self.next_ping.min(self.silent)
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

    fn stamp(secs: i64) -> Timestamp {
        Timestamp { secs, nanos: 0 }
    }

    fn pong(keepalive: &mut Keepalive, now: Instant, time: Option<i64>) -> Vec<(u64, u128)> {
        let answered = keepalive.pong(now, time.map(stamp));
        answered
            .map(|(id, took)| (id.0, took.as_millis()))
            .collect()
    }

    #[test]
    fn a_round_trip_is_measured_once_a_ping() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut keepalive = Keepalive::new(Duration::from_secs(10), start);
        assert!(pong(&mut keepalive, start, None).is_empty());
        assert_eq!(keepalive.round_trip(), None);
        keepalive.ping_left(start, stamp(1));
        assert_eq!(pong(&mut keepalive, at(50), None), [(0, 50)]);
        assert!(pong(&mut keepalive, at(90), None).is_empty());
        assert_eq!(keepalive.round_trip(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_pong_answers_its_ping_and_those_before() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut keepalive = Keepalive::new(Duration::from_secs(10), start);
        for number in 0..4 {
            keepalive.ping_left(at(number * 10), stamp(number as i64));
        }
        assert_eq!(
            pong(&mut keepalive, at(50), Some(2)),
            [(0, 50), (1, 40), (2, 30)]
        );
        assert_eq!(keepalive.round_trip(), Some(Duration::from_millis(30)));
        assert!(pong(&mut keepalive, at(60), Some(2)).is_empty());
        assert!(pong(&mut keepalive, at(60), Some(9)).is_empty());
        assert_eq!(keepalive.round_trip(), Some(Duration::from_millis(30)));
        assert_eq!(pong(&mut keepalive, at(70), Some(3)), [(3, 40)]);
    }

    #[test]
    fn pings_that_nobody_answers_are_forgotten() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Duration::from_secs(10), start);
        for number in 0..1000 {
            keepalive.ping_left(start, stamp(number));
        }
        assert!(pong(&mut keepalive, start, Some(0)).is_empty());
        assert_eq!(pong(&mut keepalive, start, Some(999)).len(), MOST_AWAITED);
    }
}
