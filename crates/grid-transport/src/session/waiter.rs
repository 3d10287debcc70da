//! Who waits for the answer of a single request.
//!
//! What a caller waits on is used again once it has gone, so that one call after another allocates nothing for it.

use std::{
    collections::{HashMap, VecDeque},
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use foldhash::fast::RandomState;
use grid_proto::MuxId;
use parking_lot::Mutex;

use super::Answer;
use crate::{error::CallError, state::LinkCause};

/// As many are kept to be used again, until the link has been quiet for a while.
const MOST_IDLE: usize = 256;

/// Where the answer of one request arrives.
pub(crate) struct Waiter(Mutex<State>);

enum State {
    Waiting(Option<Waker>),
    Answered(Answer),
    Taken,
}

impl Waiter {
    fn new(waker: Option<Waker>) -> Self {
        Self(Mutex::new(State::Waiting(waker)))
    }

    /// Hands in the answer, unless nobody looks any more; where no lock is held, as it wakes.
    fn answer(&self, answer: Answer) {
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
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Answer> {
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
    fn look(&self, cx: &Context<'_>) -> Option<Poll<Answer>> {
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

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

/// An answer that is owed to somebody who waits. Whatever becomes of it, they get one: nothing else would end their wait.
pub(crate) struct Owed(Option<Arc<Waiter>>);

impl Owed {
    /// Hands in the answer; where no lock is held, as it wakes.
    pub(super) fn answer(mut self, answer: Answer) {
        if let Some(waiter) = self.0.take() {
            waiter.answer(answer);
        }
    }

    /// Its caller has gone.
    pub(super) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let Some(waiter) = self.0.take() else {
            return;
        };
        // A waker that panicked dropped the answers of all others; a second panic would end the process.
        let told = catch_unwind(AssertUnwindSafe(|| {
            waiter.answer(Err(CallError::Disconnected {
                cause: Arc::new(LinkCause::Panicked),
            }));
        }));
        if let Err(panic) = told {
            super::panic_text(panic);
        }
    }
}

/// All who wait for answers of one session; behind its lock.
#[derive(Default)]
pub(crate) struct Waiters {
    open: HashMap<MuxId, Owed, RandomState>,
    /// Those that have been answered, the earliest first: its caller is the likeliest to have gone.
    idle: VecDeque<Arc<Waiter>>,
}

impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Adds one for this request. `waker` is woken by the answer.
    pub(super) fn add(&mut self, mux: MuxId, waker: Option<Waker>) -> Arc<Waiter> {
        let waiter = match self.idle.pop_front() {
            Some(mut idle) => match Arc::get_mut(&mut idle) {
                Some(waiter) => {
                    // What it held went when its caller did.
                    *waiter.0.get_mut() = State::Waiting(waker);
                    idle
                }
                None => {
                    self.idle.push_back(idle);
                    Arc::new(Waiter::new(waker))
                }
            },
            None => Arc::new(Waiter::new(waker)),
        };
        self.open.insert(mux, Owed(Some(waiter.clone())));
        waiter
    }

    /// Takes out the one of this request, whose answer has come.
    pub(super) fn answered(&mut self, mux: MuxId) -> Option<Owed> {
        let owed = self.open.remove(&mux)?;
        if self.idle.len() < MOST_IDLE {
            self.idle.extend(owed.0.clone());
        }
        Some(owed)
    }

    /// Takes out the one of this request, whose caller has gone.
    pub(super) fn remove(&mut self, mux: MuxId) -> Option<Owed> {
        self.open.remove(&mux)
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Owed> {
        self.idle.clear();
        self.open.drain().map(|(_, owed)| owed)
    }

    /// An idle link keeps no trace of its busiest moment.
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() && self.open.capacity() > 1024 {
            self.open = HashMap::default();
        }
    }

    /// To be called now and then: keeps half of what is there to be used again.
    pub(super) fn forget_some(&mut self) {
        self.idle.truncate(self.idle.len() / 2);
        if self.idle.is_empty() {
            self.idle = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use grid_proto::Payload;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl std::task::Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answer(text: &'static str) -> Answer {
        Ok(Payload::from(text))
    }

    fn polled(waiter: &Waiter, counter: &Arc<Counter>) -> Option<Vec<u8>> {
        let waker = Waker::from(counter.clone());
        match waiter.poll(&Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer.expect("an answer").as_slice().to_vec()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_latest_waker_is_woken_once_and_the_answer_comes_once() {
        let mut waiters = Waiters::default();
        let [first, second] = [0, 1].map(|_| Arc::new(Counter::default()));
        let waiter = waiters.add(MuxId::new(1), Some(Waker::from(first.clone())));
        assert_eq!(polled(&waiter, &first), None);
        assert_eq!(polled(&waiter, &second), None);
        waiters
            .answered(MuxId::new(1))
            .expect("it is there")
            .answer(answer("yes"));
        assert_eq!(
            [&first, &second].map(|counter| counter.0.load(Ordering::Relaxed)),
            [0, 1]
        );
        assert_eq!(polled(&waiter, &second), Some(b"yes".to_vec()));
        assert_eq!(polled(&waiter, &second), None);
        assert!(waiters.answered(MuxId::new(1)).is_none());
    }

    #[test]
    fn one_is_used_again_when_its_caller_has_gone_and_not_before() {
        let mut waiters = Waiters::default();
        let counter = Arc::new(Counter::default());
        let held = waiters.add(MuxId::new(1), None);
        let address = Arc::as_ptr(&held);
        waiters
            .answered(MuxId::new(1))
            .expect("it is there")
            .answer(answer("old"));
        let other = waiters.add(MuxId::new(2), None);
        assert_ne!(
            Arc::as_ptr(&other),
            address,
            "its caller has not looked yet"
        );
        assert_eq!(polled(&held, &counter), Some(b"old".to_vec()));
        drop(held);
        let again = waiters.add(MuxId::new(3), None);
        assert_eq!(Arc::as_ptr(&again), address);
        assert_eq!(
            polled(&again, &counter),
            None,
            "nothing is left of the old one"
        );
        waiters
            .answered(MuxId::new(3))
            .expect("it is there")
            .answer(answer("new"));
        assert_eq!(polled(&again, &counter), Some(b"new".to_vec()));
    }

    #[test]
    fn an_answer_that_comes_after_its_caller_has_gone_is_not_kept() {
        let mut waiters = Waiters::default();
        let waiter = waiters.add(MuxId::new(1), None);
        let owed = waiters.answered(MuxId::new(1)).expect("it is there");
        waiter.leave();
        let payload = bytes::Bytes::from(vec![7; 9]);
        owed.answer(Ok(Payload::from(payload.clone())));
        assert!(payload.is_unique());
    }

    #[test]
    fn whoever_is_forgotten_is_told_so() {
        let mut waiters = Waiters::default();
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let [first, second] = [1, 2].map(|mux| waiters.add(MuxId::new(mux), Some(waker.clone())));
        drop(waiters.answered(MuxId::new(1)));
        drop(waiters);
        for waiter in [first, second] {
            let polled = waiter.poll(&Context::from_waker(&waker));
            assert!(matches!(
                polled,
                Poll::Ready(Err(CallError::Disconnected { .. }))
            ));
        }
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn those_kept_are_few_and_get_fewer() {
        let mut waiters = Waiters::default();
        for mux in 0..1_000 {
            waiters.add(MuxId::new(mux), None);
        }
        for mux in 0..1_000 {
            assert!(waiters.answered(MuxId::new(mux)).is_some());
        }
        assert_eq!((waiters.len(), waiters.idle.len()), (0, MOST_IDLE));
        (0..9).for_each(|_| waiters.forget_some());
        assert_eq!(waiters.idle.capacity(), 0);
    }
}
