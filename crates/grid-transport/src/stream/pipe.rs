//! What a stream's user and its session share; it outlives the session.

use std::{
    collections::VecDeque,
    iter::{from_fn, once},
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

use grid_proto::{
    MuxId, Payload,
    conn::{Charge, SendError as Blocked, ServeId},
};
use tokio::sync::{Notify, futures::OwnedNotified};

use super::{
    gathered::Gathered,
    inbox::{Inbox, Part, Weigh},
};
use crate::{
    error::{CallError, SendError},
    session::{Core, Session},
    trace::Bytes,
};

/// Which end of the stream this is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// The caller's.
    Caller(MuxId),
    /// The handler's.
    Handler(ServeId),
}

/// Undelivered items and how the stream ended, and the way to its session.
#[derive(Debug)]
pub(crate) struct Pipe {
    side: Side,
    session: Weak<Session>,
    /// How many items may be under way towards us.
    capacity: u32,
    /// Whether the other end is at a node of this project.
    ours: bool,
    writable: Arc<Notify>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Items that its sender was given have not been sent, and never will be.
    torn: AtomicBool,
    inbox: Inbox<Item, CallError>,
}

#[derive(Debug)]
struct Item {
    payload: Payload,
    charge: Charge,
}

impl Weigh for Item {
    fn weight(&self) -> usize {
        self.charge.amount()
    }
}

/// Items that nobody will read, to be dropped where no lock is held.
#[derive(Debug)]
pub(crate) struct GivenUp {
    items: VecDeque<Item>,
}

impl GivenUp {
    /// What they count.
    pub(crate) fn bytes(&self) -> usize {
        self.items.iter().map(Weigh::weight).sum()
    }
}

/// Items that a receiver has taken out at once, and the credit that it owes for those it gave on.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    part: Part<Item>,
    unreturned: u32,
}

/// Why an item waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Credit,
    Room,
}

impl Pipe {
    pub(crate) fn new(session: &Arc<Session>, side: Side, capacity: u32) -> Arc<Self> {
        Arc::new(Self {
            side,
            session: Arc::downgrade(session),
            capacity,
            ours: session.peer.is_ours(),
            writable: Arc::new(Notify::new()),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            torn: AtomicBool::new(false),
            inbox: Inbox::new(),
        })
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    // --- what the session says; all under its lock, so nothing is woken here

    /// Takes in an item, and those that follow it for as long as there are more.
    pub(crate) fn push(
        &self,
        first: (Payload, Charge),
        more: impl FnMut() -> Option<(Payload, Charge)>,
    ) -> (Option<Waker>, Option<Arc<Notify>>) {
        let mut bytes = 0;
        let items = once(first).chain(from_fn(more));
        let waker = self.inbox.push(items.map(|(payload, charge)| {
            bytes += payload.len() as u64;
            Item { payload, charge }
        }));
        add(&self.bytes_in, bytes);
        (waker, None)
    }

    pub(crate) fn end_input(&self) -> (Option<Waker>, Option<Arc<Notify>>) {
        (self.inbox.end_input(), None)
    }

    pub(crate) fn end(
        &self,
        outcome: Result<(), CallError>,
    ) -> (Option<Waker>, Option<Arc<Notify>>) {
        (self.inbox.end(outcome), Some(self.writable.clone()))
    }

    /// Ends it and takes away what nobody has read, for a stream that was ended because it held too
    /// much: the room is needed now, and its consumer may never look.
    pub(crate) fn give_up(
        &self,
        error: CallError,
    ) -> (GivenUp, (Option<Waker>, Option<Arc<Notify>>)) {
        let (items, reader) = self.inbox.give_up(error);
        (GivenUp { items }, (reader, Some(self.writable.clone())))
    }

    pub(crate) fn writable(&self) -> (Option<Waker>, Option<Arc<Notify>>) {
        (None, Some(self.writable.clone()))
    }

    // --- what the user wants

    /// The next item, or the end.
    pub(crate) fn poll_recv(
        &self,
        taken: &mut Taken,
        waker: &Waker,
    ) -> Poll<Option<Result<Payload, CallError>>> {
        match self.inbox.poll_take(&mut taken.part, waker) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(end)) => return Poll::Ready(end.map(Err)),
            Poll::Pending => return Poll::Pending,
        }
        let Some(item) = taken.part.items.pop_front() else {
            return Poll::Pending;
        };
        taken.unreturned += 1;
        // The last one gives all credit back, so that an idle consumer owes none.
        let was_last = taken.part.items.is_empty();
        if (was_last && !taken.part.more) || taken.unreturned >= self.capacity.div_ceil(4) {
            self.return_credit(taken);
        }
        if was_last && taken.part.items.capacity() > 256 {
            taken.part.items = VecDeque::new();
        }
        drop(item.charge);
        Poll::Ready(Some(Ok(item.payload)))
    }

    /// Tries to send; `Ok(Some(..))` says what to wait for. The item is taken where it is sent, and stays outside of the lock
    /// where it is not: dropping the last reference to a user's bytes is the user's code.
    pub(crate) fn try_send(&self, item: &mut Payload) -> Result<Option<Wait>, SendError> {
        self.submit(|core| self.send_one(core, item))
    }

    /// As [`try_send`](Self::try_send), with many under one lock.
    pub(super) fn try_send_all(&self, items: &mut Gathered) -> Result<Option<Wait>, SendError> {
        self.submit(|core| items.each(|item| self.send_one(core, item)))
    }

    fn send_one(&self, core: &mut Core, item: &mut Payload) -> Result<(), Blocked> {
        let bytes = item.len() as u64;
        match self.side {
            Side::Caller(mux) => core.conn.try_send(mux, item),
            Side::Handler(stream) => core.conn.try_serve_send(stream, item),
        }?;
        add(&self.bytes_out, bytes);
        Ok(())
    }

    fn submit(
        &self,
        mut send: impl FnMut(&mut Core) -> Result<(), Blocked>,
    ) -> Result<Option<Wait>, SendError> {
        let Some(session) = self.session.upgrade() else {
            return Err(self.over());
        };
        loop {
            let mut is_plenty = false;
            let sent = session.send_items(|core| {
                let sent = send(core);
                if let Err(Blocked::QueueFull) = sent {
                    core.sleepers.starve();
                }
                is_plenty = core.has_plenty_of_items();
                sent
            });
            if is_plenty {
                session.write_early();
            }
            return match sent {
                Some(Ok(())) => Ok(None),
                Some(Err(Blocked::NoCredit)) => Ok(Some(Wait::Credit)),
                Some(Err(Blocked::QueueFull)) if session.starve() => continue,
                Some(Err(Blocked::QueueFull)) => Ok(Some(Wait::Room)),
                Some(Err(Blocked::NoInput)) => Err(SendError::NoInput),
                Some(Err(Blocked::Finished)) => Err(SendError::Finished),
                Some(Err(Blocked::TooLarge { len, limit })) => {
                    Err(SendError::Call(CallError::TooLarge { len, limit }))
                }
                Some(Err(_)) | None => Err(self.over()),
            };
        }
    }

    /// What to wait for before trying again; to be made *before* the try that may fail, so that
    /// nothing is missed between.
    pub(crate) fn waits(&self) -> Waits {
        let session = self.session.upgrade();
        // Where there is none any more the try fails, and nobody waits.
        let (room, node_room) = match &session {
            Some(session) => (&session.monitor.room, &session.link.node.room.wake),
            None => (&self.writable, &self.writable),
        };
        Waits {
            credit: self.writable.clone().notified_owned(),
            room: room.clone().notified_owned(),
            node_room: node_room.clone().notified_owned(),
        }
    }

    pub(crate) fn finish(&self) {
        self.with(|core, side| {
            if let Side::Caller(mux) = side {
                core.conn.finish(mux);
            }
        });
    }

    /// What was sent is not all, and is not to look like it.
    pub(super) fn tear(&self) {
        self.torn.store(true, Ordering::Relaxed);
    }

    /// Whether a clean end would be a lie.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }

    /// Ends the stream from the caller's side; nothing happens where it has ended already.
    pub(crate) fn cancel(&self) {
        let Side::Caller(mux) = self.side else { return };
        if self.is_over() {
            return;
        }
        let pipe = self.with(|core, _| {
            core.conn.cancel(mux);
            core.streams.remove(&mux)
        });
        drop(pipe);
        let Some((items, reader)) = self.inbox.cancel(CallError::Cancelled) else {
            return;
        };
        drop(items);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.writable.notify_waiters();
    }

    /// Bytes of items that have arrived and that were sent so far.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes {
            incoming: self.bytes_in.load(Ordering::Relaxed),
            outgoing: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    /// How the whole stream has ended, once it has.
    pub(crate) fn outcome(&self) -> Option<Result<(), CallError>> {
        self.inbox.over()
    }

    fn is_over(&self) -> bool {
        self.inbox.over().is_some()
    }

    fn over(&self) -> SendError {
        match self.inbox.over() {
            Some(Err(error)) => SendError::Call(error),
            Some(Ok(())) | None => SendError::Ended,
        }
    }

    fn return_credit(&self, taken: &mut Taken) {
        let items = mem::take(&mut taken.unreturned);
        self.with(|core, side| match side {
            Side::Caller(mux) => core.conn.consumed(mux, items),
            Side::Handler(stream) => core.conn.serve_consumed(stream, items),
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut Core, Side) -> R) -> Option<R> {
        let session = self.session.upgrade()?;
        session.with(|core| f(core, self.side))
    }
}

/// Adds where the lock of the session is held, so that nobody adds beside it.
fn add(sum: &AtomicU64, bytes: u64) {
    sum.store(sum.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

/// Wakes for a sender: credit of its stream, or room in the queue of the link or of the node.
pub(crate) struct Waits {
    pub(crate) credit: OwnedNotified,
    pub(crate) room: OwnedNotified,
    pub(crate) node_room: OwnedNotified,
}

/// Wakers to be woken once no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    wakers: Vec<Waker>,
    notifies: Vec<Arc<Notify>>,
}

impl Wakes {
    pub(crate) fn add(&mut self, (waker, notify): (Option<Waker>, Option<Arc<Notify>>)) {
        self.wakers.extend(waker);
        self.notifies.extend(notify);
    }

    pub(crate) fn run(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        for notify in self.notifies.drain(..) {
            notify.notify_waiters();
        }
    }
}
