//! One relationship with a remote: it lives as long as the node, while connections come and go.
//!
//! The loop that does so is in [`reconnect`]. A dialer's attempt is to dial and to handshake; an acceptor's is to wait for
//! a connection that was dialed, and to answer it.

pub(crate) mod accept;
mod backoff;
mod budgets;
pub(crate) mod counted;
mod dial;
pub(crate) mod guard;
#[cfg(test)]
mod guard_tests;
mod links;
mod place;
mod protection;
mod reconnect;
mod replay;
pub(crate) mod room;
pub(crate) mod shared;
pub(crate) mod tell;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use grid_proto::wire::Extra;
use tokio::time::{Instant, sleep_until};

use self::{
    accept::{AcceptSlot, Replacing},
    backoff::Backoff,
    reconnect::{Rounds, keep_up},
    shared::LinkShared,
};
use crate::{
    registry::Frozen,
    session::{self, Established},
    state::{LinkCause, LinkState},
    trace::Cut,
};

/// What this node says of itself beyond the protocol (protocol section 10).
pub(crate) const EXTRA: Extra = Extra {
    version: 1,
    capabilities: Extra::CANCELS_REQUESTS | Extra::COUNTS_CREDIT,
};

/// Keeps the link to one remote up, until the node shuts down or the remote is taken off the list. Connections that the
/// remote dials come by `incoming`; without it, this node dials.
///
/// The end of the link is told also where the future is dropped, be it before it was polled.
pub(crate) fn run(
    link: Arc<LinkShared>,
    registry: Arc<Frozen>,
    incoming: Option<Box<AcceptSlot>>,
) -> impl Future<Output = ()> + Send {
    let gone = link.gone.clone().drop_guard();
    let mut over = Over {
        link,
        panicked: false,
    };
    async move {
        let link = over.link.clone();
        if let Err(panic) = AssertUnwindSafe(live(&link, &registry, incoming))
            .catch_unwind()
            .await
        {
            over.panicked = true;
            tracing::error!(
                target: "grid::link",
                local = %link.node.local,
                remote = %link.name,
                panic = %Cut(session::panic_text(panic)),
                "the task of the link panicked, and the link is closed"
            );
        }
        drop(over);
        drop(gone);
        link.node.links.forget_gone();
    }
}

async fn live(link: &Arc<LinkShared>, registry: &Arc<Frozen>, incoming: Option<Box<AcceptSlot>>) {
    if let Some(before) = &link.before {
        // Its session may not be gone, although it was taken off the list: there is one at a time.
        before.cancelled().await;
    }
    let (stop, wish) = (&link.stop, &link.reconnect);
    tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = link.node.started.cancelled() => {}
    }
    let keep_up = async {
        match incoming {
            Some(slot) => keep_up(&mut Acceptor::new(link, registry, slot), stop, wish).await,
            None => keep_up(&mut Dialer::new(link, registry), stop, wish).await,
        }
    };
    tokio::select! {
        biased;
        () = keep_up => {}
        never = link.tell_late() => match never {},
    }
}

/// Says that the link is closed for good, also where the runtime ends under it.
struct Over {
    link: Arc<LinkShared>,
    panicked: bool,
}

impl Drop for Over {
    fn drop(&mut self) {
        let cause = match self.panicked {
            true => LinkCause::Panicked,
            false => self.link.stop_cause(),
        };
        self.link.set_state(LinkState::Closed {
            cause: Arc::new(cause),
        });
    }
}

struct Dialer<'a> {
    link: &'a Arc<LinkShared>,
    registry: &'a Arc<Frozen>,
    backoff: Backoff,
    /// The number of the attempt since the link was last up.
    attempt: u32,
    started: Instant,
    next: Instant,
}

impl<'a> Dialer<'a> {
    fn new(link: &'a Arc<LinkShared>, registry: &'a Arc<Frozen>) -> Self {
        let now = Instant::now();
        Self {
            link,
            registry,
            backoff: Backoff::new(&link.node.settings, &link.node.failing),
            attempt: 1,
            started: now,
            next: now,
        }
    }
}

impl Rounds for Dialer<'_> {
    type Live = Established;

    async fn attempt(&mut self) -> Option<Established> {
        self.started = Instant::now();
        // In a box, as is all that a link doesn't need while it is up: its task has room for the largest of its parts.
        match caught(Box::pin(dial::connect(self.link))).await {
            Ok(established) => {
                self.backoff.connected();
                Some(established)
            }
            Err(cause) => {
                report_failure(self.link, self.attempt, &cause);
                self.attempt = self.attempt.saturating_add(1);
                self.link.set_state(LinkState::Connecting {
                    attempt: self.attempt,
                    last: Some(Arc::new(cause)),
                });
                self.next = self.backoff.after_failure(self.started, rand::random());
                None
            }
        }
    }

    async fn run(&mut self, established: Established) {
        let since = established.since;
        Box::pin(session::run(self.link, self.registry, established)).await;
        self.attempt = 1;
        let lost = Instant::now();
        self.next = self
            .backoff
            .after_loss(self.started, lost - since, lost, rand::random());
    }

    async fn pause(&mut self) {
        // tidy: sleep: the pause between two attempts is the point
        sleep_until(self.next).await;
    }
}

struct Acceptor<'a> {
    link: &'a Arc<LinkShared>,
    registry: &'a Arc<Frozen>,
    /// In a box, as each of the futures that it goes through has room for it.
    slot: Box<AcceptSlot>,
}

impl<'a> Acceptor<'a> {
    fn new(link: &'a Arc<LinkShared>, registry: &'a Arc<Frozen>, slot: Box<AcceptSlot>) -> Self {
        Self {
            link,
            registry,
            slot,
        }
    }
}

impl Rounds for Acceptor<'_> {
    type Live = Established;

    async fn attempt(&mut self) -> Option<Established> {
        let candidate = self.slot.next().await;
        match caught(Box::pin(candidate.answer(self.link))).await {
            Ok(established) => Some(established),
            Err(cause) => {
                self.link
                    .counters
                    .failed_attempts
                    .fetch_add(1, Ordering::Relaxed);
                self.link.set_state(LinkState::Waiting {
                    last: Some(Arc::new(cause)),
                });
                None
            }
        }
    }

    async fn run(&mut self, established: Established) {
        let (since, replaced) = (established.since, established.replaced.clone());
        tokio::select! {
            biased;
            _ = Box::pin(session::run(self.link, self.registry, established)) => {}
            never = self.slot.supervise(since, &replaced) => match never {},
        }
        let lived = since.elapsed();
        if let Some(newer) = self.slot.ended(lived) {
            report_replaced(self.link, lived, &newer);
        }
    }

    /// The remote decides when it dials.
    async fn pause(&mut self) {}
}

/// Somebody took the place of a live connection: the remote, which had lost it, or another one under its name.
fn report_replaced(link: &LinkShared, lived: Duration, newer: &Replacing) {
    // The harmless kind must not use up the line of the other.
    let kind = match newer.another {
        true => "replaced by another",
        false => "replaced by itself",
    };
    if let Some(suppressed) = link.node.violations.allow(&link.name, kind) {
        tracing::warn!(
            target: "grid::accept",
            local = %link.node.local,
            remote = %link.name,
            from = &*newer.from,
            another = newer.another,
            ?lived,
            suppressed,
            "a live connection is replaced by a newer one of the same name"
        );
    }
}

/// Dialers, tokens and byte streams are code of the application: its panic is a failed attempt, not the end of the link.
async fn caught<T>(attempt: impl Future<Output = Result<T, LinkCause>>) -> Result<T, LinkCause> {
    AssertUnwindSafe(attempt)
        .catch_unwind()
        .await
        .unwrap_or(Err(LinkCause::Panicked))
}

/// The first failure of a row is no news: nodes start one after the other, and a lost link was told already.
fn report_failure(link: &LinkShared, attempt: u32, cause: &LinkCause) {
    link.counters
        .failed_attempts
        .fetch_add(1, Ordering::Relaxed);
    if attempt == 1 {
        return;
    }
    // A link that comes and goes begins anew each time, so its lines are bounded besides.
    let told = link
        .node
        .limiter
        .allow_if(&link.name, cause.kind(), || link.teller.allow());
    if let Some(suppressed) = told {
        let cause = Cut(cause);
        tracing::warn!(
            target: "grid::link",
            local = %link.node.local,
            remote = %link.name,
            attempt,
            suppressed,
            %cause,
            "can't connect"
        );
    }
}
