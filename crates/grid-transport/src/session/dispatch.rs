//! Runs what the peer calls: in place while that is quick, else in tasks.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use grid_proto::{
    Payload,
    conn::{InboundRequest, InboundStream, ServeId, Ticket},
    wire::{MuxRejection, Text},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inside, Session, Watch,
    answer::{Answer, Response},
    core::{Core, Todo},
    task::{Ended, Returned, Running},
};
use crate::{
    config::Settings,
    handler::{Context, Request},
    registry::{Entry, Frozen, SingleEntry, StreamEntry},
    stream::{Pipe, StreamCall},
    trace::HandleSpan,
};

pub(super) type End = Result<(), Text>;
pub(super) type RunningSingle = Running<Request, Payload>;
pub(super) type RunningStream = Running<StreamCall, ()>;

/// What handlers that were polled in place have come to; goes in under one lock.
#[derive(Default)]
pub(super) struct Outcomes {
    answers: Vec<Answer>,
    refused: Vec<Ticket>,
    ends: Vec<(ServeId, End)>,
    refused_streams: Vec<ServeId>,
}

/// How much is polled in place still.
struct Turn {
    /// What comes after it gets a task; none where that is beyond all time.
    until: Option<tokio::time::Instant>,
    /// When the last of them had ended or got its task, which is when the next begins: to read the clock is not cheap.
    now: tokio::time::Instant,
    left: usize,
}

impl Turn {
    fn new(settings: &Settings) -> Self {
        let now = tokio::time::Instant::now();
        Self {
            until: now.checked_add(settings.in_place_time),
            now,
            left: settings.in_place_handlers,
        }
    }

    /// How long the one took that was polled last. What comes next gets a task where the time is up.
    fn lap(&mut self) -> Duration {
        let before = self.now;
        self.moves_on();
        if self.until.is_some_and(|until| self.now > until) {
            self.left = 0;
        }
        self.now.saturating_duration_since(before)
    }

    fn moves_on(&mut self) {
        self.now = tokio::time::Instant::now();
    }
}

impl Session {
    /// Polls handlers once where the reader stands, within limits; those that are not ready get
    /// tasks.
    pub(super) fn serve_in_place(self: &Arc<Self>, registry: &Frozen, called: &mut Todo) {
        let turn = Turn::new(&self.link.node.settings);
        self.serve(Some(registry), called, Some(turn));
    }

    /// Gives each handler a task: for when the reader is somebody's call.
    pub(super) fn serve_in_tasks(self: &Arc<Self>, called: &mut Todo) {
        // Without it the node has ended, and what is left of the session refuses.
        let registry = self.link.node.registry.upgrade();
        self.serve(registry.as_deref(), called, None);
    }

    fn serve(
        self: &Arc<Self>,
        registry: Option<&Frozen>,
        called: &mut Todo,
        mut turn: Option<Turn>,
    ) {
        let node = &self.link.node;
        // What a handler spawns, and the timers and sockets that it makes, are not to end with our worker.
        let _inside = node.worker.as_ref().map(|_| node.handlers.enter());
        // It was emptied, and keeps its room.
        let mut outcomes = std::mem::take(&mut called.outcomes);
        let mut last = None;
        for request in called.requests.drain(..) {
            let entry = registry.and_then(|registry| registry.single_at(request.route));
            self.serve_single(entry, request, &mut turn, &mut last, &mut outcomes);
        }
        drop(last);
        for (opened, pipe, token) in called.opened.drain(..) {
            let entry = registry.and_then(|registry| registry.stream_at(opened.route));
            self.serve_stream(entry, (opened, pipe, token), &mut turn, &mut outcomes);
        }
        self.report(&mut outcomes);
        called.outcomes = outcomes;
    }

    fn serve_single(
        self: &Arc<Self>,
        entry: Option<&Arc<SingleEntry>>,
        inbound: InboundRequest,
        turn: &mut Option<Turn>,
        last: &mut Option<RunningSingle>,
        outcomes: &mut Outcomes,
    ) {
        let ticket = inbound.ticket;
        let Some(entry) = entry else {
            outcomes.refused.push(ticket);
            return;
        };
        let bytes = inbound.payload.len();
        let context = self.context(entry, inbound.deadline, Watch::of(self, ticket));
        // Most come in rows for the same handler, and what one held of limits and memory is there for the next.
        let running = match last.take().filter(|last| last.is_of(entry)) {
            Some(mut last) => last.again(inbound.charge).then_some(last),
            None => Running::new(entry, self.link.handlers.try_acquire(), inbound.charge),
        };
        let Some(mut running) = running else {
            outcomes.refused.push(ticket);
            return;
        };
        running.traced(HandleSpan::new(&self.link, entry, bytes, None));
        let request = Request::new(inbound.payload, context);
        match self.poll_in_place(&mut running, request, turn) {
            Some(ended) => {
                let ended = running.end_in_place(ended);
                *last = Some(running);
                self.count_in_place(entry, turn);
                if let Some(answer) = single_answer(ended) {
                    let urgent = entry.options.urgent;
                    outcomes.answers.push(Answer::new(ticket, answer, urgent));
                }
            }
            None => {
                self.spawn_single(running, ticket);
                turn.iter_mut().for_each(Turn::moves_on);
            }
        }
    }

    fn serve_stream(
        self: &Arc<Self>,
        entry: Option<&Arc<StreamEntry>>,
        (opened, pipe, token): (InboundStream, Arc<Pipe>, CancellationToken),
        turn: &mut Option<Turn>,
        outcomes: &mut Outcomes,
    ) {
        let stream = opened.stream;
        let Some(entry) = entry else {
            outcomes.refused_streams.push(stream);
            return;
        };
        let bytes = opened.payload.len();
        let context = self.context(entry, opened.deadline, Watch::by(token.clone()));
        let permit = self.link.handlers.try_acquire();
        let Some(mut running) = Running::new(entry, permit, opened.charge) else {
            outcomes.refused_streams.push(stream);
            return;
        };
        running.traced(HandleSpan::new(&self.link, entry, bytes, Some(&pipe)));
        let call = StreamCall::new(opened.payload, context, pipe);
        match self.poll_in_place(&mut running, call, turn) {
            Some(ended) => {
                let ended = running.end(Some(ended));
                self.count_in_place(entry, turn);
                outcomes.ends.push((stream, stream_end(ended)));
            }
            None => {
                self.spawn_stream(running, stream, token);
                turn.iter_mut().for_each(Turn::moves_on);
            }
        }
    }

    fn context<C, T>(
        &self,
        entry: &Entry<C, T>,
        deadline: Option<Instant>,
        watch: Watch,
    ) -> Context {
        Context::new(
            self.link.name.clone(),
            self.peer.is_ours(),
            entry.id,
            entry.subroute.clone(),
            deadline,
            watch,
        )
    }

    /// How it ended; `None` where it is for a task to go on.
    #[inline]
    fn poll_in_place<C, T: Returned>(
        &self,
        running: &mut Running<C, T>,
        call: C,
        turn: &mut Option<Turn>,
    ) -> Option<Ended<T>> {
        let settings = &self.link.node.settings;
        let entry = running.entry();
        let in_place = |turn: &&mut Turn| {
            turn.left > 0 && !entry.options.blocking && !entry.counters.is_slow()
        };
        let Some(turn) = turn.as_mut().filter(in_place) else {
            running.keep(call);
            return None;
        };
        turn.left -= 1;
        let id = entry.id;
        self.polling.store(id.get(), Ordering::Relaxed);
        let ended = running.poll_first(call);
        self.polling.store(0, Ordering::Relaxed);
        if ended.is_none() {
            let took = turn.lap();
            running.took(took);
            running.entry().counters.polled(took > settings.slow_poll);
        }
        ended
    }

    /// Counts what a handler took that has ended in place, with the drop of its future.
    fn count_in_place<C, T>(&self, entry: &Entry<C, T>, turn: &mut Option<Turn>) {
        let settings = &self.link.node.settings;
        if let Some(turn) = turn {
            let took = turn.lap();
            entry.counters.ran(took);
            entry.counters.polled(took > settings.slow_poll);
        }
    }

    /// Hands in what handlers have come to; answers without room wait in a task of their own.
    fn report(self: &Arc<Self>, outcomes: &mut Outcomes) {
        let Outcomes {
            answers,
            refused,
            ends,
            refused_streams,
        } = outcomes;
        if answers.is_empty() && refused.is_empty() && ends.is_empty() && refused_streams.is_empty()
        {
            return;
        }
        let handed_in = self.with(|core| {
            for ticket in refused.drain(..) {
                core.conn.refuse(ticket, MuxRejection::Overloaded);
            }
            for (stream, end) in ends.iter() {
                core.finish_stream(*stream, end.clone());
            }
            for stream in refused_streams.drain(..) {
                core.refuse_stream(stream);
            }
            for answer in answers.iter_mut() {
                core.respond(&self.link, answer);
            }
        });
        ends.clear();
        if handed_in.is_none() {
            answers.clear();
            refused.clear();
            refused_streams.clear();
            return;
        }
        for mut answer in answers.drain(..) {
            if self.is_over(&mut answer) {
                continue;
            }
            let Some(pass) = self.guard.enter(Inside::Answer) else {
                return;
            };
            let session = self.clone();
            self.link.node.spawn(async move {
                session.wait_for_room(answer).await;
                drop(session);
                drop(pass);
            });
        }
    }
}

impl Core {
    /// Forgets who watches a request that is over.
    pub(super) fn unwatch(&mut self, ticket: Ticket) {
        if !self.watched.is_empty() {
            self.watched.remove(&ticket);
        }
    }

    pub(super) fn finish_stream(&mut self, stream: ServeId, end: End) {
        let served = self.serving.remove(&stream);
        let torn = served.as_ref().is_some_and(|(pipe, _)| pipe.is_torn());
        self.done.extend(served);
        let end = match end {
            Ok(()) if torn => Err(Text::from("the handler's sink was not flushed")),
            end => end,
        };
        self.conn.serve_finish(stream, end);
    }

    fn refuse_stream(&mut self, stream: ServeId) {
        self.done.extend(self.serving.remove(&stream));
        self.conn.refuse_stream(stream, &MuxRejection::Overloaded);
    }
}

/// `None` for a handler that was dropped: it has no answer.
pub(super) fn single_answer(ended: Ended<Payload>) -> Option<Response> {
    match ended {
        Ended::Returned(Ok(payload)) => Some(Ok(payload)),
        Ended::Returned(Err(error)) => Some(Err(error.into_text())),
        Ended::Panicked(text) => Some(Err(Text::from(format!(
            "handleMessages: panic recovered: {text}"
        )))),
        Ended::Dropped => None,
    }
}

pub(super) fn stream_end(ended: Ended<()>) -> End {
    match ended {
        Ended::Returned(Ok(())) => Ok(()),
        Ended::Returned(Err(error)) => Err(error.into_text()),
        Ended::Panicked(text) => Err(Text::from(format!("handler panic: {text}"))),
        // Where the caller has gone nobody hears this; a clean end would be a lie to all others.
        Ended::Dropped => Err(Text::from("the handler was dropped")),
    }
}
