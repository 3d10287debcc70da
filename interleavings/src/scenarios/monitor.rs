//! The lock of a session: nobody sleeps through what concerns them, and an end ends all.
//!
//! The state here is the least that has all the waits of a session: a queue with room for one, what the writer has in
//! hand, a time when something is due.

use std::time::{Duration, Instant};

use loom::{future::block_on, thread};

use super::monitor::{Monitor, Now, Sleepers, State};
use crate::{
    explore::{Explored, explore, explore_to},
    sync::Arc,
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("the writer hears of what is queued", writer),
    ("two submit and the writer hears of both", two_submitters),
    ("the writer hears of items", items),
    ("one who finds no room hears of it", room),
    ("an item without room hears of it", item_without_room),
    ("an end reaches one who waits for room", end_without_room),
    ("an end reaches the writer, with its cause", end_reaches_the_writer),
    ("nothing begins after the end, whoever ends it", two_ends),
    ("an earlier time reaches the timer", timer),
    ("drained when all is written", drained),
    ("an end is drained", end_is_drained),
];

struct Queue {
    sleepers: Sleepers,
    queued: usize,
    limit: usize,
    submitted: usize,
    written: usize,
    due: Option<Instant>,
    cause: Option<&'static str>,
}

impl State for Queue {
    fn look(&mut self) -> (Now, &mut Sleepers) {
        let now = Now {
            wants_transmit: self.queued > 0,
            due: self.due,
            has_room: self.queued < self.limit,
            idle: self.queued == 0,
            ended: self.cause.is_some(),
        };
        (now, &mut self.sleepers)
    }

    fn sleepers(&mut self) -> &mut Sleepers {
        &mut self.sleepers
    }
}

#[derive(Debug, PartialEq)]
enum Submitted {
    Done,
    Full,
    Ended,
}

type Session = Arc<Monitor<Queue>>;

fn session(limit: usize) -> Session {
    Arc::new(Monitor::new(Queue {
        sleepers: Sleepers::new(),
        queued: 0,
        limit,
        submitted: 0,
        written: 0,
        due: None,
        cause: None,
    }))
}

fn with<R>(session: &Session, f: impl FnOnce(&mut Queue) -> R) -> R {
    let (result, wakes) = session.change(f);
    session.ring(&wakes);
    result
}

fn submit(session: &Session) -> Submitted {
    with(session, |queue| {
        if queue.cause.is_some() {
            return Submitted::Ended;
        }
        if queue.queued >= queue.limit {
            queue.sleepers.starve();
            return Submitted::Full;
        }
        queue.queued += 1;
        queue.submitted += 1;
        Submitted::Done
    })
}

/// As items are submitted.
fn submit_item(session: &Session) -> Submitted {
    let (sent, wakes) = session.queue(|queue| {
        if queue.cause.is_some() {
            return Err(Submitted::Ended);
        }
        if queue.queued >= queue.limit {
            queue.sleepers.starve();
            return Err(Submitted::Full);
        }
        queue.queued += 1;
        queue.submitted += 1;
        Ok(Submitted::Done)
    });
    session.ring(&wakes);
    sent.unwrap_or_else(|failed| failed)
}

/// As callers submit: the wake is made before the try.
async fn submit_when_there_is_room(session: &Session) -> Submitted {
    loop {
        let room = session.room.notified();
        match submit(session) {
            Submitted::Full => room.await,
            other => return other,
        }
    }
}

fn end(session: &Session, cause: &'static str) {
    with(session, |queue| {
        if queue.cause.is_none() {
            queue.cause = Some(cause);
            queue.queued = 0;
        }
    });
}

/// As the writer works; returns how many it has written, once it is so many or the session has ended.
async fn write(session: &Session, until: usize) -> usize {
    let mut written = 0;
    loop {
        let taken = with(session, |queue| {
            queue.written = written;
            let taken = std::mem::take(&mut queue.queued);
            queue.sleepers.writer_takes(taken == 0);
            taken
        });
        if taken > 0 {
            written += taken;
            continue;
        }
        if written >= until {
            return written;
        }
        tokio::select! {
            biased;
            () = session.closing.cancelled() => return written,
            () = session.writer.notified() => {}
        }
    }
}

/// Within four preemptions.
fn writer() -> Explored {
    explore_to(4, || {
        let session = session(2);
        let caller = {
            let session = session.clone();
            thread::spawn(move || [submit(&session), submit(&session)])
        };
        assert_eq!(block_on(write(&session, 2)), 2);
        assert_eq!(caller.join().unwrap(), [Submitted::Done, Submitted::Done]);
    })
}

/// Within three preemptions.
fn items() -> Explored {
    explore_to(3, || {
        let session = session(2);
        let caller = {
            let session = session.clone();
            thread::spawn(move || [submit_item(&session), submit_item(&session)])
        };
        assert_eq!(block_on(write(&session, 2)), 2);
        assert_eq!(caller.join().unwrap(), [Submitted::Done, Submitted::Done]);
    })
}

/// There is room by the time that it says that it waits for some: whoever made it does not look again.
fn item_without_room() -> Explored {
    explore(|| {
        let session = session(1);
        let room = session.room.notified();
        let (failed, wakes) = session.queue(|queue| {
            queue.sleepers.starve();
            Err::<(), _>(Submitted::Full)
        });
        session.ring(&wakes);
        assert_eq!(failed, Err(Submitted::Full));
        block_on(room);
    })
}

/// Within three preemptions.
fn two_submitters() -> Explored {
    explore_to(3, || {
        let session = session(2);
        let callers = [0, 1].map(|_| {
            let session = session.clone();
            thread::spawn(move || submit(&session))
        });
        assert_eq!(block_on(write(&session, 2)), 2);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Submitted::Done);
        }
    })
}

fn room() -> Explored {
    explore(|| {
        let session = session(1);
        assert_eq!(submit(&session), Submitted::Done);
        let writer = {
            let session = session.clone();
            thread::spawn(move || block_on(write(&session, 2)))
        };
        assert_eq!(block_on(submit_when_there_is_room(&session)), Submitted::Done);
        assert_eq!(writer.join().unwrap(), 2);
    })
}

fn end_without_room() -> Explored {
    explore(|| {
        let session = session(0);
        let reader = {
            let session = session.clone();
            thread::spawn(move || end(&session, "lost"))
        };
        assert_eq!(block_on(submit_when_there_is_room(&session)), Submitted::Ended);
        reader.join().unwrap();
    })
}

fn end_reaches_the_writer() -> Explored {
    explore(|| {
        let session = session(1);
        let reader = {
            let session = session.clone();
            thread::spawn(move || end(&session, "lost"))
        };
        block_on(write(&session, usize::MAX));
        assert_eq!(session.lock().cause, Some("lost"), "closing fires after the cause is set");
        reader.join().unwrap();
    })
}

/// Within three preemptions.
fn two_ends() -> Explored {
    explore_to(3, || {
        let session = session(1);
        let ends = ["lost", "replaced"].map(|cause| {
            let session = session.clone();
            thread::spawn(move || end(&session, cause))
        });
        block_on(session.closing.cancelled());
        assert!(session.lock().cause.is_some(), "closing fires after the cause is set");
        assert_eq!(submit(&session), Submitted::Ended, "submitted after the end");
        for end in ends {
            end.join().unwrap();
        }
    })
}

/// The model has no time: the timer is done when it has seen the earlier one.
fn timer() -> Explored {
    let now = Instant::now();
    let late = now + Duration::from_secs(10);
    explore(move || {
        let session = session(1);
        session.lock().due = Some(late);
        let caller = {
            let session = session.clone();
            thread::spawn(move || with(&session, |queue| queue.due = Some(now)))
        };
        block_on(async {
            loop {
                let due = {
                    let mut queue = session.lock();
                    let due = queue.due;
                    queue.sleepers.timer_sleeps(due);
                    due
                };
                if due == Some(now) {
                    return;
                }
                session.timer.notified().await;
            }
        });
        caller.join().unwrap();
    })
}

fn drained() -> Explored {
    explore(|| {
        let session = session(1);
        assert_eq!(submit(&session), Submitted::Done);
        let writer = {
            let session = session.clone();
            thread::spawn(move || block_on(write(&session, 1)))
        };
        with(&session, |queue| queue.sleepers.drain());
        block_on(session.drained());
        assert_eq!(session.lock().written, 1, "drained while the writer has it in hand");
        writer.join().unwrap();
    })
}

fn end_is_drained() -> Explored {
    explore(|| {
        let session = session(1);
        assert_eq!(submit(&session), Submitted::Done);
        // Somebody is at work who never ends by itself.
        session.lock().sleepers.writer_takes(false);
        let reader = {
            let session = session.clone();
            thread::spawn(move || end(&session, "lost"))
        };
        with(&session, |queue| queue.sleepers.drain());
        block_on(session.drained());
        reader.join().unwrap();
    })
}
