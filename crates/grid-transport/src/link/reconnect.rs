//! The loop that a link is: make a connection, run it until *all* of it is gone, pause, and again.
//!
//! Nothing watches a state in order to reconnect: the loop goes on when running the session returns.
//!
//! ```text
//!   [attempt] ──made──► [run] ──all of it gone──► [pause] ──over, or a wish──► [attempt]
//!       │                                            ▲
//!       └───────────────────failed───────────────────┘        stop, in any of them: the end
//! ```

// All that a model checker puts something else in place of.
use crate::sync::{CancellationToken, Notify};

use std::future::Future;

/// How a link makes its connections, and what it does with one: for both sides, and for a model.
pub(crate) trait Rounds {
    /// A connection whose handshake is done.
    type Live;

    /// Makes a connection, or waits for one; `None` where that failed. Dropping the future closes what it has made.
    fn attempt(&mut self) -> impl Future<Output = Option<Self::Live>> + Send;

    /// Runs a connection; returns only when nothing of it is left.
    fn run(&mut self, live: Self::Live) -> impl Future<Output = ()> + Send;

    /// The time until the next attempt.
    fn pause(&mut self) -> impl Future<Output = ()> + Send;
}

/// Keeps a link up until `stop` fires; a connection that runs then ends by itself. `reconnect` ends a pause.
pub(crate) async fn keep_up(link: &mut impl Rounds, stop: &CancellationToken, reconnect: &Notify) {
    loop {
        let live = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            live = link.attempt() => live,
        };
        if let Some(live) = live {
            link.run(live).await;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = reconnect.notified() => {}
            () = link.pause() => {}
        }
    }
}
