//! Starting calls: the wait for the link, for room, and for the answer.

use std::{
    fmt,
    future::{Future, IntoFuture},
    mem,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use grid_proto::{
    HandlerId, MuxId, Payload, SubrouteId,
    conn::{NewRequest, SubmitError},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    connection::Subroute,
    error::{CallError, Refusal},
    link::shared::LinkShared,
    measure::{CallKind, CallMeasure},
    session::{Answer, Session, Waiter, not_submitted},
    state::LinkCause,
    trace::CallSpan,
};

/// What a timeout amounts to that no clock can hold.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The moment that ends a timeout.
pub(crate) fn after(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FOR_EVER)
}

/// What every call has: where to, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) link: Arc<LinkShared>,
    pub(crate) handler: HandlerId,
    pub(crate) subroute: Option<SubrouteId>,
    /// The same in words.
    pub(crate) route: Option<Arc<Subroute>>,
    pub(crate) payload: Payload,
    pub(crate) deadline: Option<Instant>,
    pub(crate) wait_ready: bool,
    pub(crate) urgent: bool,
}

/// A single request that is about to be made; await it to make it.
///
/// # Errors
///
/// [`CallError`] says why there is no answer, and whether the handler may have run.
///
/// # Cancel safety
///
/// Dropping the future gives the request up: a remote of this project is told so, and sees it by
/// its handler's token; a MinIO node is not told, as it would ignore it. Whether the handler runs
/// can't be known then.
#[derive(Debug)]
#[must_use = "a request is made when it is awaited"]
pub struct RequestBuilder(pub(crate) Call);

impl RequestBuilder {
    /// Fails with [`CallError::Deadline`] when there is no answer after this time. The remote is
    /// told how long it has. Without one the deadline is
    /// [`Settings::default_deadline`](crate::Settings#structfield.default_deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.deadline = Some(after(timeout));
        self
    }

    /// The same as [`timeout`](Self::timeout), with the moment itself.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.0.deadline = Some(deadline);
        self
    }

    /// Has it written before all that waits on the same link and isn't urgent. The answer is, where the handler
    /// [says so](crate::SingleHandler::urgent): nothing on the wire tells a remote.
    ///
    /// For small requests that others wait for, as a lock's or a heartbeat's, on links that carry bulk data. What is being
    /// written already goes before it: up to [`merge_limit`](crate::Settings#structfield.merge_limit) of small messages or
    /// one large one, on Linux and over TCP 256 KiB that the system has not sent, and what the remote's system has received
    /// and the remote not read. Urgent requests and answers are written in their order, and one turn (16 KiB and the rest of
    /// a message) of an [urgent stream](crate::StreamBuilder::urgent) goes between those of each 16 KiB.
    ///
    /// While others wait, all that is urgent has 256 KiB at once, and of what is written besides four fifths at the most:
    /// for each four bytes of it one of others follows, in whole messages. Where the queue is full there is room for 256 KiB
    /// of urgent requests and answers besides, so for none that is larger.
    pub fn urgent(mut self) -> Self {
        self.0.urgent = true;
        self
    }

    /// Waits for the link where it is down, at most until the deadline; else a request fails at
    /// once with [`CallError::NotConnected`].
    pub fn wait_ready(mut self) -> Self {
        self.0.wait_ready = true;
        self
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Payload, CallError>;
    type IntoFuture = RequestFuture;

    fn into_future(self) -> RequestFuture {
        RequestFuture {
            stage: Stage::New(self.0),
            measure: CallMeasure::none(),
            span: None,
        }
    }
}

/// A single request under way; see [`RequestBuilder`] for what dropping it does.
#[must_use = "futures do nothing unless awaited"]
pub struct RequestFuture {
    stage: Stage,
    measure: CallMeasure,
    span: Option<Box<CallSpan>>,
}

enum Stage {
    New(Call),
    /// It waits for the link or for room, which is rare enough for a box.
    Waiting(Pin<Box<dyn Future<Output = Result<InFlight, CallError>> + Send>>),
    InFlight(InFlight),
    Done,
}

impl Future for RequestFuture {
    type Output = Result<Payload, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.poll_stage(cx));
        self.measure.end(outcome.as_ref().err());
        if let Some(mut span) = self.span.take() {
            span.answered(&outcome);
        }
        Poll::Ready(outcome)
    }
}

impl RequestFuture {
    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Result<Payload, CallError>> {
        loop {
            match &mut self.stage {
                Stage::New(_) => {
                    let Stage::New(mut call) = mem::replace(&mut self.stage, Stage::Done) else {
                        continue;
                    };
                    self.measure = CallMeasure::begin(&call.link.measure, CallKind::Request);
                    self.span = CallSpan::request(&call);
                    // Cloned where no lock is held: it is code of the user.
                    let mut waker = Some(cx.waker().clone());
                    self.stage =
                        match call.attempt(|session, call| request(session, call, &mut waker)) {
                            Ok(in_flight) => Stage::InFlight(in_flight),
                            Err(Attempt::Failed(error)) => return Poll::Ready(Err(error)),
                            Err(Attempt::Later) => {
                                // The wait and the call have one deadline together.
                                let limit = call.link.node.settings.default_deadline;
                                let deadline = call.deadline.unwrap_or_else(|| after(limit));
                                let call = Call {
                                    deadline: Some(deadline),
                                    ..call
                                };
                                Stage::Waiting(Box::pin(
                                    call.submit(|session, call| request(session, call, &mut None)),
                                ))
                            }
                        };
                }
                Stage::Waiting(submitting) => {
                    let submitted = ready!(submitting.as_mut().poll(cx));
                    match submitted {
                        Ok(in_flight) => self.stage = Stage::InFlight(in_flight),
                        Err(error) => {
                            self.stage = Stage::Done;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                Stage::InFlight(in_flight) => {
                    if let Some(span) = &mut self.span {
                        span.sent();
                    }
                    let outcome = ready!(in_flight.poll_answer(cx));
                    self.stage = Stage::Done;
                    return Poll::Ready(outcome);
                }
                Stage::Done => return Poll::Ready(Err(CallError::Cancelled)),
            }
        }
    }
}

impl fmt::Debug for RequestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::New(_) => "new",
            Stage::Waiting(_) => "waiting to be sent",
            Stage::InFlight(_) => "waiting for the answer",
            Stage::Done => "done",
        };
        f.debug_struct("RequestFuture")
            .field("stage", &stage)
            .finish()
    }
}

/// A request that the machine knows; dropping it gives it up.
struct InFlight {
    session: Weak<Session>,
    mux: MuxId,
    waiter: Arc<Waiter<Answer>>,
    answered: bool,
}

impl InFlight {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Payload, CallError>> {
        let answer = ready!(self.waiter.poll(cx));
        self.answered = true;
        Poll::Ready(answer)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if let Some(session) = self.session.upgrade() {
            session.cancel_request(self.mux);
        }
        self.waiter.leave();
    }
}

fn request(
    session: &Arc<Session>,
    call: &mut Call,
    waker: &mut Option<Waker>,
) -> Result<InFlight, SubmitError> {
    let mut new = NewRequest::new(call.handler, mem::take(&mut call.payload));
    new.subroute = call.subroute;
    new.deadline = call.deadline.map(Instant::into_std);
    new.urgent = call.urgent;
    let submitted = session.request(&mut new, waker);
    call.payload = new.payload;
    let (mux, waiter) = submitted?;
    Ok(InFlight {
        session: Arc::downgrade(session),
        mux,
        waiter,
        answered: false,
    })
}

/// Why a call was not submitted.
pub(crate) enum Attempt {
    Failed(CallError),
    /// The link may come up, or the queue may drain.
    Later,
}

impl Call {
    /// Tries to submit right now.
    pub(crate) fn attempt<T>(
        &mut self,
        mut submit: impl FnMut(&Arc<Session>, &mut Self) -> Result<T, SubmitError>,
    ) -> Result<T, Attempt> {
        if self.link.node.shutdown.is_draining() {
            return Err(Attempt::Failed(CallError::ShuttingDown));
        }
        let bytes = self.payload.len();
        let error = match self.link.session() {
            Some(session) => match submit(&session, self) {
                Ok(submitted) => return Ok(submitted),
                Err(error) => error,
            },
            None => SubmitError::Closed,
        };
        if self.payload.len() != bytes {
            // It went with a panic of the machine, and nothing else may be sent in its place.
            return Err(Attempt::Failed(CallError::Disconnected {
                cause: Arc::new(LinkCause::Panicked),
            }));
        }
        if error == SubmitError::Closed && (!self.wait_ready || self.link.state().is_closed()) {
            return Err(Attempt::Failed(self.link.not_connected()));
        }
        Err(not_submitted(&error).map_or(Attempt::Later, Attempt::Failed))
    }

    /// Submits as soon as the link and its queue let it; waits for the link until the deadline,
    /// and for room a bounded time besides.
    pub(crate) async fn submit<T>(
        mut self,
        mut submit: impl FnMut(&Arc<Session>, &mut Self) -> Result<T, SubmitError>,
    ) -> Result<T, CallError> {
        let link = self.link.clone();
        let node = &link.node;
        let deadline = self
            .deadline
            .unwrap_or_else(|| Instant::now() + node.settings.default_deadline);
        let mut states = self.link.subscribe();
        let mut patience = None;
        loop {
            // All that may wake is in place before the try, so that nothing is missed between.
            states.borrow_and_update();
            let session = self.link.session();
            let node_room = node.room.wake.notified();
            let room = session
                .as_ref()
                .map(|session| session.monitor.room.notified());
            match self.attempt(&mut submit) {
                Ok(submitted) => return Ok(submitted),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Later) => {}
            }
            let Some((session, room)) = session.as_ref().zip(room) else {
                patience = None;
                let wait = async {
                    tokio::select! {
                        _ = states.changed() => {}
                        () = node.shutdown.draining().cancelled() => {}
                    }
                };
                if timeout_at(deadline, wait).await.is_err() {
                    return Err(self.link.not_connected());
                }
                continue;
            };
            if session.starve() {
                continue;
            }
            let until =
                *patience.get_or_insert_with(|| Instant::now() + node.settings.room_timeout);
            let wait = async {
                tokio::select! {
                    () = room => {}
                    () = node_room => {}
                    _ = states.changed() => {}
                    () = node.shutdown.draining().cancelled() => {}
                }
            };
            if timeout_at(until.min(deadline), wait).await.is_err() {
                return Err(if deadline <= until {
                    CallError::Deadline
                } else {
                    CallError::Refused(Refusal::Overloaded)
                });
            }
        }
    }
}
