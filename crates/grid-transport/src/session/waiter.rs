//! One who waits for an answer that comes once, and those that are kept to be used again.
//!
//! What a caller waits on is used again once it has gone, so that one call after another allocates nothing for it. Nobody
//! says that it has gone: the count of who holds it does.
//!
//! ```text
//!   [waiting, waker] ──answer──► [answered] ──poll──► [taken] ──all but one who keeps it have let go──► [waiting]
//!          └───────────────────────leave─────────────────┘
//! ```

// All that a model checker puts something else in place of.
use crate::sync::{Counted, Mutex};

use std::{
    collections::VecDeque,
    fmt, mem,
    task::{Context, Poll, Waker},
};

/// Where one answer arrives.
pub(crate) struct Waiter<A>(Mutex<State<A>>);

enum State<A> {
    Waiting(Option<Waker>),
    Answered(A),
    Taken,
}

impl<A> Waiter<A> {
    fn new(waker: Option<Waker>) -> Self {
        Self(Mutex::new(State::Waiting(waker)))
    }

    /// Hands in the answer, unless nobody looks any more; where no lock is held, as it wakes.
    pub(crate) fn answer(&self, answer: A) {
        let waker = {
            let mut state = self.0.lock();
            let State::Waiting(waker) = &mut *state else {
                return;
            };
            let waker = waker.take();
            *state = State::Answered(answer);
            waker
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The answer, once; never again after that.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<A> {
        if let Some(polled) = self.look(cx) {
            return polled;
        }
        // To clone and to drop a waker is code of the user.
        let waker = cx.waker().clone();
        let before = {
            let mut state = self.0.lock();
            match &mut *state {
                State::Waiting(before) => before.replace(waker),
                _ => Some(waker),
            }
        };
        drop(before);
        // It may have come meanwhile.
        self.look(cx).unwrap_or(Poll::Pending)
    }

    /// `None` where the waker has to be put in.
    fn look(&self, cx: &Context<'_>) -> Option<Poll<A>> {
        let mut state = self.0.lock();
        match &*state {
            State::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => {
                return Some(Poll::Pending);
            }
            State::Waiting(_) => return None,
            State::Answered(_) | State::Taken => {}
        }
        match mem::replace(&mut *state, State::Taken) {
            State::Answered(answer) => Some(Poll::Ready(answer)),
            _ => Some(Poll::Pending),
        }
    }

    /// Nobody will look any more.
    pub(crate) fn leave(&self) {
        let before = mem::replace(&mut *self.0.lock(), State::Taken);
        drop(before);
    }
}

impl<A> fmt::Debug for Waiter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

/// Waiters that have been answered, the earliest first: its caller is the likeliest to have gone.
pub(crate) struct Idle<A>(VecDeque<Counted<Waiter<A>>>);

impl<A> Idle<A> {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// One that nobody holds but its next caller; `waker` is woken by its answer.
    pub(crate) fn take(&mut self, waker: Option<Waker>) -> Counted<Waiter<A>> {
        if let Some(mut idle) = self.0.pop_front() {
            if let Some(waiter) = Counted::get_mut(&mut idle) {
                // What it held went when its caller did.
                *waiter.0.get_mut() = State::Waiting(waker);
                return idle;
            }
            self.0.push_back(idle);
        }
        Counted::new(Waiter::new(waker))
    }

    /// Keeps one, unless so many are kept; its caller may still hold it, and so may its answer.
    pub(crate) fn keep(&mut self, waiter: &Counted<Waiter<A>>, most: usize) {
        if self.0.len() < most {
            self.0.push_back(waiter.clone());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps half of what is there.
    pub(crate) fn halve(&mut self) {
        self.0.truncate(self.0.len() / 2);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// How many are kept, and for how many there is memory.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.0.len(), self.0.capacity())
    }
}
