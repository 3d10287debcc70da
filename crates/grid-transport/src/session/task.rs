//! One handler at work: its panics stay inside, and what it holds is given back when it ends.

use std::{
    any::Any,
    future::Future,
    mem,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use grid_proto::{Payload, conn::Charge};

use super::Permit;
use crate::{error::HandlerError, registration::HandlerFuture, registry::Entry, trace::HandleSpan};

/// How a handler ended.
#[derive(Debug)]
pub(super) enum Ended<T> {
    Returned(Result<T, HandlerError>),
    /// With the text of the panic.
    Panicked(String),
    /// Its future was dropped before it returned.
    Dropped,
}

/// What a handler returns, as far as its span shows it.
pub(super) trait Returned {
    /// The bytes of the answer; items of a stream are counted where they are sent.
    fn bytes(&self) -> usize;
}

impl Returned for Payload {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Returned for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl<T: Returned> Ended<T> {
    fn tell(&self, span: HandleSpan) {
        match self {
            Self::Returned(Ok(answer)) => span.end("ok", None, answer.bytes()),
            Self::Returned(Err(error)) => span.end("failed", Some(error.text()), 0),
            Self::Panicked(text) => span.end("panicked", Some(text), 0),
            Self::Dropped => span.end("dropped", None, 0),
        }
    }
}

/// A handler that runs, with everything that it holds.
pub(super) struct Running<C, T: Returned> {
    entry: Arc<Entry<C, T>>,
    stage: Stage<C, T>,
    /// When it began, where it was not ready at once: with its first poll, or with its task.
    since: Option<tokio::time::Instant>,
    /// What its first poll may take, in microseconds, where that is not known yet.
    timed: Option<NonZeroU32>,
    counted: bool,
    span: Option<Box<HandleSpan>>,
    /// The box of one that has ended in place, for the next.
    spare: Option<HandlerFuture<T>>,
    /// Of the link and node.
    _permit: Permit,
    /// Of the handler's own limit.
    own: Option<Permit>,
    /// What its request holds of the inbound budget.
    charge: Charge,
}

enum Stage<C, T> {
    /// Not called yet: calling is the handler's code already. In a box, for the few that wait for a task: all others would
    /// have the room for it.
    Called(Box<C>),
    Polled(HandlerFuture<T>),
    Over,
}

impl<C, T: Returned> Running<C, T> {
    /// One that is to be [polled at once](Self::poll_first) or [kept for a task](Self::keep); `None` when one of the limits
    /// is reached.
    #[inline]
    pub(super) fn new(
        entry: &Arc<Entry<C, T>>,
        permit: Option<Permit>,
        charge: Charge,
    ) -> Option<Self> {
        let permit = permit?;
        let own = match &entry.limit {
            Some(limit) => Some(limit.try_acquire()?),
            None => None,
        };
        entry.counters.begin();
        Some(Self {
            entry: entry.clone(),
            stage: Stage::Over,
            since: None,
            timed: None,
            counted: false,
            span: None,
            spare: None,
            _permit: permit,
            own,
            charge,
        })
    }

    /// Whether it ran this handler.
    pub(super) fn is_of(&self, entry: &Arc<Entry<C, T>>) -> bool {
        Arc::ptr_eq(&self.entry, entry)
    }

    /// As [`new`](Self::new), of one that has [ended in place](Self::end_in_place); false when the handler's own limit is
    /// reached.
    #[inline]
    pub(super) fn again(&mut self, charge: Charge) -> bool {
        self.own = match &self.entry.limit {
            Some(limit) => match limit.try_acquire() {
                Some(own) => Some(own),
                None => return false,
            },
            None => None,
        };
        self.entry.counters.begin();
        (self.since, self.timed, self.counted) = (None, None, false);
        self.charge = charge;
        true
    }

    /// Its span, where somebody wants one.
    pub(super) fn traced(&mut self, span: Option<Box<HandleSpan>>) {
        self.span = span;
    }

    pub(super) fn entry(&self) -> &Entry<C, T> {
        &self.entry
    }

    /// Calls the handler and polls it once; what is not ready has to be polled again by a task, with a waker that counts.
    #[inline]
    pub(super) fn poll_first(&mut self, call: C) -> Option<Ended<T>> {
        let _inside = self.span.as_ref().map(|span| span.enter());
        let spare = self.spare.take().or_else(|| self.entry.spare.take());
        let polled = match quietly(|| (self.entry.run)(call, spare)) {
            Ok(future) => {
                self.stage = Stage::Polled(future);
                self.stage.poll(&mut Context::from_waker(Waker::noop()))
            }
            Err(panic) => Poll::Ready(Ended::Panicked(panic)),
        };
        match polled {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    /// Keeps the call for when a task polls it.
    pub(super) fn keep(&mut self, call: C) {
        self.stage = Stage::Called(Box::new(call));
    }

    /// How long that took.
    pub(super) fn took(&mut self, took: Duration) {
        self.since = tokio::time::Instant::now().checked_sub(took);
    }

    /// It runs by itself from now on. Where it was not polled in place, and may not block, its first poll is timed, and a
    /// slow one counts.
    pub(super) fn goes_on(&mut self, slow_poll: Duration) {
        self.since.get_or_insert_with(tokio::time::Instant::now);
        let timed = matches!(self.stage, Stage::Called(_)) && !self.entry.options.blocking;
        let micros = u32::try_from(slow_poll.as_micros()).unwrap_or(u32::MAX);
        self.timed = timed.then_some(NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN));
    }

    /// Drops what is left of the handler, counts it, and gives back what it held.
    pub(super) fn end(mut self, ended: Option<Ended<T>>) -> Ended<T> {
        self.finish(ended)
    }

    /// The same for one that [ran to its end](Self::poll_first) where it was called: another call of the same handler can
    /// [use it again](Self::again).
    #[inline]
    pub(super) fn end_in_place(&mut self, ended: Ended<T>) -> Ended<T> {
        let ended = self.finish(Some(ended));
        self.own = None;
        self.charge = Charge::default();
        ended
    }

    fn finish(&mut self, ended: Option<Ended<T>>) -> Ended<T> {
        if let (Some(Ended::Returned(_)), Stage::Polled(_)) = (&ended, &self.stage)
            && let Stage::Polled(returned) = mem::replace(&mut self.stage, Stage::Over)
        {
            self.spare = Some(returned);
        }
        let dropped = self.drop_stage();
        let ended = match (ended, dropped) {
            (_, Err(panic)) => Ended::Panicked(panic),
            (Some(ended), Ok(())) => ended,
            (None, Ok(())) => Ended::Dropped,
        };
        self.count(&ended);
        ended
    }

    /// Drops what is left of the handler; what that logs belongs to its call too.
    fn drop_stage(&mut self) -> Result<(), String> {
        let _inside = self.span.as_ref().map(|span| span.enter());
        let stage = mem::replace(&mut self.stage, Stage::Over);
        quietly(|| drop(stage))
    }

    fn count(&mut self, ended: &Ended<T>) {
        let took = self.since.map(|since| since.elapsed());
        let failed = !matches!(ended, Ended::Returned(Ok(_)));
        let panicked = matches!(ended, Ended::Panicked(_));
        self.entry.counters.end(took, failed, panicked);
        self.counted = true;
        if let Some(span) = self.span.take() {
            ended.tell(*span);
        }
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Ended<T>> {
        let _inside = self.span.as_ref().map(|span| span.enter());
        if matches!(self.stage, Stage::Called(_))
            && let Stage::Called(call) = mem::replace(&mut self.stage, Stage::Over)
        {
            let spare = self.spare.take().or_else(|| self.entry.spare.take());
            match quietly(|| (self.entry.run)(*call, spare)) {
                Ok(future) => self.stage = Stage::Polled(future),
                Err(panic) => return Poll::Ready(Ended::Panicked(panic)),
            }
        }
        self.stage.poll(cx)
    }
}

impl<C, T> Stage<C, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended<T>> {
        let Self::Polled(future) = self else {
            return Poll::Ready(Ended::Dropped);
        };
        match quietly(|| future.poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(returned)) => Poll::Ready(Ended::Returned(returned)),
            Err(panic) => Poll::Ready(Ended::Panicked(panic)),
        }
    }
}

// The future is boxed; nothing in here is pinned in place.
impl<C, T: Returned> Unpin for Running<C, T> {}

impl<C, T: Returned> Future for Running<C, T> {
    type Output = Ended<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slow) = self.timed.take() else {
            return self.poll_stage(cx);
        };
        let before = Instant::now();
        let polled = self.poll_stage(cx);
        let slow = Duration::from_micros(slow.get().into());
        self.entry.counters.polled(before.elapsed() > slow);
        polled
    }
}

impl<C, T: Returned> Drop for Running<C, T> {
    fn drop(&mut self) {
        if !self.counted {
            // Its session was ending before it had a task, or its task was dropped with the
            // runtime: nobody is left to be told.
            drop(self.drop_stage());
            self.since.get_or_insert_with(tokio::time::Instant::now);
            self.count(&Ended::Dropped);
        }
        if let Some(spare) = self.spare.take() {
            self.entry.spare.keep(spare);
        }
    }
}

/// Runs a user's code; a panic becomes its text.
fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(panic_text)
}

/// What a panic said.
pub(crate) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = panic.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is no text".to_owned()
    };
    // A value that panics when dropped would get past all who catch; it is left where it is.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        mem::forget(again);
    }
    text
}

#[cfg(test)]
mod tests {
    use grid_proto::{HandlerId, conn::Budget};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        handler::{Context as Called, Request},
        registration::SingleHandler,
        registry::Registry,
        session::{Permits, Watch},
    };

    fn request(text: &'static str) -> Request {
        let watch = Watch::by(CancellationToken::new());
        let context = Called::new(
            "http://a:1".into(),
            true,
            HandlerId::new(9),
            None,
            None,
            watch,
        );
        Request::new(text.into(), context)
    }

    #[test]
    fn one_that_has_ended_in_place_runs_another_call_within_the_handlers_own_limit() {
        let registry = Registry::new();
        let echo = SingleHandler::new(HandlerId::new(9), |request: Request| async move {
            Ok(request.into_payload())
        });
        registry.register(echo.limit(1)).unwrap();
        let frozen = registry.freeze();
        let entry = &frozen.singles()[0];
        let (node, inbound, own) = (
            Permits::new(1),
            Budget::new(100),
            entry.limit.as_ref().unwrap(),
        );
        let charge = || inbound.charge(7).unwrap();
        let mut running = Running::new(entry, node.try_acquire(), charge()).unwrap();
        for text in ["one", "two"] {
            assert_eq!((node.used(), own.used(), inbound.used()), (1, 1, 7));
            let ended = running.poll_first(request(text)).unwrap();
            let ended = running.end_in_place(ended);
            assert!(matches!(ended, Ended::Returned(Ok(answer)) if answer == text.into()));
            // What is for all calls together stays, and what is for one has gone.
            assert_eq!((node.used(), own.used(), inbound.used()), (1, 0, 0));
            let elsewhere = own.try_acquire();
            assert!(!running.again(charge()), "it runs elsewhere");
            drop(elsewhere);
            assert!(running.again(charge()));
        }
        // One that is left to a task then has the box too, and no second one.
        running.keep(request("three"));
        let polled = Pin::new(&mut running).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready() && running.spare.is_none());
        drop(running);
        assert_eq!((node.used(), own.used(), inbound.used()), (0, 0, 0));
        let counted = entry.counters.snapshot(entry.id, None, false);
        assert_eq!((counted.calls, counted.running, counted.errors), (3, 0, 1));
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }

    #[test]
    fn every_kind_of_panic_becomes_a_text() {
        assert_eq!(quietly(|| panic!("plain")).unwrap_err(), "plain");
        assert_eq!(quietly(|| panic!("{}", 7)).unwrap_err(), "7");
        let odd = quietly(|| std::panic::panic_any(7_u8)).unwrap_err();
        assert_eq!(odd, "a value that is no text");
        let bomb = quietly(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(bomb, "a value that is no text");
        assert_eq!(quietly(|| drop(Bomb)).unwrap_err(), "dropped");
    }
}
