//! What has arrived on a stream and nobody has taken yet, and the one who waits for it.
//!
//! Its lock is the innermost: it is taken under the session's, and nothing under it. What puts something in returns the
//! waker of who waits, to be woken where no lock is held.

// All that a model checker puts something else in place of.
use crate::sync::{AtomicBool, Mutex, Ordering};

use std::{
    collections::VecDeque,
    mem,
    task::{Poll, Waker},
};

/// The most items, and the most bytes, that leave at once: what a consumer has taken out nobody takes away from it, be it
/// that it never looks again. One item leaves, however large it is.
const PART_ITEMS: usize = 32;
const PART_BYTES: usize = 64 * 1024;

/// An item, which says how much it holds.
pub(crate) trait Weigh {
    /// Bytes.
    fn weight(&self) -> usize;
}

/// Items that a consumer has taken out at once.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(crate) items: VecDeque<T>,
    /// There were more.
    pub(crate) more: bool,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            more: false,
        }
    }
}

/// Undelivered items and how the stream ended.
#[derive(Debug)]
pub(crate) struct Inbox<T, E> {
    cancelled: AtomicBool,
    state: Mutex<State<T, E>>,
}

#[derive(Debug)]
struct State<T, E> {
    items: VecDeque<T>,
    /// How the items end, once they do.
    input_end: Option<Result<(), E>>,
    /// How the whole stream ended.
    over: Option<Result<(), E>>,
    reader: Option<Waker>,
}

impl<T: Weigh, E: Clone> Inbox<T, E> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            input_end: None,
            over: None,
            reader: None,
        };
        Self {
            cancelled: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Takes in items that have come in a row. `items` runs under the lock.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = T>) -> Option<Waker> {
        let mut state = self.state.lock();
        items
            .into_iter()
            .for_each(|item| state.items.push_back(item));
        state.reader.take()
    }

    /// No more items come; the stream goes on.
    pub(crate) fn end_input(&self) -> Option<Waker> {
        let mut state = self.state.lock();
        state.input_end.get_or_insert(Ok(()));
        state.reader.take()
    }

    /// The stream is over. What has arrived can still be taken, and the outcome comes after it.
    pub(crate) fn end(&self, outcome: Result<(), E>) -> Option<Waker> {
        self.state.lock().end(outcome)
    }

    /// The stream is over by an error, and what nobody has taken is taken away. In one step: who looks between the two
    /// finds a clean end of the input where there is one, although items are missing.
    pub(crate) fn give_up(&self, error: E) -> (VecDeque<T>, Option<Waker>) {
        let mut state = self.state.lock();
        let items = mem::take(&mut state.items);
        let reader = state.end(Err(error));
        (items, reader)
    }

    /// The user gives the stream up: what has arrived is not delivered any more. `None` where it was over.
    pub(crate) fn cancel(&self, error: E) -> Option<(VecDeque<T>, Option<Waker>)> {
        let mut state = self.state.lock();
        if state.over.is_some() {
            return None;
        }
        state.over = Some(Err(error.clone()));
        state.input_end = Some(Err(error));
        self.cancelled.store(true, Ordering::Release);
        Some((mem::take(&mut state.items), state.reader.take()))
    }

    /// How the stream ended.
    pub(crate) fn over(&self) -> Option<Result<(), E>> {
        self.state.lock().over.clone()
    }

    /// Ready with `Ok` when there is something in `taken`, moved there if it was empty; with `Err` at the end, which
    /// tells an error once.
    pub(crate) fn poll_take(
        &self,
        taken: &mut Part<T>,
        waker: &Waker,
    ) -> Poll<Result<(), Option<E>>> {
        if self.cancelled.load(Ordering::Acquire) {
            taken.items.clear();
        }
        if !taken.items.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let waker = waker.clone();
        let mut state = self.state.lock();
        if !state.items.is_empty() {
            state.take_part(taken);
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &mut state.input_end {
            return Poll::Ready(Err(mem::replace(end, Ok(())).err()));
        }
        let before = state.reader.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T: Weigh, E: Clone> State<T, E> {
    fn end(&mut self, outcome: Result<(), E>) -> Option<Waker> {
        if outcome.is_err() || self.input_end.is_none() {
            self.input_end = Some(outcome.clone());
        }
        self.over.get_or_insert(outcome);
        self.reader.take()
    }

    /// Moves as many items as may leave at once to `taken`, which is empty.
    fn take_part(&mut self, taken: &mut Part<T>) {
        let mut bytes = 0_usize;
        let fits = |item: &&T| {
            bytes = bytes.saturating_add(item.weight());
            bytes <= PART_BYTES
        };
        let first = self.items.iter().take(PART_ITEMS);
        let count = first.take_while(fits).count().max(1);
        taken.more = count < self.items.len();
        if taken.more {
            taken.items.extend(self.items.drain(..count));
        } else {
            mem::swap(&mut self.items, &mut taken.items);
        }
    }
}
