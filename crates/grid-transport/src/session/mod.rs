//! One live socket: reader, writer and the handlers that it runs; it ends exactly once.
//!
//! ```text
//!   socket --> reader --> [ lock: machine + waiters ] --> writer --> socket
//!                 |                 ^      ^
//!                 v                 |      |
//!             handlers -------------+      +------- callers, timer
//! ```
//!
//! The reader never waits for the writer: what has to be answered is state in the machine until
//! the writer has time for it.

mod answer;
#[cfg(test)]
mod call_tests;
mod core;
mod dispatch;
mod early;
mod items;
#[cfg(test)]
mod leak_tests;
mod look;
mod monitor;
mod outcome;
mod pen;
mod permits;
mod reader;
mod report;
mod run;
mod spawn;
mod task;
#[cfg(test)]
mod tests;
mod waiter;
mod waiters;
mod watch;
mod writer;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use grid_proto::{
    HandlerId, InstanceId, MuxId,
    conn::{CloseReason, NewRequest, NewStream, SubmitError},
    wire::Extra,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::oneshot,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    core::{Answer, Core, Effects},
    outcome::not_submitted,
    permits::{Permit, Permits},
    run::run,
    task::panic_text,
    waiter::Waiter,
    watch::Watch,
};
use self::{monitor::Monitor, pen::Desk, writer::Writing};
use crate::{
    error::CallError,
    link::{guard::Guard, shared::LinkShared},
    state::LinkCause,
    stats::SessionStats,
    stream::{Pipe, Side},
    ws::{Meter, Ws},
};

/// A connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) ws: Ws,
    pub(crate) peer: PeerInfo,
    pub(crate) since: Instant,
    /// Fires when a newer connection of the same remote takes the place of this one.
    pub(crate) replaced: CancellationToken,
}

/// What a remote said of itself in the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerInfo {
    pub(crate) id: InstanceId,
    pub(crate) extra: Option<Extra>,
}

impl PeerInfo {
    /// Whether it is a node of this project (protocol section 10).
    pub(crate) const fn is_ours(&self) -> bool {
        self.extra.is_some()
    }
}

/// Who is inside a session: one of its own tasks, or a handler that is attached to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Inside {
    Reader,
    Writer,
    /// An answer that waits for room.
    Answer,
    Handler(HandlerId),
}

/// Lets every other task that is ready have its turn once.
///
/// Tokio's own way to yield comes back only when nobody else is ready, or after dozens of turns: on
/// a link with a busy stream all others would wait for as many pieces of it.
pub(crate) async fn turn() {
    let mut had = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut had, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// What reader, writer, callers and handlers of one connection share.
pub(crate) struct Session {
    pub(crate) link: Arc<LinkShared>,
    pub(crate) peer: PeerInfo,
    pub(crate) since: Instant,
    pub(crate) guard: Guard<Inside>,
    /// The machine, the lock, and who waits for what is behind it.
    pub(crate) monitor: Monitor<Core>,
    meter: Arc<Meter>,
    /// The bytes that had come in when the machine was last told.
    heard: AtomicU64,
    /// The handler that the reader polls right now; 0 for none.
    polling: AtomicU8,
    /// What it takes to write.
    desk: Desk<Box<Writing>>,
    /// Whether others than the writer may write.
    writes_early: bool,
    /// Whether a [`turn`] of a task has other threads woken, to look for something that they could do.
    turns_wake: bool,
}

impl Session {
    fn new(link: &Arc<LinkShared>, established: &Established, core: Core) -> Arc<Self> {
        Arc::new(Self {
            link: link.clone(),
            peer: established.peer,
            since: established.since,
            guard: Guard::new(),
            monitor: Monitor::new(core),
            meter: established.ws.meter(),
            // What the handshake took is no news.
            heard: AtomicU64::new(established.ws.meter().bytes_in()),
            polling: AtomicU8::new(0),
            desk: Desk::new(),
            writes_early: established.ws.writer.can_try(),
            turns_wake: Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread),
        })
    }

    /// Runs `f` under the lock, and after it all that follows; what the peer calls gets tasks.
    /// `None` when the machine is broken.
    pub(crate) fn with<R>(self: &Arc<Self>, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        let mut effects = Effects::default();
        let result = self.locked(&mut effects, f);
        effects.run(self);
        if let Some(called) = effects.called() {
            self.serve_in_tasks(called);
        }
        result
    }

    /// As [`with`](Self::with), for what depends on the time; most doesn't, and a look at the clock is not free.
    pub(crate) fn with_clock<R>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut Core, std::time::Instant) -> R,
    ) -> Option<R> {
        let now = Instant::now().into_std();
        self.with(|core| f(core, now))
    }

    /// Makes a single request, whose answer comes by the waiter and wakes `waker`. Both arguments are as they were where
    /// nothing was sent, so that the caller drops them and not the lock.
    pub(crate) fn request(
        self: &Arc<Self>,
        new: &mut NewRequest,
        waker: &mut Option<Waker>,
    ) -> Result<(MuxId, Arc<Waiter<Answer>>), SubmitError> {
        let mut is_plenty = false;
        let submitted = self.with_clock(|core, now| {
            let submitted = core.conn.try_request(now, new);
            if submitted == Err(SubmitError::QueueFull) {
                core.sleepers.starve();
            }
            let mux = submitted?;
            let waiter = core.calls.add(mux, waker.take());
            is_plenty = core.has_plenty();
            Ok((mux, waiter))
        });
        if is_plenty {
            self.write_early();
        }
        submitted.unwrap_or(Err(SubmitError::Closed))
    }

    /// Opens a stream.
    pub(crate) fn open(self: &Arc<Self>, new: NewStream) -> Result<Arc<Pipe>, SubmitError> {
        let capacity = new.capacity.output;
        self.with_clock(|core, now| {
            let submitted = core.conn.open(now, new);
            if submitted == Err(SubmitError::QueueFull) {
                core.sleepers.starve();
            }
            submitted.map(|mux| {
                let pipe = Pipe::new(self, Side::Caller(mux), capacity);
                core.streams.insert(mux, pipe.clone());
                pipe
            })
        })
        .unwrap_or(Err(SubmitError::Closed))
    }

    /// Pings the remote; `None` when the session is over. The time from when the ping left comes by
    /// the channel.
    pub(crate) fn ping(self: &Arc<Self>) -> Option<oneshot::Receiver<Result<Duration, CallError>>> {
        let (caller, answer) = oneshot::channel();
        self.with(|core| {
            if core.cause.is_some() {
                return None;
            }
            // Those who were dropped meanwhile wait for nothing.
            core.pings.retain(|waiting| !waiting.caller.is_closed());
            let ping = core.conn.ping();
            core.pings.push(outcome::Waiting { ping, caller });
            Some(answer)
        })
        .flatten()
    }

    /// Gives up a single request.
    pub(crate) fn cancel_request(self: &Arc<Self>, mux: MuxId) {
        let owed = self.with(|core| {
            core.conn.cancel(mux);
            core.calls.remove(mux)
        });
        if let Some(owed) = owed.flatten() {
            owed.forget();
        }
    }

    /// To be called when the queue was full, before waiting for room in it: true when there is
    /// some by now, and nobody would wake.
    pub(crate) fn starve(&self) -> bool {
        let core = self.monitor.lock();
        // Where the link's own queue is full nobody else can give it room.
        if core.conn.queued_cost() < self.link.node.settings.max_queued {
            self.link.node.room.starve();
        }
        core.cause.is_none() && core.conn.has_room()
    }

    /// Whether nothing can be queued now; who asks is woken then when that changes, and makes its wakes before.
    #[cfg(feature = "tower")]
    pub(crate) fn is_full(&self) -> bool {
        let mut core = self.monitor.lock();
        if core.cause.is_some() || core.conn.has_room() {
            return false;
        }
        core.sleepers.starve();
        // Where the link's own queue is full now it may be that of the node when there is room in it.
        self.link.node.room.starve();
        !core.conn.has_room()
    }

    /// Ends the session; the first cause counts.
    pub(crate) fn close(self: &Arc<Self>, cause: LinkCause, reason: CloseReason) {
        let cause = Arc::new(cause);
        self.with(|core| {
            if core.cause.is_none() && core.conn.close_reason().is_none() {
                // Set before the machine is told: the errors of its calls carry it.
                core.cause = Some(cause.clone());
                self.guard.close();
                core.conn.close(reason);
            }
        });
        // Whoever told it first may still be on the way to this.
        self.monitor.closing.cancel();
    }

    /// Refuses what the peer calls from now on; [`drained`](Self::drained) says when the rest has
    /// ended.
    pub(crate) fn refuse_new(self: &Arc<Self>) {
        self.with(|core| {
            core.sleepers.drain();
            core.conn.refuse_new();
        });
    }

    /// Waits until nothing is open, served, queued or being written.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn drained(&self) {
        self.monitor.drained().await;
    }

    /// Why it ended, once it has begun to.
    pub(crate) fn cause(&self) -> Option<Arc<LinkCause>> {
        self.monitor.lock().cause.clone()
    }

    pub(crate) fn stats(&self) -> SessionStats {
        let core = self.monitor.lock();
        SessionStats {
            counters: *core.conn.counters(),
            bytes_in: self.meter.bytes_in(),
            bytes_out: self.meter.bytes_out(),
            round_trip: core.conn.round_trip(),
            open_requests: core.conn.open_requests(),
            open_streams: core.conn.open_streams(),
            serving_requests: core.conn.serving_requests(),
            serving_streams: core.conn.serving_streams(),
            queued_bytes: core.conn.queued_bytes(),
        }
    }

    /// The handler that the reader is inside of, if it is.
    fn polled_now(&self) -> Option<HandlerId> {
        let id = self.polling.load(Ordering::Relaxed);
        (id != 0).then(|| HandlerId::new(id))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("remote", &self.link.name)
            .field("peer", &self.peer.id)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}
