//! Knows when all of a session is gone.
//!
//! Reader, writer and attached handlers of a session each hold a [`Pass`]. Once the guard is
//! closed no pass is given out any more, and [`Guard::gone`] resolves when the last one has been
//! dropped. The link waits for that before it reads the first message of the next connection
//! (protocol section 9), so nothing of an old session can touch a new one.
//!
//! ```text
//!          enter                        close                  last pass dropped
//! [open] <------> [open, n held] -----------------> [closing] --------------------> [gone]
//!                                                       |          abandon            ^
//!                                                       +-----------------------------+
//! ```

// All that a model checker puts something else in place of.
use crate::sync::{Arc, Mutex};

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    task::{Poll, Waker},
};

/// Counts who is still inside a session, by label.
pub(crate) struct Guard<L: Ord + Copy> {
    state: Arc<Mutex<State<L>>>,
}

struct State<L> {
    closing: bool,
    abandoned: bool,
    held: BTreeMap<L, usize>,
    waiter: Option<Waker>,
}

impl<L: Ord + Copy> Guard<L> {
    pub(crate) fn new() -> Self {
        let state = State {
            closing: false,
            abandoned: false,
            held: BTreeMap::new(),
            waiter: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Lets somebody in; `None` once the guard is closing.
    pub(crate) fn enter(&self, label: L) -> Option<Pass<L>> {
        let mut state = self.state.lock();
        if state.closing {
            return None;
        }
        *state.held.entry(label).or_insert(0) += 1;
        Some(Pass {
            state: self.state.clone(),
            label,
        })
    }

    /// Lets nobody in from now on. True for the first who says so.
    pub(crate) fn close(&self) -> bool {
        let (first, waiter) = {
            let mut state = self.state.lock();
            let first = !std::mem::replace(&mut state.closing, true);
            (first, state.wake_if_gone())
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        first
    }

    /// Gives up on those who are still inside, and says who they are: what they hold no longer
    /// keeps the session from being gone.
    pub(crate) fn abandon(&self) -> Vec<(L, usize)> {
        let (left, waiter) = {
            let mut state = self.state.lock();
            state.abandoned = true;
            let left = state
                .held
                .iter()
                .map(|(label, count)| (*label, *count))
                .collect();
            (left, state.wake_if_gone())
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        left
    }

    /// Waits until the guard is closing and nobody is inside.
    ///
    /// # Cancel safety
    ///
    /// Safe; only the latest waiter is woken.
    pub(crate) async fn gone(&self) {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.state.lock();
            if state.is_gone() {
                return Poll::Ready(());
            }
            let before = state.waiter.replace(waker);
            drop(state);
            drop(before);
            Poll::Pending
        })
        .await;
    }
}

impl<L> State<L> {
    fn is_gone(&self) -> bool {
        self.closing && (self.abandoned || self.held.is_empty())
    }

    fn wake_if_gone(&mut self) -> Option<Waker> {
        if self.is_gone() {
            self.waiter.take()
        } else {
            None
        }
    }
}

impl<L: Ord + Copy> fmt::Debug for Guard<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Guard")
            .field("closing", &state.closing)
            .field("held", &state.held.values().sum::<usize>())
            .finish()
    }
}

/// Held by whoever is inside; leaving is dropping it.
pub(crate) struct Pass<L: Ord + Copy> {
    state: Arc<Mutex<State<L>>>,
    label: L,
}

impl<L: Ord + Copy> Drop for Pass<L> {
    fn drop(&mut self) {
        let waiter = {
            let mut state = self.state.lock();
            if let Some(count) = state.held.get_mut(&self.label) {
                *count -= 1;
                if *count == 0 {
                    state.held.remove(&self.label);
                }
            }
            state.wake_if_gone()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<L: Ord + Copy> fmt::Debug for Pass<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}
