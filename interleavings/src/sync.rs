//! What stands in the place of `grid_transport`'s `sync`: types whose every step the model checker can put in any order.
//!
//! loom has locks, atomics and `Arc`. `Notify` and `CancellationToken` are tokio's; here they are what tokio's
//! documentation promises of them, and no more, on top of loom's lock.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};

// The count of an `Arc` is nobody's hand-made synchronisation; modelling it would only multiply the orders.
pub(crate) use std::sync::Arc;

// But of these it decides who may write, by `get_mut`.
pub(crate) use loom::sync::Arc as Counted;

pub(crate) use loom::sync::{
    MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// A lock without poisoning, as `parking_lot`'s.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(|_| unreachable!("a check ends with its first panic"))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(|_| unreachable!("a check ends with its first panic"))
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// `tokio::sync::Notify`.
#[derive(Debug)]
pub(crate) struct Notify(Mutex<Notifying>);

#[derive(Debug)]
struct Notifying {
    permit: bool,
    /// Counts `notify_waiters`, by which every future that was made before is woken, polled or not.
    rounds: usize,
    next: usize,
    waiting: VecDeque<(usize, Waker)>,
    /// Those who were woken by `notify_one` and do not know it yet.
    chosen: Vec<usize>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Notifying {
            permit: false,
            rounds: 0,
            next: 0,
            waiting: VecDeque::new(),
            chosen: Vec::new(),
        }))
    }

    pub(crate) fn notify_one(&self) {
        let chosen = self.0.lock().choose();
        if let Some(waker) = chosen {
            waker.wake();
        }
    }

    pub(crate) fn notify_waiters(&self) {
        let woken = {
            let mut state = self.0.lock();
            state.rounds += 1;
            mem::take(&mut state.waiting)
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified {
            round: self.0.lock().rounds,
            notify: self,
            number: None,
            over: false,
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notifying {
    fn choose(&mut self) -> Option<Waker> {
        let Some((number, waker)) = self.waiting.pop_front() else {
            self.permit = true;
            return None;
        };
        self.chosen.push(number);
        Some(waker)
    }
}

pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    round: usize,
    number: Option<usize>,
    over: bool,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.notify.0.lock();
        let chosen = state
            .chosen
            .iter()
            .position(|number| Some(*number) == this.number);
        if let Some(index) = chosen {
            state.chosen.swap_remove(index);
        }
        this.over = chosen.is_some()
            || state.rounds != this.round
            || (this.number.is_none() && mem::take(&mut state.permit));
        if this.over {
            return Poll::Ready(());
        }
        let number = match this.number {
            Some(number) => number,
            None => {
                state.next += 1;
                state.next
            }
        };
        this.number = Some(number);
        state.waiting.retain(|(other, _)| *other != number);
        state.waiting.push_back((number, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number.filter(|_| !self.over) else {
            return;
        };
        let next = {
            let mut state = self.notify.0.lock();
            state.waiting.retain(|(other, _)| *other != number);
            match state.chosen.iter().position(|other| *other == number) {
                Some(index) => {
                    state.chosen.swap_remove(index);
                    state.choose()
                }
                None => None,
            }
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// `tokio_util::sync::CancellationToken`, without children.
#[derive(Clone)]
pub(crate) struct CancellationToken(Arc<Cancelling>);

struct Cancelling {
    fired: AtomicBool,
    wake: Notify,
}

impl CancellationToken {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Cancelling {
            fired: AtomicBool::new(false),
            wake: Notify::new(),
        }))
    }

    pub(crate) fn cancel(&self) {
        if !self.0.fired.swap(true, Ordering::AcqRel) {
            self.0.wake.notify_waiters();
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.fired.load(Ordering::Acquire)
    }

    pub(crate) async fn cancelled(&self) {
        let wake = self.0.wake.notified();
        if !self.is_cancelled() {
            wake.await;
        }
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancellationToken")
    }
}
