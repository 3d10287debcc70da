//! All who wait for answers of single requests, each on a [`Waiter`].

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Waker,
};

use foldhash::fast::RandomState;
use grid_proto::MuxId;

use super::{
    Answer,
    waiter::{Idle, Waiter},
};
use crate::{error::CallError, state::LinkCause};

/// As many are kept to be used again, until the link has been quiet for a while.
const MOST_IDLE: usize = 256;

/// An answer that is owed to somebody who waits. Whatever becomes of it, they get one: nothing else would end their wait.
pub(crate) struct Owed(Option<Arc<Waiter<Answer>>>);

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
pub(crate) struct Waiters {
    open: HashMap<MuxId, Owed, RandomState>,
    idle: Idle<Answer>,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self {
            open: HashMap::default(),
            idle: Idle::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Adds one for this request. `waker` is woken by the answer.
    pub(super) fn add(&mut self, mux: MuxId, waker: Option<Waker>) -> Arc<Waiter<Answer>> {
        let waiter = self.idle.take(waker);
        self.open.insert(mux, Owed(Some(waiter.clone())));
        waiter
    }

    /// Takes out the one of this request, whose answer has come.
    pub(super) fn answered(&mut self, mux: MuxId) -> Option<Owed> {
        let owed = self.open.remove(&mux)?;
        if let Some(waiter) = &owed.0 {
            self.idle.keep(waiter, MOST_IDLE);
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

    /// To be called now and then: keeps half of what is there to be used again.
    pub(super) fn forget_some(&mut self) {
        self.idle.halve();
    }

    /// An idle link keeps no trace of its busiest moment.
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() && self.open.capacity() > 1024 {
            self.open = HashMap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Poll},
    };

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

    fn polled(waiter: &Waiter<Answer>, counter: &Arc<Counter>) -> Option<Vec<u8>> {
        let waker = Waker::from(counter.clone());
        match waiter.poll(&Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer.expect("an answer").as_slice().to_vec()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_latest_waker_is_woken_once_and_the_answer_comes_once() {
        let mut waiters = Waiters::new();
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
        let mut waiters = Waiters::new();
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
        let mut waiters = Waiters::new();
        let waiter = waiters.add(MuxId::new(1), None);
        let owed = waiters.answered(MuxId::new(1)).expect("it is there");
        waiter.leave();
        let payload = bytes::Bytes::from(vec![7; 9]);
        owed.answer(Ok(Payload::from(payload.clone())));
        assert!(payload.is_unique());
    }

    #[test]
    fn whoever_is_forgotten_is_told_so() {
        let mut waiters = Waiters::new();
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
        let mut waiters = Waiters::new();
        for mux in 0..1_000 {
            waiters.add(MuxId::new(mux), None);
        }
        for mux in 0..1_000 {
            assert!(waiters.answered(MuxId::new(mux)).is_some());
        }
        assert_eq!((waiters.len(), waiters.idle.sizes().0), (0, MOST_IDLE));
        (0..9).for_each(|_| waiters.forget_some());
        assert_eq!(waiters.idle.sizes(), (0, 0));
    }
}
