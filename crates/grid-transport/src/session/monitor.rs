//! The lock of a session, and who sleeps until what is behind it changes.
//!
//! Whoever sleeps looks under the lock first and says there that it sleeps ([`Sleepers`]), or makes its wake before it
//! looks. Whoever changes something finds out under the same lock whom that concerns, and wakes them once it is
//! released ([`Monitor::ring`]): no waker runs under it, and nobody can fall asleep between the change and the wake.
//!
//! ```text
//!   change, settle ──────► unlock ──► ring          [asleep] ──ring──► [woken] ──► look: [busy]
//!        under the lock                                 ▲                             │
//!                                                       └──── nothing there ──────────┘
//! ```

// All that a model checker puts something else in place of.
use crate::sync::{Arc, CancellationToken, Mutex, MutexGuard, Notify};

use std::time::Instant;

/// A state that others wait for.
pub(crate) trait State {
    /// How things are, and who sleeps.
    fn look(&mut self) -> (Now, &mut Sleepers);

    /// Who sleeps.
    fn sleepers(&mut self) -> &mut Sleepers;
}

/// How things are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    /// There is something to send.
    pub(crate) wants_transmit: bool,
    /// When something has to be done.
    pub(crate) due: Option<Instant>,
    /// There is room in the queue; told where somebody [waits](Sleepers::is_starved) for it.
    pub(crate) has_room: bool,
    /// Nothing is open, served or queued; told where somebody [waits](Sleepers::is_draining) for it.
    pub(crate) idle: bool,
    /// The session ends, and nothing begins any more.
    pub(crate) ended: bool,
}

/// Who sleeps, as far as those who change something have to know it. Behind the lock.
#[derive(Debug)]
pub(crate) struct Sleepers {
    writer: Writing,
    /// When the timer wakes by itself.
    armed: Option<Instant>,
    /// Somebody waits for room in the queue.
    starved: bool,
    /// Somebody waits until nothing is left.
    draining: bool,
    closed: bool,
}

/// What the writer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// It waits to be woken.
    Asleep,
    /// It was woken and will look.
    Woken,
    /// It has messages in hand that are not written yet, or somebody else has; it will look then.
    Busy,
}

impl Sleepers {
    pub(crate) const fn new() -> Self {
        Self {
            writer: Writing::Woken,
            armed: None,
            starved: false,
            draining: false,
            closed: false,
        }
    }

    /// The writer takes what there is to send; it sleeps when that is nothing.
    pub(crate) fn writer_takes(&mut self, nothing: bool) {
        self.writer = if nothing {
            Writing::Asleep
        } else {
            Writing::Busy
        };
    }

    /// Somebody else takes what there is to send while the writer, which will look still, does not.
    pub(crate) fn other_takes(&mut self) {
        self.writer = Writing::Busy;
    }

    /// The timer sleeps until then.
    pub(crate) fn timer_sleeps(&mut self, until: Option<Instant>) {
        self.armed = until;
    }

    /// Somebody found no room, and waits for it.
    pub(crate) fn starve(&mut self) {
        self.starved = true;
    }

    /// Whether somebody waits for room.
    pub(crate) const fn is_starved(&self) -> bool {
        self.starved
    }

    /// Somebody waits until nothing is left.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether somebody waits until nothing is left.
    pub(crate) const fn is_draining(&self) -> bool {
        self.draining
    }

    /// There is something to send, and all else is as it was.
    fn queued(&mut self) -> Wakes {
        let writer = self.writer == Writing::Asleep;
        if writer {
            self.writer = Writing::Woken;
        }
        Wakes {
            writer,
            ..Wakes::default()
        }
    }

    fn is_idle(&self, now: &Now) -> bool {
        now.ended || (now.idle && self.writer != Writing::Busy)
    }

    /// Whom it concerns that things are as they are now.
    fn settle(&mut self, now: &Now) -> Wakes {
        let mut wakes = Wakes::default();
        if now.wants_transmit && self.writer == Writing::Asleep {
            self.writer = Writing::Woken;
            wakes.writer = true;
        }
        if let Some(due) = now.due
            && self.armed.is_none_or(|armed| due < armed)
        {
            self.armed = Some(due);
            wakes.timer = true;
        }
        if self.starved && (now.ended || now.has_room) {
            self.starved = false;
            wakes.room = true;
        }
        if now.ended && !self.closed {
            self.closed = true;
            wakes.closing = true;
        }
        wakes.idle = self.draining && self.is_idle(now);
        wakes
    }
}

/// Whom to wake once the lock is released.
#[must_use = "they sleep on"]
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    writer: bool,
    timer: bool,
    room: bool,
    closing: bool,
    idle: bool,
}

impl Wakes {
    /// The session has begun to end.
    pub(crate) const fn closing(&self) -> bool {
        self.closing
    }
}

/// A state behind a lock, and what those sleep on who wait for it.
#[derive(Debug)]
pub(crate) struct Monitor<S> {
    /// Fires when the session begins to end, after all who wait were told.
    pub(crate) closing: CancellationToken,
    /// Wakes those who wait for room in the queue; to be made before they look.
    pub(crate) room: Arc<Notify>,
    /// Wakes the writer, which has said that it sleeps.
    pub(crate) writer: Notify,
    /// Wakes the timer, which has said until when it sleeps.
    pub(crate) timer: Notify,
    idle: Notify,
    state: Mutex<S>,
}

impl<S: State> Monitor<S> {
    pub(crate) fn new(state: S) -> Self {
        Self {
            closing: CancellationToken::new(),
            room: Arc::new(Notify::new()),
            writer: Notify::new(),
            timer: Notify::new(),
            idle: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// To look at the state without changing what others wait for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock()
    }

    /// Runs `f` under the lock, and says whom to [`ring`](Self::ring).
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> (R, Wakes) {
        let mut state = self.state.lock();
        let result = f(&mut state);
        let (now, sleepers) = state.look();
        let wakes = sleepers.settle(&now);
        drop(state);
        (result, wakes)
    }

    /// As [`change`](Self::change), where `f` does nothing that concerns others but to put something in the queue. Where it has
    /// failed all is looked at.
    pub(crate) fn queue<R, E>(
        &self,
        f: impl FnOnce(&mut S) -> Result<R, E>,
    ) -> (Result<R, E>, Wakes) {
        let mut state = self.state.lock();
        let result = f(&mut state);
        let wakes = if result.is_ok() {
            state.sleepers().queued()
        } else {
            let (now, sleepers) = state.look();
            sleepers.settle(&now)
        };
        drop(state);
        (result, wakes)
    }

    /// Wakes them; where no lock is held.
    pub(crate) fn ring(&self, wakes: &Wakes) {
        if wakes.writer {
            self.writer.notify_one();
        }
        if wakes.timer {
            self.timer.notify_one();
        }
        if wakes.room {
            self.room.notify_waiters();
        }
        if wakes.closing {
            self.closing.cancel();
        }
        if wakes.idle {
            self.idle.notify_waiters();
        }
    }

    /// Waits until nothing is open, served, queued or being written; [`Sleepers::drain`] first.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn drained(&self) {
        loop {
            // Made before the look, so that no wake is missed between.
            let idle = self.idle.notified();
            let is_idle = {
                let mut state = self.state.lock();
                let (now, sleepers) = state.look();
                sleepers.is_idle(&now)
            };
            if is_idle {
                return;
            }
            idle.await;
        }
    }
}
