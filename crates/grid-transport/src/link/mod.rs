//! One relationship with a remote: it lives as long as the node, while connections come and go.
//!
//! The loop of a dialer is: dial → handshake → run the session until *all* of it is gone → pause → again. That of an
//! acceptor waits where the other dials. Nothing watches a state in order to reconnect: the loop goes on when running
//! the session returns.

pub(crate) mod accept;
mod backoff;
mod dial;
pub(crate) mod guard;
pub(crate) mod shared;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

use futures_util::FutureExt;
use grid_proto::wire::Extra;
use tokio::time::{Instant, sleep_until};

use self::{accept::AcceptSlot, backoff::Backoff, shared::LinkShared};
use crate::{
    session,
    state::{LinkCause, LinkState},
};

/// What this node says of itself beyond the protocol (protocol section 10): version 1, and as bit 0 of the capabilities
/// that it stops single requests whose callers have gone.
pub(crate) const EXTRA: Extra = Extra {
    version: 1,
    capabilities: 1,
};

/// Keeps the link to one remote up, until the node shuts down or the remote is taken off the list. Connections that the
/// remote dials come by `incoming`; without it, this node dials.
pub(crate) async fn run(link: Arc<LinkShared>, incoming: Option<AcceptSlot>) {
    match incoming {
        Some(slot) => serve(&link, slot).await,
        None => redial(&link).await,
    }
    link.set_state(LinkState::Closed {
        cause: Arc::new(link.stop_cause()),
    });
}

/// The dialer's loop.
async fn redial(link: &Arc<LinkShared>) {
    let mut backoff = Backoff::new(&link.node.settings);
    let mut attempt = 1;
    loop {
        let started = Instant::now();
        let outcome = tokio::select! {
            biased;
            () = link.stop.cancelled() => return,
            outcome = caught(dial::connect(link)) => outcome,
        };
        let next = match outcome {
            Ok(established) => {
                let since = established.since;
                session::run(link, established).await;
                attempt = 1;
                let lost = Instant::now();
                backoff.after_loss(started, lost - since, lost, rand::random())
            }
            Err(cause) => {
                report_failure(link, attempt, &cause);
                attempt = attempt.saturating_add(1);
                link.set_state(LinkState::Connecting {
                    attempt,
                    last: Some(Arc::new(cause)),
                });
                backoff.after_failure(started, rand::random())
            }
        };
        tokio::select! {
            biased;
            () = link.stop.cancelled() => return,
            () = link.reconnect.notified() => {}
            // tidy: sleep: the pause between two attempts is the point
            () = sleep_until(next) => {}
        }
    }
}

/// The acceptor's loop.
async fn serve(link: &Arc<LinkShared>, mut slot: AcceptSlot) {
    loop {
        let candidate = tokio::select! {
            biased;
            () = link.stop.cancelled() => return,
            candidate = slot.next() => candidate,
        };
        let answered = tokio::select! {
            biased;
            () = link.stop.cancelled() => return,
            answered = caught(candidate.answer(link)) => answered,
        };
        match answered {
            Ok(established) => {
                let (since, replaced) = (established.since, established.replaced.clone());
                tokio::select! {
                    biased;
                    _ = session::run(link, established) => {}
                    never = slot.supervise(since, &replaced) => match never {},
                }
            }
            Err(cause) => {
                link.counters
                    .failed_attempts
                    .fetch_add(1, Ordering::Relaxed);
                link.set_state(LinkState::Waiting {
                    last: Some(Arc::new(cause)),
                });
            }
        }
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
    if let Some(suppressed) = link.node.limiter.allow(&link.name, cause.kind()) {
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
