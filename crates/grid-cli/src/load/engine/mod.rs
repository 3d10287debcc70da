//! Running operations for a while: one after the other by each worker, or on a schedule.

mod closed;
mod open;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

pub(super) use self::open::Schedule;
use super::recorder::{LATE, Recorder, Tally, Times};
use crate::{
    failure::Failure,
    fault::{Fault, FaultKind},
    signal::Signals,
};

/// How often a run is looked at from outside.
const LOOK: Duration = Duration::from_millis(100);
/// What open operations have to come to their end after an interruption.
const GRACE: Duration = Duration::from_secs(1);
/// What a worker waits after an operation that was never sent.
const PAUSE: Duration = Duration::from_millis(20);

/// What is done again and again.
pub(super) trait Operation: Send + Sync + 'static {
    /// Does it once. It has begun at `begun`, a moment ago.
    fn once(&self, begun: Instant) -> impl Future<Output = Result<Done, Fault>> + Send;
}

/// An operation that succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) items: u64,
    /// Of payloads, towards the remote.
    pub(super) bytes_out: u64,
    /// Of payloads, from the remote.
    pub(super) bytes_in: u64,
}

/// How operations are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The most that are open at once.
    pub(super) par: usize,
    /// None is begun later.
    pub(super) lasting: Duration,
    /// So many are due in a second; without it each worker begins one when its last has ended.
    pub(super) rate: Option<f64>,
    /// Of the recorder.
    pub(super) shards: usize,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) tally: Tally,
    /// From the start to the last end of an operation.
    pub(super) elapsed: Duration,
    /// Operations that were begun, and given up after an interruption.
    pub(super) abandoned: u64,
    pub(super) interrupted: bool,
    /// How many were due; none without a schedule.
    pub(super) due: Option<u64>,
}

/// What the workers of a run share.
#[derive(Debug)]
struct Run<O> {
    operation: O,
    recorder: Recorder,
    /// None is begun later. What is due at the last moment still counts as begun in time.
    end: Instant,
    stopped: AtomicBool,
    /// Operations that were dropped before their end.
    abandoned: AtomicU64,
    turns: Option<Turns>,
}

/// Whose turn it is, on a schedule.
#[derive(Debug)]
struct Turns {
    schedule: Schedule,
    /// One for each operation that has become due.
    permits: Semaphore,
    /// The number of the next operation.
    next: AtomicU64,
}

impl<O: Operation> Run<O> {
    fn new(plan: Plan, operation: O) -> Result<Self, Failure> {
        let start = Instant::now();
        let turns = plan.rate.map(|rate| Turns {
            schedule: Schedule::new(rate, plan.lasting),
            permits: Semaphore::new(0),
            next: AtomicU64::new(0),
        });
        Ok(Self {
            operation,
            recorder: Recorder::new(start, plan.shards)?,
            end: start + plan.lasting + plan.rate.map_or(Duration::ZERO, |_| LATE),
            stopped: AtomicBool::new(false),
            abandoned: AtomicU64::new(0),
            turns,
        })
    }

    /// Whether an operation may still be begun at this time.
    fn goes_on(&self, now: Instant) -> bool {
        now < self.end && !self.stopped.load(Relaxed)
    }

    /// Has no operation begin any more.
    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        if let Some(turns) = &self.turns {
            turns.permits.close();
        }
    }

    /// Makes one operation and records it; gives when it ended, and why it failed.
    async fn make(&self, due: Option<Instant>, begun: Instant) -> (Instant, Option<FaultKind>) {
        let open = Open(&self.abandoned);
        let outcome = self.operation.once(begun).await;
        std::mem::forget(open);
        let failed = outcome.as_ref().err().map(|fault| fault.kind);
        let ended = Instant::now();
        self.recorder.record(Times { due, begun, ended }, outcome);
        (ended, failed)
    }
}

/// Runs operations as planned, and waits for the last of them. `look` is called now and then.
///
/// A signal ends it early: what is open then has a moment to come to its end, until another signal.
///
/// # Cancel safety
///
/// Dropping the future gives up what is open.
pub(super) async fn run<O: Operation>(
    plan: Plan,
    operation: O,
    signals: &mut Signals,
    mut look: impl FnMut(&Recorder),
) -> Result<Ran, Failure> {
    let run = Arc::new(Run::new(plan, operation)?);
    let mut workers = JoinSet::new();
    for _ in 0..plan.par {
        let run = run.clone();
        workers.spawn(async move {
            match &run.turns {
                None => closed::work(&run).await,
                Some(turns) => Box::pin(open::work(&run, turns)).await,
            }
        });
    }
    if run.turns.is_some() {
        let (run, par) = (run.clone(), plan.par);
        workers.spawn_blocking(move || open::pace(&run, par));
    }
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupted: Option<Instant> = None;
    let mut given_up = false;
    loop {
        let grace = interrupted.map_or(run.end, |at| at + GRACE);
        tokio::select! {
            joined = workers.join_next() => match joined {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => {
                    return Err(Failure::failed(format!("a worker has failed: {error}")));
                }
            },
            _ = looks.tick() => look(&run.recorder),
            _ = signals.next(), if !given_up => {
                run.stop();
                if interrupted.is_some() {
                    given_up = true;
                    workers.abort_all();
                }
                interrupted = interrupted.or_else(|| Some(Instant::now()));
            }
            // tidy: sleep: what is open after an interruption has so long and no longer
            () = sleep_until(grace), if interrupted.is_some() && !given_up => {
                given_up = true;
                workers.abort_all();
            }
        }
    }
    let tally = run.recorder.total()?;
    let start = run.recorder.start();
    let until = interrupted.map_or(plan.lasting, |at| at.duration_since(start));
    let due = run.turns.as_ref().map(|turns| turns.schedule.due(until));
    Ok(Ran {
        elapsed: tally.last.map_or(until, |last| last.duration_since(start)),
        tally,
        abandoned: run.abandoned.load(Relaxed),
        interrupted: interrupted.is_some(),
        due,
    })
}

/// An operation under way; one that is dropped before its end is counted.
struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Whether nothing was sent, so that trying again at once would only burn the processor.
const fn never_sent(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::NotConnected | FaultKind::TooLarge | FaultKind::UnknownPeer
    )
}

#[cfg(test)]
mod fake {
    //! Operations without a network.

    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Done, Operation};
    use crate::fault::{Fault, FaultKind};

    /// Takes so long, and ends so.
    #[derive(Debug)]
    pub(super) struct Fake {
        pub(super) takes: Duration,
        pub(super) fails: Option<FaultKind>,
    }

    impl Operation for Fake {
        async fn once(&self, _: Instant) -> Result<Done, Fault> {
            // tidy: sleep: the operation takes that long
            tokio::time::sleep(self.takes).await;
            match self.fails {
                None => Ok(Done {
                    items: 1,
                    ..Done::default()
                }),
                Some(kind) => Err(Fault::new(kind, "as told")),
            }
        }
    }

    pub(super) fn fake(takes: u64, fails: Option<FaultKind>) -> Fake {
        Fake {
            takes: Duration::from_millis(takes),
            fails,
        }
    }
}
