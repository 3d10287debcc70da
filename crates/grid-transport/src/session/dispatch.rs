//! Runs what the peer calls: in place while that is quick, else in tasks.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use grid_proto::{
    HandlerId, Payload,
    conn::{InboundRequest, InboundStream, RespondError, ServeId, Ticket},
    wire::{MuxRejection, Text},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inside, Session,
    core::{Core, Effects},
    task::{Ended, Running},
};
use crate::{
    handler::{Context, Request},
    registry::{Entry, Options},
    stream::{Pipe, StreamCall},
};

pub(super) type Response = Result<Payload, Text>;
pub(super) type End = Result<(), Text>;
pub(super) type RunningSingle = Running<Request, Payload>;
pub(super) type RunningStream = Running<StreamCall, ()>;

/// What handlers that were polled in place have come to; goes in under one lock.
#[derive(Default)]
struct Outcomes {
    answers: Vec<(Ticket, Response)>,
    refused: Vec<Ticket>,
    ends: Vec<(ServeId, End)>,
    refused_streams: Vec<ServeId>,
}

/// How much is polled in place still.
struct Turn {
    began: Instant,
    left: usize,
}

impl Session {
    /// Polls handlers once where the reader stands, within limits; those that are not ready get
    /// tasks.
    pub(super) fn serve_in_place(self: &Arc<Self>, effects: Effects) {
        if effects.requests.is_empty() && effects.opened.is_empty() {
            return;
        }
        let left = self.link.node.settings.in_place_handlers;
        self.serve(
            effects,
            Some(Turn {
                began: Instant::now(),
                left,
            }),
        );
    }

    /// Gives each handler a task: for when the reader is somebody's call.
    pub(super) fn serve_in_tasks(self: &Arc<Self>, effects: Effects) {
        self.serve(effects, None);
    }

    fn serve(self: &Arc<Self>, effects: Effects, mut turn: Option<Turn>) {
        let mut outcomes = Outcomes::default();
        for (request, token) in effects.requests {
            self.serve_single(request, token, &mut turn, &mut outcomes);
        }
        for (opened, pipe, token) in effects.opened {
            self.serve_stream(opened, pipe, token, &mut turn, &mut outcomes);
        }
        self.report(outcomes);
    }

    fn serve_single(
        self: &Arc<Self>,
        inbound: InboundRequest,
        token: CancellationToken,
        turn: &mut Option<Turn>,
        outcomes: &mut Outcomes,
    ) {
        let ticket = inbound.ticket;
        let Some(entry) = self.link.node.registry.single_at(inbound.route) else {
            outcomes.refused.push(ticket);
            return;
        };
        let context = self.context(entry, inbound.deadline, token.clone());
        let request = Request::new(inbound.payload, context);
        let permit = self.link.handlers.try_acquire();
        let Some(mut running) = Running::new(entry, permit, inbound.charge, request) else {
            outcomes.refused.push(ticket);
            return;
        };
        match self.poll_in_place(&mut running, turn) {
            Some(ended) => {
                if let Some(answer) = single_answer(running.end(Some(ended))) {
                    outcomes.answers.push((ticket, answer));
                }
            }
            None => self.spawn_single(running, ticket, token),
        }
    }

    fn serve_stream(
        self: &Arc<Self>,
        opened: InboundStream,
        pipe: Arc<Pipe>,
        token: CancellationToken,
        turn: &mut Option<Turn>,
        outcomes: &mut Outcomes,
    ) {
        let stream = opened.stream;
        let Some(entry) = self.link.node.registry.stream_at(opened.route) else {
            outcomes.refused_streams.push(stream);
            return;
        };
        let context = self.context(entry, opened.deadline, token.clone());
        let call = StreamCall::new(opened.payload, context, pipe);
        let permit = self.link.handlers.try_acquire();
        let Some(mut running) = Running::new(entry, permit, opened.charge, call) else {
            outcomes.refused_streams.push(stream);
            return;
        };
        match self.poll_in_place(&mut running, turn) {
            Some(ended) => {
                outcomes
                    .ends
                    .push((stream, stream_end(running.end(Some(ended)))));
            }
            None => self.spawn_stream(running, stream, token),
        }
    }

    fn context<C, T>(
        &self,
        entry: &Entry<C, T>,
        deadline: Option<Instant>,
        token: CancellationToken,
    ) -> Context {
        Context::new(
            self.link.name.clone(),
            entry.id,
            entry.subroute.clone(),
            deadline,
            token,
        )
    }

    fn poll_in_place<C, T>(
        &self,
        running: &mut Running<C, T>,
        turn: &mut Option<Turn>,
    ) -> Option<Ended<T>> {
        let settings = &self.link.node.settings;
        let turn = turn.as_mut()?;
        let entry = running.entry();
        if turn.left == 0 || entry.options.blocking || entry.counters.is_slow() {
            return None;
        }
        turn.left -= 1;
        let id = entry.id;
        self.polling.store(id.get(), Ordering::Relaxed);
        let (ended, took) = running.poll_once();
        self.polling.store(0, Ordering::Relaxed);
        if took > settings.slow_poll {
            running.entry().counters.slow_poll();
        }
        if turn.began.elapsed() > settings.in_place_time {
            turn.left = 0;
        }
        ended
    }

    /// Hands in what handlers have come to; answers without room wait in a task of their own.
    fn report(self: &Arc<Self>, outcomes: Outcomes) {
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
        let waiting: Vec<usize> = self
            .with(|core, _| {
                for ticket in refused {
                    core.served.remove(&ticket);
                    core.conn.refuse(ticket, MuxRejection::Overloaded);
                }
                for (stream, end) in &ends {
                    core.finish_stream(*stream, end.clone());
                }
                for stream in refused_streams {
                    core.refuse_stream(stream);
                }
                let answers = answers.iter().enumerate();
                answers
                    .filter(|(_, (ticket, answer))| !core.respond(*ticket, answer))
                    .map(|(i, _)| i)
                    .collect()
            })
            .unwrap_or_default();
        for (_, (ticket, answer)) in answers
            .into_iter()
            .enumerate()
            .filter(|(i, _)| waiting.binary_search(i).is_ok())
        {
            let Some(pass) = self.guard.enter(Inside::Answer) else {
                return;
            };
            let session = self.clone();
            self.link.node.spawn(async move {
                session.answer(ticket, answer).await;
                drop(session);
                drop(pass);
            });
        }
    }

    /// Answers a request, and waits for room where there is none; gives up when the session ends.
    async fn answer(self: &Arc<Self>, ticket: Ticket, answer: Response) {
        loop {
            let room = self.room.notified();
            let node_room = self.link.node.room.notified();
            let answered = self.with(|core, _| core.respond(ticket, &answer));
            if answered.unwrap_or(true) {
                return;
            }
            if self.starve() {
                continue;
            }
            tokio::select! {
                () = room => {}
                () = node_room => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    fn spawn_single(
        self: &Arc<Self>,
        running: RunningSingle,
        ticket: Ticket,
        token: CancellationToken,
    ) {
        let options = running.entry().options;
        let id = running.entry().id;
        let attached = options.abort_on_cancel && !options.blocking;
        let drop_on = options.abort_on_cancel.then(|| token.clone());
        let session = Arc::downgrade(self);
        let Some((node, pass)) = self.place(attached, id) else {
            return;
        };
        self.link.node.spawn(async move {
            let ended = node.run_handler(running, options, token, drop_on).await;
            if let Some(session) = session.upgrade() {
                match single_answer(ended) {
                    Some(answer) => session.answer(ticket, answer).await,
                    None => session.forget(ticket),
                }
            }
            drop(pass);
        });
    }

    fn spawn_stream(
        self: &Arc<Self>,
        running: RunningStream,
        stream: ServeId,
        token: CancellationToken,
    ) {
        let options = running.entry().options;
        let id = running.entry().id;
        let attached = !options.detached && !options.blocking;
        let drop_on = (!options.detached).then(|| token.clone());
        let session = Arc::downgrade(self);
        let Some((node, pass)) = self.place(attached, id) else {
            return;
        };
        self.link.node.spawn(async move {
            let ended = node.run_handler(running, options, token, drop_on).await;
            if let Some(session) = session.upgrade() {
                let end = stream_end(ended);
                session.with(|core, _| core.finish_stream(stream, end.clone()));
            }
            drop(pass);
        });
    }

    /// `None` where a handler would be attached to a session that is ending.
    #[allow(clippy::type_complexity, reason = "used twice, right above")]
    fn place(
        &self,
        attached: bool,
        id: HandlerId,
    ) -> Option<(
        Arc<crate::link::shared::NodeShared>,
        Option<crate::link::guard::Pass<Inside>>,
    )> {
        let pass = if attached {
            Some(self.guard.enter(Inside::Handler(id))?)
        } else {
            None
        };
        Some((self.link.node.clone(), pass))
    }

    fn forget(self: &Arc<Self>, ticket: Ticket) {
        self.with(|core, _| {
            core.served.remove(&ticket);
            core.conn.forget(ticket);
        });
    }
}

impl Core {
    /// True when the answer is on its way or nobody waits for it; false where it has to wait for
    /// room.
    fn respond(&mut self, ticket: Ticket, answer: &Response) -> bool {
        let mut responded = self.conn.respond(ticket, answer.clone());
        if let Err(RespondError::TooLarge { len, limit }) = responded {
            let text = format!("the answer of {len} bytes is over the limit of {limit}");
            responded = self.conn.respond(ticket, Err(Text::from(text)));
        }
        if responded == Err(RespondError::QueueFull) {
            self.starved = true;
            return false;
        }
        self.served.remove(&ticket);
        true
    }

    fn finish_stream(&mut self, stream: ServeId, end: End) {
        self.serving.remove(&stream);
        self.conn.serve_finish(stream, end);
    }

    fn refuse_stream(&mut self, stream: ServeId) {
        self.serving.remove(&stream);
        self.conn.serve_finish(
            stream,
            Err(Text::from(MuxRejection::Overloaded.to_string())),
        );
    }
}

impl crate::link::shared::NodeShared {
    /// Runs a handler to its end, or until its future has to be dropped.
    async fn run_handler<C: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        running: Running<C, T>,
        options: Options,
        token: CancellationToken,
        drop_on: Option<CancellationToken>,
    ) -> Ended<T> {
        if !options.blocking {
            return self.drive(running, drop_on).await;
        }
        let begun = tokio::select! {
            biased;
            // Nobody waits for it, and it has not begun.
            () = token.cancelled() => None,
            permit = self.blocking.clone().acquire_owned() => permit.ok(),
        };
        let Some(permit) = begun else {
            return running.end(None);
        };
        let node = self.clone();
        let blocking = self.runtime.spawn_blocking(move || {
            let ended = node.runtime.block_on(node.drive(running, drop_on));
            drop(permit);
            ended
        });
        match blocking.await {
            Ok(ended) => ended,
            Err(_) => Ended::Dropped,
        }
    }

    async fn drive<C, T>(
        self: &Arc<Self>,
        mut running: Running<C, T>,
        drop_on: Option<CancellationToken>,
    ) -> Ended<T> {
        let dropped = async {
            match &drop_on {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            biased;
            () = dropped => None,
            () = self.shutdown.abort().cancelled() => None,
            ended = &mut running => Some(ended),
        };
        running.end(ended)
    }
}

/// `None` for a handler that was dropped: it has no answer.
fn single_answer(ended: Ended<Payload>) -> Option<Response> {
    match ended {
        Ended::Returned(Ok(payload)) => Some(Ok(payload)),
        Ended::Returned(Err(error)) => Some(Err(error.into_text())),
        Ended::Panicked(text) => Some(Err(Text::from(format!(
            "handleMessages: panic recovered: {text}"
        )))),
        Ended::Dropped => None,
    }
}

fn stream_end(ended: Ended<()>) -> End {
    match ended {
        Ended::Returned(Ok(())) => Ok(()),
        Ended::Returned(Err(error)) => Err(error.into_text()),
        Ended::Panicked(text) => Err(Text::from(format!("handler panic: {text}"))),
        // Where the caller has gone nobody hears this; a clean end would be a lie to all others.
        Ended::Dropped => Err(Text::from("the handler was dropped")),
    }
}
