//! Who waits for an answer: it gets its own, once and no later than it comes, on a waiter that others have used before.

use std::{
    future::poll_fn,
    task::{Context, Poll, Wake, Waker},
};

use loom::{future::block_on, thread};

use super::waiter::{Idle, Waiter};
use crate::{
    explore::{Explored, explore, explore_to},
    sync::{Arc, Counted, Mutex},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("an answer reaches one who looks while it comes", looks),
    ("an answer reaches one who asked with its waker", asked_with_a_waker),
    ("an answer wakes who looked last", waker_changes),
    ("who is woken may look at once", looks_as_it_wakes),
    ("nothing is kept of a call whose caller leaves", leaves),
    ("used again while its caller is just going", another_caller),
    ("used again while its answer is on the way", late_answer),
    ("one call after another", one_after_another),
];

/// That of the call of this number; its owners can be counted.
type Answer = Arc<u32>;

/// All who wait, as a session has them behind its lock.
struct Calls {
    open: Vec<(u32, Counted<Waiter<Answer>>)>,
    idle: Idle<Answer>,
}

type Session = Arc<Mutex<Calls>>;

fn session() -> Session {
    Arc::new(Mutex::new(Calls {
        open: Vec::new(),
        idle: Idle::new(),
    }))
}

impl Calls {
    fn remove(&mut self, number: u32) -> Option<Counted<Waiter<Answer>>> {
        let index = self.open.iter().position(|(open, _)| *open == number)?;
        Some(self.open.swap_remove(index).1)
    }
}

fn ask(session: &Session, number: u32, waker: Option<Waker>) -> Counted<Waiter<Answer>> {
    let mut calls = session.lock();
    let waiter = calls.idle.take(waker);
    calls.open.push((number, waiter.clone()));
    waiter
}

/// As the reader does it.
fn answer(session: &Session, number: u32, answer: Answer) {
    let owed = {
        let mut calls = session.lock();
        let owed = calls.remove(number);
        if let Some(waiter) = &owed {
            calls.idle.keep(waiter, 2);
        }
        owed
    };
    if let Some(waiter) = owed {
        waiter.answer(answer);
    }
}

/// As a caller does that is dropped before its answer.
fn leave(session: &Session, number: u32, waiter: Counted<Waiter<Answer>>) {
    let owed = session.lock().remove(number);
    drop(owed);
    waiter.leave();
}

/// Answers on a thread of its own.
fn reader(session: &Session, number: u32) -> thread::JoinHandle<()> {
    let session = session.clone();
    thread::spawn(move || answer(&session, number, Arc::new(number)))
}

fn wait(waiter: &Waiter<Answer>) -> u32 {
    *block_on(poll_fn(|cx| waiter.poll(cx)))
}

/// A look by somebody else than [`wait`]s.
fn look(waiter: &Waiter<Answer>) -> Poll<Answer> {
    waiter.poll(&Context::from_waker(Waker::noop()))
}

fn looks() -> Explored {
    explore(|| {
        let session = session();
        let waiter = ask(&session, 1, None);
        let reader = reader(&session, 1);
        assert_eq!(wait(&waiter), 1);
        assert!(look(&waiter).is_pending(), "an answer comes once");
        reader.join().unwrap();
    })
}

fn asked_with_a_waker() -> Explored {
    explore(|| {
        let session = session();
        let (got, reader) = block_on(async {
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            let waiter = ask(&session, 1, Some(waker));
            let reader = reader(&session, 1);
            (poll_fn(|cx| waiter.poll(cx)).await, reader)
        });
        assert_eq!(*got, 1);
        reader.join().unwrap();
    })
}

fn waker_changes() -> Explored {
    explore(|| {
        let session = session();
        let waiter = ask(&session, 1, Some(Waker::noop().clone()));
        let reader = reader(&session, 1);
        match look(&waiter) {
            Poll::Ready(got) => assert_eq!(*got, 1),
            Poll::Pending => assert_eq!(wait(&waiter), 1),
        }
        reader.join().unwrap();
    })
}

/// A future that is polled where it is woken.
struct Looks {
    waiter: Mutex<Option<Counted<Waiter<Answer>>>>,
    got: Mutex<Option<Answer>>,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let waiter = self.waiter.lock().take();
        if let Some(Poll::Ready(got)) = waiter.map(|waiter| look(&waiter)) {
            *self.got.lock() = Some(got);
        }
    }
}

fn looks_as_it_wakes() -> Explored {
    explore(|| {
        let session = session();
        let looks = Arc::new(Looks {
            waiter: Mutex::new(None),
            got: Mutex::new(None),
        });
        let waiter = ask(&session, 1, Some(Waker::from(looks.clone())));
        *looks.waiter.lock() = Some(waiter);
        answer(&session, 1, Arc::new(1));
        assert_eq!(looks.got.lock().as_deref(), Some(&1));
    })
}

/// A waker whose owners can be counted.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

fn leaves() -> Explored {
    explore(|| {
        let session = session();
        let (owner, waker) = (Arc::new(1), Arc::new(Nobody));
        let waiter = ask(&session, 1, Some(Waker::from(waker.clone())));
        let reader = {
            let (session, owner) = (session.clone(), owner.clone());
            thread::spawn(move || answer(&session, 1, owner))
        };
        leave(&session, 1, waiter);
        reader.join().unwrap();
        assert_eq!(Arc::strong_count(&owner), 1, "an answer is kept that nobody takes");
        assert_eq!(Arc::strong_count(&waker), 1, "a waker is kept of one who has gone");
    })
}

fn another_caller() -> Explored {
    explore(|| {
        let session = session();
        let first = ask(&session, 1, None);
        let caller = thread::spawn(move || {
            assert_eq!(wait(&first), 1);
            drop(first);
        });
        answer(&session, 1, Arc::new(1));
        let second = ask(&session, 2, None);
        assert!(look(&second).is_pending(), "nothing is left of the first");
        answer(&session, 2, Arc::new(2));
        assert_eq!(wait(&second), 2);
        caller.join().unwrap();
    })
}

fn late_answer() -> Explored {
    explore(|| {
        let session = session();
        let first = ask(&session, 1, None);
        let reader = reader(&session, 1);
        leave(&session, 1, first);
        let second = ask(&session, 2, None);
        reader.join().unwrap();
        assert!(look(&second).is_pending(), "the answer of another");
        answer(&session, 2, Arc::new(2));
        assert_eq!(wait(&second), 2);
    })
}

/// Within three preemptions.
fn one_after_another() -> Explored {
    explore_to(3, || {
        let session = session();
        let readers = [1, 2].map(|number| {
            let waiter = ask(&session, number, None);
            let reader = reader(&session, number);
            assert_eq!(wait(&waiter), number);
            reader
        });
        for reader in readers {
            reader.join().unwrap();
        }
    })
}
