//! What a node has done and is doing, in numbers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use grid_proto::{HandlerId, conn::Counters};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::durations::Durations;
#[cfg(feature = "metrics")]
use crate::measure::HandlerMeasure;
use crate::state::{LinkCause, LinkState};

/// A link at one moment; see [`Connection::stats`](crate::Connection::stats).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkStats {
    /// The remote's name.
    pub remote: Arc<str>,
    /// Whether this node dials.
    pub dials: bool,
    /// Its state.
    pub state: LinkState,
    /// How long it has been in a state of this kind.
    pub since: Duration,
    /// Why it was last down.
    pub last_cause: Option<Arc<LinkCause>>,
    /// How often it was connected again.
    pub reconnects: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// The round-trip time of the last ping; none before the first.
    pub round_trip: Option<Duration>,
    /// Bytes received on all connections of the link, websocket headers included.
    pub bytes_in: u64,
    /// Bytes sent, likewise.
    pub bytes_out: u64,
    /// Messages received on all connections of the link, each of a merged one for itself.
    pub messages_in: u64,
    /// Messages sent, likewise.
    pub messages_out: u64,
    /// Single requests of ours that wait for their answer.
    pub open_requests: usize,
    /// Streams of ours.
    pub open_streams: usize,
    /// Single requests of the remote that are being served.
    pub serving_requests: usize,
    /// Streams of the remote that are being served.
    pub serving_streams: usize,
    /// Handlers that run for the remote, those of earlier connections included.
    pub running_handlers: usize,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// Calls of the remote that were refused.
    pub refused: u64,
    /// Answers for which nobody waited any more.
    pub discarded_answers: u64,
    /// Answers that were dropped, and an error sent in their place, because too much waited to be
    /// read: by the remote, or by others of those that share the queue of the node.
    pub dropped_answers: u64,
    /// Messages for calls that are not open; normal after a reconnect.
    pub unknown_mux: u64,
    /// Messages that mean nothing: unknown kinds, wrong nesting, numbers used twice.
    pub ignored: u64,
    /// Messages that could not be read, by a wrong checksum or otherwise; each has ended a connection.
    pub unreadable: u64,
    /// Handlers that did not come out of a poll in time when their connection ended.
    pub abandoned_handlers: u64,
}

/// A handler at one moment; see [`Manager::handler_stats`](crate::Manager::handler_stats).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Its id.
    pub handler: HandlerId,
    /// Its subroute.
    pub subroute: Option<Arc<str>>,
    /// Whether it serves streams.
    pub stream: bool,
    /// How often it was called.
    pub calls: u64,
    /// How often it is running now.
    pub running: u64,
    /// How often it failed, panicked or was dropped before its end.
    pub errors: u64,
    /// How often it panicked.
    pub panics: u64,
    /// The time from call to end, of all that have ended.
    pub time: Duration,
    /// What half of those that have ended did not exceed, since the node was built: to an eighth, or 64 ns. None before
    /// the first.
    pub p50: Option<Duration>,
    /// What 99 of 100 did not exceed, likewise.
    pub p99: Option<Duration>,
    /// Polls that took longer than
    /// [`Settings::slow_poll`](crate::Settings#structfield.slow_poll); while many do it runs in tasks of its own.
    pub slow_polls: u64,
}

/// What a session counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionStats {
    pub(crate) counters: Counters,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) round_trip: Option<Duration>,
    pub(crate) open_requests: usize,
    pub(crate) open_streams: usize,
    pub(crate) serving_requests: usize,
    pub(crate) serving_streams: usize,
    pub(crate) queued_bytes: usize,
}

/// What a link counts over all its sessions.
#[derive(Debug)]
pub(crate) struct LinkCounters {
    pub(crate) failed_attempts: AtomicU64,
    sessions: AtomicU32,
    abandoned: AtomicU64,
    unreadable: AtomicU64,
    late_answers: AtomicU64,
    dropped_answers: AtomicU64,
    changed: Mutex<Instant>,
    last_cause: Mutex<Option<Arc<LinkCause>>>,
    /// Of the sessions that have ended.
    past: Mutex<SessionStats>,
}

impl LinkCounters {
    pub(crate) fn new() -> Self {
        Self {
            failed_attempts: AtomicU64::new(0),
            sessions: AtomicU32::new(0),
            abandoned: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            late_answers: AtomicU64::new(0),
            dropped_answers: AtomicU64::new(0),
            changed: Mutex::new(Instant::now()),
            last_cause: Mutex::new(None),
            past: Mutex::new(SessionStats::default()),
        }
    }

    pub(crate) fn connected(&self) {
        self.sessions.fetch_add(1, Relaxed);
    }

    /// How many sessions there were so far, the live one included.
    pub(crate) fn sessions(&self) -> u32 {
        self.sessions.load(Relaxed)
    }

    pub(crate) fn abandoned(&self, handlers: usize) {
        self.abandoned.fetch_add(handlers as u64, Relaxed);
    }

    /// A message could not be read.
    pub(crate) fn unreadable(&self) {
        self.unreadable.fetch_add(1, Relaxed);
    }

    /// An answer came after its session had begun to end.
    pub(crate) fn late_answer(&self) {
        self.late_answers.fetch_add(1, Relaxed);
    }

    /// An answer found no room to wait in.
    pub(crate) fn dropped_answer(&self) {
        self.dropped_answers.fetch_add(1, Relaxed);
    }

    pub(crate) fn state_changed(&self) {
        *self.changed.lock() = Instant::now();
    }

    /// Keeps the cause for when the link is up again.
    pub(crate) fn down(&self, cause: &Arc<LinkCause>) {
        let before = self.last_cause.lock().replace(cause.clone());
        drop(before);
    }

    /// Why the link was last down.
    pub(crate) fn last_cause(&self) -> Option<Arc<LinkCause>> {
        self.last_cause.lock().clone()
    }

    /// Takes over what an ended session has counted.
    pub(crate) fn absorb(&self, session: &SessionStats) {
        let mut past = self.past.lock();
        past.bytes_in += session.bytes_in;
        past.bytes_out += session.bytes_out;
        let (sum, add) = (&mut past.counters, &session.counters);
        sum.messages_in += add.messages_in;
        sum.messages_out += add.messages_out;
        sum.refused += add.refused;
        sum.unknown_mux += add.unknown_mux;
        sum.duplicate_mux += add.duplicate_mux;
        sum.ignored += add.ignored;
        sum.discarded_answers += add.discarded_answers;
        sum.excess_credit = sum.excess_credit.saturating_add(add.excess_credit);
    }

    pub(crate) fn snapshot(
        &self,
        remote: Arc<str>,
        dials: bool,
        state: LinkState,
        running_handlers: usize,
        live: &SessionStats,
    ) -> LinkStats {
        let past = *self.past.lock();
        let (sum, add) = (&past.counters, &live.counters);
        LinkStats {
            remote,
            dials,
            since: self.changed.lock().elapsed(),
            last_cause: self.last_cause(),
            state,
            reconnects: u64::from(self.sessions().saturating_sub(1)),
            failed_attempts: self.failed_attempts.load(Relaxed),
            round_trip: live.round_trip,
            bytes_in: past.bytes_in + live.bytes_in,
            bytes_out: past.bytes_out + live.bytes_out,
            messages_in: sum.messages_in + add.messages_in,
            messages_out: sum.messages_out + add.messages_out,
            open_requests: live.open_requests,
            open_streams: live.open_streams,
            serving_requests: live.serving_requests,
            serving_streams: live.serving_streams,
            running_handlers,
            queued_bytes: live.queued_bytes,
            refused: sum.refused + add.refused,
            discarded_answers: sum.discarded_answers
                + add.discarded_answers
                + self.late_answers.load(Relaxed),
            dropped_answers: self.dropped_answers.load(Relaxed),
            unknown_mux: sum.unknown_mux + add.unknown_mux,
            ignored: sum.ignored + add.ignored + sum.duplicate_mux + add.duplicate_mux,
            unreadable: self.unreadable.load(Relaxed),
            abandoned_handlers: self.abandoned.load(Relaxed),
        }
    }
}

/// What a handler counts.
#[derive(Debug, Default)]
pub(crate) struct HandlerCounters {
    calls: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    nanoseconds: AtomicU64,
    durations: Durations,
    slow_polls: AtomicU64,
    slow: AtomicU8,
    #[cfg(feature = "metrics")]
    pub(crate) measure: HandlerMeasure,
}

/// What a slow poll weighs against a quick one.
const SLOW_POLL: u8 = 16;

/// A handler that weighs this is not polled where the reader stands: two slow polls one after the other, or more of them
/// among quick ones than come from other threads that take the processor.
const SLOW: u8 = 2 * SLOW_POLL;

/// So that a handler that has become quick is found to be so in as many polls.
const SLOWEST: u8 = 4 * SLOW_POLL;

impl HandlerCounters {
    pub(crate) fn begin(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// It has ended; how long it [ran](Self::ran) is told afterwards where that is not known yet.
    pub(crate) fn end(&self, took: Option<Duration>, failed: bool, panicked: bool) {
        self.ended.fetch_add(1, Relaxed);
        if failed {
            self.errors.fetch_add(1, Relaxed);
        }
        if panicked {
            self.panics.fetch_add(1, Relaxed);
        }
        if let Some(took) = took {
            self.ran(took);
        }
    }

    /// One that has ended ran for this long.
    pub(crate) fn ran(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.durations.record(nanoseconds);
        #[cfg(feature = "metrics")]
        self.measure.ended(took);
    }

    /// It was polled, wherever that was.
    pub(crate) fn polled(&self, slowly: bool) {
        // One that is lost because another thread counts too makes no difference.
        let before = self.slow.load(Relaxed);
        if slowly {
            self.slow_polls.fetch_add(1, Relaxed);
            self.slow.store((before + SLOW_POLL).min(SLOWEST), Relaxed);
        } else if before > 0 {
            self.slow.store(before - 1, Relaxed);
        }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Relaxed) >= SLOW
    }

    pub(crate) fn snapshot(
        &self,
        handler: HandlerId,
        subroute: Option<Arc<str>>,
        stream: bool,
    ) -> HandlerStats {
        let ended = self.ended.load(Relaxed);
        let calls = self.calls.load(Relaxed).max(ended);
        let [p50, p99] = match self.durations.quantiles([0.5, 0.99]) {
            Some(quantiles) => quantiles.map(Some),
            None => [None; 2],
        };
        HandlerStats {
            handler,
            subroute,
            stream,
            calls,
            running: calls - ended,
            errors: self.errors.load(Relaxed),
            panics: self.panics.load(Relaxed),
            time: Duration::from_nanos(self.nanoseconds.load(Relaxed)),
            p50,
            p99,
            slow_polls: self.slow_polls.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_slow_by_its_share_of_slow_polls_and_only_while_it_is() {
        let counters = HandlerCounters::default();
        for poll in 0..1_000 {
            counters.polled(poll % 20 == 0);
            assert!(!counters.is_slow(), "one of twenty, as on a busy machine");
        }
        counters.polled(true);
        counters.polled(true);
        assert!(counters.is_slow(), "two in a row");
        (0..100).for_each(|_| counters.polled(true));
        let quick = (0..).take_while(|_| {
            counters.polled(false);
            counters.is_slow()
        });
        assert_eq!(quick.count(), 32);
        assert_eq!(counters.slow_polls.load(Relaxed), 152);
    }
}
