//! One of the callers of a node: calls of all kinds, one after the other, each checked.

use std::time::{Duration, Instant};

use grid_transport::{CallError, Connection};

use crate::{rng::Rng, tally::Tally, words::Broken};

/// A call that has not ended so long after it should have does not end any more.
const HANG: Duration = Duration::from_secs(30);
/// What a call takes at most that has no deadline: networks are repaired, and links die of silence.
const ENDLESS: Duration = Duration::from_secs(120);
/// The deadline of single requests that set none.
pub(super) const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// Calls, one after the other.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) rng: Rng,
    pub(super) tally: Tally,
    peers: Vec<Connection>,
}

/// One call: what it is, to whom, and until when.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: &'static str,
    pub(super) peer: Connection,
    pub(super) number: u64,
    pub(super) timeout: Option<Duration>,
    pub(super) wait_ready: bool,
    begun: Instant,
}

/// How a call went that no promise was broken by.
#[derive(Debug)]
pub(super) enum Went {
    /// As it should without faults.
    Well,
    /// By an error that has to be looked at.
    Failed(CallError),
    /// Given up on purpose.
    GivenUp,
    /// Wrong, and told already.
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Single,
    Stream,
    Typed,
}

impl Caller {
    /// Calls these peers, drawn from a sequence of its own.
    pub(super) const fn new(rng: Rng, tally: Tally, peers: Vec<Connection>) -> Self {
        Self { rng, tally, peers }
    }

    /// Makes one call, and waits for its end.
    pub(super) async fn one(&mut self) {
        let kinds = [(60, Kind::Single), (30, Kind::Stream), (10, Kind::Typed)];
        let at = self.rng.range(0..self.peers.len() as u64) as usize;
        let (Some(kind), Some(peer)) = (self.rng.weighted(&kinds), self.peers.get(at).cloned())
        else {
            return;
        };
        let mut call = Call {
            kind: "",
            peer,
            number: self.rng.draw(),
            timeout: self.timeout(),
            wait_ready: self.rng.percent(30),
            begun: Instant::now(),
        };
        let limit = call.timeout.map_or(ENDLESS, |timeout| timeout + HANG);
        let name = call.peer.name().to_owned();
        let making = async {
            match kind {
                Kind::Single => self.single(&mut call).await,
                Kind::Stream => self.stream(&mut call).await,
                Kind::Typed => self.typed(&mut call).await,
            }
        };
        let Ok(went) = tokio::time::timeout(limit, making).await else {
            let what = format!("{} to {name} did not end within {limit:?}", call.kind);
            self.tally.wrong(Broken::Hung, what);
            return;
        };
        match went {
            Went::Well => self.tally.success(),
            Went::Failed(error) => {
                self.tally.failed(call.kind, &error, call.deadline());
                call.not_too_early(&error, &self.tally);
            }
            Went::GivenUp => self.tally.error("given up on purpose"),
            Went::Wrong => self.tally.error("wrong"),
        }
    }

    /// Mostly enough, sometimes too short for any network.
    fn timeout(&mut self) -> Option<Duration> {
        let choices = [(70, 3_000..10_000), (15, 300..3_000), (10, 5..300)];
        let mut at = self.rng.range(0..100);
        for (weight, range) in choices {
            if at < weight {
                return Some(self.rng.millis(range));
            }
            at -= weight;
        }
        None
    }
}

impl Call {
    /// When it has to be over; of a stream without a timeout, never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.begun + timeout)
    }

    /// The clock of its deadline starts now.
    pub(super) fn begin(&mut self, kind: &'static str, tally: &Tally) {
        self.kind = kind;
        self.begun = Instant::now();
        tally.begin(kind);
    }

    /// A deadline that has not passed can't be why a call failed, but for the moment in which the
    /// remote's word about it comes first.
    fn not_too_early(&self, error: &CallError, tally: &Tally) {
        const SLACK: Duration = Duration::from_millis(1_500);
        if let (CallError::Deadline, Some(deadline)) = (error, self.deadline())
            && Instant::now() + SLACK < deadline
        {
            let what = format!("{} failed by a deadline that had not passed", self.kind);
            tally.wrong(Broken::WrongAnswer, what);
        }
    }
}
