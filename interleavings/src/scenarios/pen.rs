//! Who may write: what somebody has begun the writer goes on with, nothing is written twice, and nobody takes it for written
//! before it is.

use loom::{future::block_on, thread};

use super::{
    monitor::{Monitor, Now, Sleepers, State},
    pen::Desk,
};
use crate::{
    explore::{Explored, explore_to},
    sync::Arc,
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("what is begun early is written", begun),
    ("what is written early is not written again", whole),
    ("drained when what was begun early is written", drained),
];

struct Queue {
    sleepers: Sleepers,
    queued: usize,
    /// As far as the writer has told.
    written: usize,
}

impl State for Queue {
    fn look(&mut self) -> (Now, &mut Sleepers) {
        let now = Now {
            wants_transmit: self.queued > 0,
            due: None,
            has_room: true,
            idle: self.queued == 0,
            ended: false,
        };
        (now, &mut self.sleepers)
    }

    fn sleepers(&mut self) -> &mut Sleepers {
        &mut self.sleepers
    }
}

/// What the writer's task brings.
#[derive(Debug)]
struct Pen {
    unfinished: usize,
    written: usize,
}

struct Session {
    monitor: Monitor<Queue>,
    desk: Desk<Pen>,
}

fn session() -> Arc<Session> {
    Arc::new(Session {
        monitor: Monitor::new(Queue {
            sleepers: Sleepers::new(),
            queued: 0,
            written: 0,
        }),
        desk: Desk::new(),
    })
}

fn with<R>(session: &Session, f: impl FnOnce(&mut Queue) -> R) -> R {
    let (result, wakes) = session.monitor.change(f);
    session.monitor.ring(&wakes);
    result
}

fn submit(session: &Session) {
    with(session, |queue| queue.queued += 1);
}

/// As callers write; the system takes `all` of it, or nothing.
fn write_early(session: &Session, all: bool) {
    let Some(mut pen) = session.desk.borrow() else {
        return;
    };
    if pen.unfinished == 0 {
        let taken = with(session, |queue| {
            let taken = std::mem::take(&mut queue.queued);
            if taken > 0 {
                queue.sleepers.other_takes();
            }
            taken
        });
        match all {
            true => pen.written += taken,
            false => pen.unfinished += taken,
        }
    }
    session.desk.lay_down(pen);
}

/// As the writer works, until so much is written.
async fn write(session: &Session, until: usize) -> usize {
    let mut pen = Pen {
        unfinished: 0,
        written: 0,
    };
    loop {
        if pen.unfinished > 0 {
            pen.written += std::mem::take(&mut pen.unfinished);
            continue;
        }
        let taken = with(session, |queue| {
            queue.written = pen.written;
            let taken = std::mem::take(&mut queue.queued);
            queue.sleepers.writer_takes(taken == 0);
            taken
        });
        if taken > 0 {
            pen.unfinished = taken;
            continue;
        }
        if pen.written >= until {
            return pen.written;
        }
        session.desk.lay_down(pen);
        session.monitor.writer.notified().await;
        pen = session.desk.take().await;
    }
}

fn calls(session: &Arc<Session>, count: usize, all: bool) -> thread::JoinHandle<()> {
    let session = session.clone();
    thread::spawn(move || {
        for _ in 0..count {
            submit(&session);
            write_early(&session, all);
        }
    })
}

/// Within four preemptions.
fn begun() -> Explored {
    explore_to(4, || {
        let session = session();
        let caller = calls(&session, 2, false);
        assert_eq!(block_on(write(&session, 2)), 2);
        caller.join().unwrap();
    })
}

/// Within three preemptions.
fn whole() -> Explored {
    explore_to(3, || {
        let session = session();
        let callers = [0, 1].map(|_| calls(&session, 1, true));
        assert_eq!(block_on(write(&session, 2)), 2);
        for caller in callers {
            caller.join().unwrap();
        }
    })
}

/// Within three preemptions.
fn drained() -> Explored {
    explore_to(3, || {
        let session = session();
        let writer = {
            let session = session.clone();
            thread::spawn(move || block_on(write(&session, 1)))
        };
        submit(&session);
        write_early(&session, false);
        with(&session, |queue| queue.sleepers.drain());
        block_on(session.monitor.drained());
        assert_eq!(
            session.monitor.lock().written,
            1,
            "drained while it is in somebody's hand"
        );
        assert_eq!(writer.join().unwrap(), 1);
    })
}
