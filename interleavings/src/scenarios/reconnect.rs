//! The whole of a link: connections come, are replaced and lost, and never do two meet.
//!
//! A connection here has what makes its end difficult: a handler that is attached to it and works on another thread,
//! a call of ours that waits, and a newer connection that takes its place.

use std::future::poll_fn;

use loom::{future::block_on, thread};

use super::{
    guard::Guard,
    inbox::{Inbox, Part, Weigh},
    monitor::{Monitor, Now, Sleepers, State},
    place::Place,
    reconnect::{Rounds, keep_up},
};
use crate::{
    explore::{Explored, explore, explore_to},
    sync::{Arc, AtomicUsize, CancellationToken, Notify, Ordering},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("stopped in a pause that has no end", stopped_in_a_pause),
    ("stopped while nobody dials", stopped_while_waiting),
    ("a wish ends a pause", wish_ends_a_pause),
    ("stopped while a connection runs", stopped_in_a_session),
    ("a newer connection begins when all of the older is gone", replaced),
    ("an end reaches handlers and callers before the link goes on", ended),
];

impl Weigh for u8 {
    fn weight(&self) -> usize {
        1
    }
}

/// One connection: its lock, who is inside, and a stream of ours on it.
struct Session {
    monitor: Monitor<Calls>,
    guard: Guard<u8>,
}

struct Calls {
    sleepers: Sleepers,
    cause: Option<&'static str>,
    stream: Option<Arc<Inbox<u8, &'static str>>>,
}

impl State for Calls {
    fn look(&mut self) -> (Now, &mut Sleepers) {
        let now = Now {
            ended: self.cause.is_some(),
            ..Now::default()
        };
        (now, &mut self.sleepers)
    }

    fn sleepers(&mut self) -> &mut Sleepers {
        &mut self.sleepers
    }
}

impl Session {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            monitor: Monitor::new(Calls {
                sleepers: Sleepers::new(),
                cause: None,
                stream: None,
            }),
            guard: Guard::new(),
        })
    }

    /// `None` once it ends.
    fn open(&self) -> Option<Arc<Inbox<u8, &'static str>>> {
        let (opened, wakes) = self.monitor.change(|calls| {
            if calls.cause.is_some() {
                return None;
            }
            let inbox = Arc::new(Inbox::new());
            calls.stream = Some(inbox.clone());
            Some(inbox)
        });
        self.monitor.ring(&wakes);
        opened
    }

    /// As a session is closed: no one enters, the waiters' fate is settled, and all that under the lock; wakes after it.
    fn close(&self, cause: &'static str) {
        let (reader, wakes) = self.monitor.change(|calls| {
            if calls.cause.is_some() {
                return None;
            }
            calls.cause = Some(cause);
            self.guard.close();
            calls.stream.take().and_then(|stream| stream.end(Err(cause)))
        });
        if let Some(reader) = reader {
            reader.wake();
        }
        self.monitor.ring(&wakes);
    }
}

/// What all of a link's connections share.
struct Link {
    stop: CancellationToken,
    wish: Notify,
    place: Place<u8>,
    /// How many connections are live: never two.
    live: AtomicUsize,
    /// How many handlers are at work.
    working: AtomicUsize,
}

impl Link {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: CancellationToken::new(),
            wish: Notify::new(),
            place: Place::new(),
            live: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
        })
    }
}

/// A link whose remote dials, or which dials in vain.
struct Model {
    link: Arc<Link>,
    /// Attempts that fail before any is waited for.
    failures: usize,
    endless_pause: bool,
    /// Whether a connection is lost as soon as it is up.
    short: bool,
    /// The connection after which the link is stopped.
    last: u8,
    attempts: usize,
    ran: Vec<u8>,
}

impl Model {
    fn new(link: &Arc<Link>) -> Self {
        Self {
            link: link.clone(),
            failures: 0,
            endless_pause: false,
            short: true,
            last: 0,
            attempts: 0,
            ran: Vec::new(),
        }
    }

    async fn keep_up(&mut self) {
        let link = self.link.clone();
        keep_up(self, &link.stop, &link.wish).await;
        assert_eq!(link.live.load(Ordering::SeqCst), 0, "the link has ended, a connection lives");
    }
}

impl Rounds for Model {
    type Live = u8;

    async fn attempt(&mut self) -> Option<u8> {
        self.attempts += 1;
        if self.failures > 0 {
            self.failures -= 1;
            return None;
        }
        Some(self.link.place.take().await)
    }

    /// As a session is run: its handler works on another thread until it sees the end.
    async fn run(&mut self, number: u8) {
        let link = self.link.clone();
        assert_eq!(link.live.fetch_add(1, Ordering::SeqCst), 0, "two connections live");
        let session = Session::new();
        let handler = session.guard.enter(number).map(|pass| {
            let (session, link) = (session.clone(), link.clone());
            link.working.fetch_add(1, Ordering::SeqCst);
            let short = self.short;
            thread::spawn(move || {
                if short {
                    session.close("lost");
                }
                block_on(session.monitor.closing.cancelled());
                link.working.fetch_sub(1, Ordering::SeqCst);
                drop((session, pass));
            })
        });
        tokio::select! {
            biased;
            () = session.monitor.closing.cancelled() => {}
            () = link.stop.cancelled() => session.close("stopped"),
        }
        session.guard.gone().await;
        assert_eq!(link.working.load(Ordering::SeqCst), 0, "a handler works on");
        assert!(session.open().is_none() && session.guard.enter(9).is_none());
        self.ran.push(number);
        link.live.fetch_sub(1, Ordering::SeqCst);
        if let Some(handler) = handler {
            handler.join().unwrap();
        }
        if number == self.last {
            link.stop.cancel();
        }
    }

    async fn pause(&mut self) {
        if self.endless_pause {
            std::future::pending::<()>().await;
        }
    }
}

fn stopped_in_a_pause() -> Explored {
    explore(|| {
        let link = Link::new();
        let owner = {
            let link = link.clone();
            thread::spawn(move || link.stop.cancel())
        };
        let mut model = Model::new(&link);
        (model.failures, model.endless_pause) = (1, true);
        block_on(model.keep_up());
        owner.join().unwrap();
    })
}

fn stopped_while_waiting() -> Explored {
    explore(|| {
        let link = Link::new();
        let owner = {
            let link = link.clone();
            thread::spawn(move || link.stop.cancel())
        };
        block_on(Model::new(&link).keep_up());
        owner.join().unwrap();
    })
}

/// The wish may come before the pause, in it, or while the attempt still fails. Within three preemptions.
fn wish_ends_a_pause() -> Explored {
    explore_to(3, || {
        let link = Link::new();
        let user = {
            let link = link.clone();
            thread::spawn(move || link.wish.notify_one())
        };
        let mut model = Model::new(&link);
        (model.failures, model.endless_pause) = (1, true);
        link.place.put(1);
        model.last = 1;
        block_on(model.keep_up());
        assert_eq!((model.attempts, model.ran), (2, vec![1]));
        user.join().unwrap();
    })
}

/// Within two preemptions.
fn stopped_in_a_session() -> Explored {
    explore_to(2, || {
        let link = Link::new();
        let owner = {
            let link = link.clone();
            thread::spawn(move || link.stop.cancel())
        };
        let mut model = Model::new(&link);
        model.short = false;
        link.place.put(1);
        block_on(model.keep_up());
        assert!(model.ran.len() <= 1);
        owner.join().unwrap();
    })
}

/// A second connection comes while the first is up or goes down, and is run when nothing is left of it. Within two preemptions.
fn replaced() -> Explored {
    explore_to(2, || {
        let link = Link::new();
        link.place.put(1);
        let remote = {
            let link = link.clone();
            thread::spawn(move || link.place.put(2))
        };
        let mut model = Model::new(&link);
        model.last = 2;
        block_on(model.keep_up());
        let left = remote.join().unwrap();
        assert!(
            model.ran == [1, 2] && left.is_none() || model.ran == [2] && left == Some(1),
            "{:?} {left:?}",
            model.ran
        );
    })
}

/// A call is made at the moment of the end: it is refused, or it is told. Within three preemptions.
fn ended() -> Explored {
    explore_to(3, || {
        let session = Session::new();
        let caller = {
            let session = session.clone();
            thread::spawn(move || {
                let Some(inbox) = session.open() else { return };
                let mut taken = Part::default();
                let told = block_on(poll_fn(|cx| inbox.poll_take(&mut taken, cx.waker())));
                assert_eq!(told, Err(Some("lost")));
            })
        };
        let handler = {
            let session = session.clone();
            thread::spawn(move || {
                if let Some(pass) = session.guard.enter(1) {
                    block_on(session.monitor.closing.cancelled());
                    drop(pass);
                }
            })
        };
        session.close("lost");
        block_on(session.guard.gone());
        assert!(session.monitor.lock().stream.is_none(), "a call is open");
        caller.join().unwrap();
        handler.join().unwrap();
    })
}
