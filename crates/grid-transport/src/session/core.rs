//! The one lock of a link: the machine, and those who wait for it.
//!
//! What the machine reports is sorted under the lock into [`Effects`], and done after it has been
//! released: no handler, `Drop` of a user's value, `wake` or subscriber of `tracing` runs under it.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use grid_proto::{
    MuxId, Payload,
    conn::{
        CallError as Failure, CancelReason, Connection, Event, InboundRequest, InboundStream,
        ServeId, Ticket,
    },
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Session,
    dispatch::Outcomes,
    monitor::{self, Sleepers},
    outcome::{self, Waiting},
    waiters::{Owed, Waiters},
    watch::fire,
};
use crate::{
    error::CallError,
    state::LinkCause,
    stream::{GivenUp, Pipe, Side, Wakes},
};

/// How a single request of ours ended.
pub(crate) type Answer = Result<Payload, CallError>;

pub(crate) struct Core {
    pub(crate) conn: Connection,
    /// Who waits for the answer of a request of ours.
    pub(crate) calls: Waiters,
    /// Streams of ours.
    pub(crate) streams: HashMap<MuxId, Arc<Pipe>, RandomState>,
    /// Of the requests that are being served, those whose handlers want to be told when nobody waits any more.
    pub(crate) watched: HashMap<Ticket, CancellationToken, RandomState>,
    /// Streams that are being served.
    pub(crate) serving: HashMap<ServeId, (Arc<Pipe>, CancellationToken), RandomState>,
    /// Who waits for the answer of a ping.
    pub(crate) pings: Vec<Waiting>,
    /// Served streams that are over, to be dropped where no lock is held: a pipe may be the last
    /// owner of a waker of the user's.
    pub(crate) done: Vec<(Arc<Pipe>, CancellationToken)>,
    /// Why the session ends; set once, and nothing is submitted afterwards.
    pub(crate) cause: Option<Arc<LinkCause>>,
    /// A panic left the machine in an unknown state.
    pub(crate) broken: bool,
    pub(crate) sleepers: Sleepers,
}

impl Core {
    pub(crate) fn new(conn: Connection) -> Self {
        Self {
            conn,
            calls: Waiters::new(),
            streams: HashMap::default(),
            watched: HashMap::default(),
            serving: HashMap::default(),
            pings: Vec::new(),
            done: Vec::new(),
            cause: None,
            broken: false,
            sleepers: Sleepers::new(),
        }
    }

    /// Sorts what the machine reports and wants.
    pub(super) fn settle(&mut self, session: &Arc<Session>, effects: &mut Effects) {
        if self.cause.is_none()
            && let Some(reason) = self.conn.close_reason()
        {
            self.cause = Some(Arc::new(LinkCause::from(reason)));
            session.guard.close();
        }
        if self.conn.has_events() {
            let todo = effects.todo();
            while let Some(event) = self.conn.poll_event() {
                self.on_event(session, event, todo);
            }
        }
        if self.cause.is_some() && !self.pings.is_empty() {
            effects.todo().lost_pings.append(&mut self.pings);
        }
        if !self.done.is_empty() {
            effects.todo().done.append(&mut self.done);
        }
    }

    /// To be called when something may have ended: an idle link keeps no trace of its busiest moment.
    pub(super) fn shrink(&mut self) {
        fn shrink<K, V>(map: &mut HashMap<K, V, RandomState>) {
            if map.is_empty() && map.capacity() > 1024 {
                *map = HashMap::default();
            }
        }
        self.calls.shrink();
        shrink(&mut self.streams);
        shrink(&mut self.watched);
        shrink(&mut self.serving);
    }

    fn on_event(&mut self, session: &Arc<Session>, event: Event, todo: &mut Todo) {
        let cause = self.cause.as_ref();
        match event {
            Event::Answered { mux, outcome } => {
                if let Some(owed) = self.calls.answered(mux) {
                    todo.answers.push((owed, outcome));
                }
            }
            Event::Item {
                mux,
                payload,
                charge,
            } => match self.streams.get(&mux) {
                // Items come in rows of a stream: one look, one lock and one wake for all of a row.
                Some(pipe) => {
                    let more = || self.conn.poll_item(mux);
                    todo.wakes.add(pipe.push((payload, charge), more));
                }
                None => todo.dropped.push(payload),
            },
            Event::Writable { mux } => {
                if let Some(pipe) = self.streams.get(&mux) {
                    todo.wakes.add(pipe.writable());
                }
            }
            Event::Ended { mux, outcome } => {
                if let Some(pipe) = self.streams.remove(&mux) {
                    let gives_up = match &outcome {
                        Err(Failure::Overloaded) => true,
                        Err(Failure::Closed) => todo.is_crowded(session),
                        _ => false,
                    };
                    match outcome.map_err(|failure| outcome::call_error(failure, cause)) {
                        Err(error) if gives_up => todo.give_up(&pipe, error),
                        outcome => todo.wakes.add(pipe.end(outcome)),
                    }
                }
            }
            Event::Request(request) => {
                todo.requests.push(request);
            }
            Event::RequestCancelled { ticket, .. } => {
                todo.fire.extend(self.watched.remove(&ticket));
            }
            Event::Opened(opened) => {
                let token = CancellationToken::new();
                let side = Side::Handler(opened.stream);
                let pipe = Pipe::new(session, side, opened.capacity.input);
                if opened.capacity.input == 0 {
                    todo.wakes.add(pipe.end_input());
                }
                self.serving
                    .insert(opened.stream, (pipe.clone(), token.clone()));
                todo.opened.push((opened, pipe, token));
            }
            Event::Received {
                stream,
                payload,
                charge,
            } => match self.serving.get(&stream) {
                Some((pipe, _)) => {
                    let more = || self.conn.poll_received(stream);
                    todo.wakes.add(pipe.push((payload, charge), more));
                }
                None => todo.dropped.push(payload),
            },
            Event::InputEnded { stream } => {
                if let Some((pipe, _)) = self.serving.get(&stream) {
                    todo.wakes.add(pipe.end_input());
                }
            }
            Event::Ponged { ping, round_trip } => {
                let answered = self.pings.extract_if(.., |waiting| waiting.ping == ping);
                todo.ponged
                    .extend(answered.map(|waiting| (waiting.caller, round_trip)));
            }
            // Its last owner may be code of the user.
            Event::Unsent(payload) => todo.dropped.push(payload.into()),
            Event::ServeWritable { stream } => {
                if let Some((pipe, _)) = self.serving.get(&stream) {
                    todo.wakes.add(pipe.writable());
                }
            }
            Event::Cancelled { stream, why } => {
                if let Some((pipe, token)) = self.serving.remove(&stream) {
                    let gives_up = why == CancelReason::Overloaded;
                    let error = outcome::cancelled(why, cause);
                    if gives_up {
                        todo.give_up(&pipe, error);
                    } else {
                        todo.wakes.add(pipe.end(Err(error)));
                    }
                    todo.fire.push(token);
                }
            }
            _ => {}
        }
    }

    /// After a panic of the machine: everybody who waits is told, without asking it again.
    pub(super) fn break_down(&mut self, session: &Session, effects: &mut Effects) {
        self.broken = true;
        let cause = self
            .cause
            .get_or_insert_with(|| Arc::new(LinkCause::Panicked))
            .clone();
        session.guard.close();
        let effects = effects.todo();
        for owed in self.calls.drain() {
            effects.answers.push((owed, Err(Failure::Closed)));
        }
        for (_, pipe) in self.streams.drain() {
            effects
                .wakes
                .add(pipe.end(Err(outcome::lost(Some(&cause)))));
        }
        effects
            .fire
            .extend(self.watched.drain().map(|(_, token)| token));
        for (_, (pipe, token)) in self.serving.drain() {
            effects
                .wakes
                .add(pipe.end(Err(outcome::lost(Some(&cause)))));
            effects.fire.push(token);
        }
        effects.lost_pings.append(&mut self.pings);
    }
}

/// Who waits for an answer, and what came.
type Answered = (Owed, Result<Payload, Failure>);

/// What has to be done once the lock is released.
#[derive(Default)]
pub(crate) struct Effects {
    /// None where nothing was reported, which is so of most that callers do.
    todo: Option<Box<Todo>>,
    pub(super) cause: Option<Arc<LinkCause>>,
    pub(super) sleepers: monitor::Wakes,
    /// The queue takes less than before, and so does that of the node.
    freed: bool,
}

/// What was reported, sorted.
#[derive(Default)]
pub(crate) struct Todo {
    pub(crate) requests: Vec<InboundRequest>,
    pub(crate) opened: Vec<(InboundStream, Arc<Pipe>, CancellationToken)>,
    answers: Vec<Answered>,
    ponged: Vec<(oneshot::Sender<Result<Duration, CallError>>, Duration)>,
    lost_pings: Vec<Waiting>,
    wakes: Wakes,
    fire: Vec<CancellationToken>,
    dropped: Vec<Payload>,
    given_up: Vec<GivenUp>,
    given_up_bytes: usize,
    done: Vec<(Arc<Pipe>, CancellationToken)>,
    pub(super) outcomes: Outcomes,
}

impl Effects {
    fn todo(&mut self) -> &mut Todo {
        self.todo.get_or_insert_default()
    }

    pub(crate) fn closing(&self) -> bool {
        self.sleepers.closing()
    }

    /// For how many of what is kept longest there is room.
    pub(super) fn room(&self) -> usize {
        let todo = self.todo.as_deref();
        todo.map_or(0, |todo| todo.dropped.capacity().max(todo.fire.capacity()))
    }

    /// What the peer calls, if it does.
    pub(crate) fn called(&mut self) -> Option<&mut Todo> {
        let todo = self.todo.as_deref_mut();
        todo.filter(|todo| !todo.requests.is_empty() || !todo.opened.is_empty())
    }

    /// Does all of it but for what the peer calls, which is left to the caller.
    pub(crate) fn run(&mut self, session: &Session) {
        let cause = self.cause.take();
        if let Some(todo) = &mut self.todo {
            todo.run(cause.as_ref());
        }
        session.monitor.ring(&self.sleepers);
        if self.freed {
            session.link.node.offer_room();
        }
    }
}

impl Todo {
    /// Whether what nobody reads would take more than half of what the next session may hold.
    pub(super) fn is_crowded(&self, session: &Session) -> bool {
        let budget = &session.link.inbound;
        budget.used().saturating_sub(self.given_up_bytes) > budget.limit() / 2
    }

    pub(super) fn give_up(&mut self, pipe: &Pipe, error: CallError) {
        let (given_up, wakes) = pipe.give_up(error);
        self.given_up_bytes += given_up.bytes();
        self.given_up.push(given_up);
        self.wakes.add(wakes);
    }

    pub(super) fn run(&mut self, cause: Option<&Arc<LinkCause>>) {
        // First, and each by itself: what is to end by its token has no other way to, and wakers may panic.
        let panicked = fire(&mut self.fire);
        for (owed, outcome) in self.answers.drain(..) {
            owed.answer(outcome.map_err(|failure| outcome::call_error(failure, cause)));
        }
        for (caller, round_trip) in self.ponged.drain(..) {
            // Nobody there: the call was dropped a moment ago.
            drop(caller.send(Ok(round_trip)));
        }
        for waiting in self.lost_pings.drain(..) {
            drop(waiting.caller.send(Err(outcome::lost(cause))));
        }
        self.wakes.run();
        self.dropped.clear();
        self.given_up.clear();
        self.given_up_bytes = 0;
        self.done.clear();
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}

impl Session {
    /// Runs `f` under the lock; what has to follow is added to `effects`, and left to the caller.
    pub(crate) fn locked<R>(
        self: &Arc<Self>,
        effects: &mut Effects,
        f: impl FnOnce(&mut Core) -> R,
    ) -> Option<R> {
        let (result, sleepers) = self.monitor.change(|core| {
            if core.broken {
                return None;
            }
            let queued = core.conn.queued_cost();
            // A panic of the machine ends this session and nothing else.
            let result = catch_unwind(AssertUnwindSafe(|| {
                let result = f(core);
                core.settle(self, effects);
                result
            }));
            match &result {
                Ok(_) => effects.freed = core.conn.queued_cost() < queued,
                Err(_) => core.break_down(self, effects),
            }
            if core.cause.is_some() {
                effects.cause = core.cause.clone();
            }
            result.ok()
        });
        effects.sleepers = sleepers;
        result
    }
}
