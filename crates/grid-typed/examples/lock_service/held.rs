//! A lock that is held: kept by refreshing it, for as long as enough servers say so.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use crate::locks::{Locks, Timing};
use crate::protocol::{Ask, Mode, Op};

/// A lock. [`unlock`](Self::unlock) gives it back; one that is dropped is refreshed no more and expires.
///
/// A lock over a network can be lost while it is held: the servers can't tell a holder that they do
/// not hear from one that is dead. Its holder knows when, without asking anybody: when its lease has run
/// out since a refresh that enough servers have confirmed. Work under it has to stop then, by
/// [`lost`](Self::lost). What can't be stopped, as a write that is on its way to a disk, needs more than
/// a lock: a number that grows with each holder, by which the disk refuses those of earlier ones.
#[must_use = "a lock that is dropped is not released, it expires"]
pub(crate) struct Held {
    locks: Locks,
    mode: Mode,
    ask: Ask,
    valid_until: watch::Receiver<Instant>,
    /// One task, which ends with this.
    keeper: JoinSet<()>,
}

impl Held {
    pub(crate) fn new(locks: Locks, mode: Mode, ask: Ask, valid_until: Instant) -> Self {
        let (told, valid_until) = watch::channel(valid_until);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(locks.clone(), mode, ask.clone(), told));
        Self {
            locks,
            mode,
            ask,
            valid_until,
            keeper,
        }
    }

    /// Whether nobody else can have it, at this moment.
    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < *self.valid_until.borrow()
    }

    /// Waits until that is over.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn lost(&self) {
        let mut valid_until = self.valid_until.clone();
        loop {
            let until = *valid_until.borrow_and_update();
            // Neither a refresh nor its end came in time, or there will be no more of them.
            if !matches!(timeout_at(until, valid_until.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Gives it back.
    ///
    /// # Cancel safety
    ///
    /// Servers that were not told have it expire.
    pub(crate) async fn unlock(mut self) {
        // Or a late refresh might come behind the release.
        self.keeper.shutdown().await;
        self.locks.ask_all(Op::Unlock(self.mode), &self.ask).await;
    }
}

/// Refreshes a lock until it is dropped or lost, and tells until when it is valid.
async fn keep(locks: Locks, mode: Mode, ask: Ask, told: watch::Sender<Instant>) {
    let Timing {
        lease,
        refresh,
        margin,
        ..
    } = locks.timing();
    let quorum = locks.quorum(mode);
    let mut ticks = interval_at(Instant::now() + refresh, refresh);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let valid_until = Instant::now() + lease - margin;
        let tally = locks.ask_all(Op::Refresh, &ask).await;
        if tally.granted() >= quorum {
            told.send_replace(valid_until);
        } else if locks.servers() - tally.refused() < quorum {
            // So many know nothing of it that it can't be held any more, whatever the others say.
            told.send_replace(Instant::now());
            return;
        }
        // Otherwise some could not be asked. What they have promised still holds, until its end.
    }
}
