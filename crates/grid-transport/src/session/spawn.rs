//! Handlers that were not ready at once: a task for each, attached to the session or not.

use std::sync::Arc;

use grid_proto::{
    HandlerId,
    conn::{ServeId, Ticket},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inside, Session,
    answer::Answer,
    dispatch::{RunningSingle, RunningStream, single_answer, stream_end},
    task::{Ended, Returned, Running},
};
use crate::link::{guard::Pass, shared::NodeShared};

impl Session {
    pub(super) fn spawn_single(self: &Arc<Self>, mut running: RunningSingle, ticket: Ticket) {
        let options = running.entry().options;
        let attached = options.abort_on_cancel && !options.blocking;
        let Some(pass) = self.attach(attached, running.entry().id) else {
            return;
        };
        let token = (options.abort_on_cancel || options.blocking).then(|| self.watch(ticket));
        running.goes_on(self.link.node.settings.slow_poll);
        let (link, session) = (self.link.clone(), Arc::downgrade(self));
        self.link.node.spawn_handler(async move {
            let ended = if options.blocking {
                let aborts = options.abort_on_cancel;
                // In a box: no other handler's task needs the room.
                Box::pin(link.node.run_blocking(running, token, aborts)).await
            } else {
                let abort = link.node.shutdown.abort();
                let over = token.as_ref().unwrap_or(abort);
                let ended = drive(&mut running, over).await;
                running.end(ended)
            };
            match (session.upgrade(), single_answer(ended)) {
                (Some(session), Some(answer)) => {
                    session
                        .answer(Answer::new(ticket, answer, options.urgent))
                        .await;
                }
                (Some(session), None) => session.forget(ticket),
                // There is no way from here to a later session.
                (None, Some(_)) => link.counters.late_answer(),
                (None, None) => {}
            }
            drop(pass);
        });
    }

    pub(super) fn spawn_stream(
        self: &Arc<Self>,
        mut running: RunningStream,
        stream: ServeId,
        token: CancellationToken,
    ) {
        let options = running.entry().options;
        let attached = !options.detached && !options.blocking;
        let Some(pass) = self.attach(attached, running.entry().id) else {
            return;
        };
        let node = self.link.node.clone();
        running.goes_on(node.settings.slow_poll);
        let session = Arc::downgrade(self);
        let finish = move |ended| {
            if let Some(session) = session.upgrade() {
                let end = stream_end(ended);
                session.with(|core| core.finish_stream(stream, end.clone()));
            }
            drop(pass);
        };
        // Two tasks, as an idle stream is to hold no more than its own needs.
        if options.blocking {
            let drops = !options.detached;
            self.link.node.spawn_handler(async move {
                finish(node.run_blocking(running, Some(token), drops).await);
            });
        } else {
            let over = match options.detached {
                true => node.shutdown.abort().clone(),
                false => token,
            };
            self.link.node.spawn_handler(async move {
                let ended = drive(&mut running, &over).await;
                finish(running.end(ended));
            });
        }
    }

    /// A pass for a handler that is attached to the session, and none for one that is not; `None`
    /// where one would be attached to a session that is ending.
    fn attach(&self, attached: bool, id: HandlerId) -> Option<Option<Pass<Inside>>> {
        if attached {
            self.guard.enter(Inside::Handler(id)).map(Some)
        } else {
            Some(None)
        }
    }

    fn forget(self: &Arc<Self>, ticket: Ticket) {
        self.with(|core| {
            core.unwatch(ticket);
            core.conn.forget(ticket);
        });
    }
}

impl NodeShared {
    /// Runs a handler where it may block.
    async fn run_blocking<C: Send + 'static, T: Returned + Send + 'static>(
        self: &Arc<Self>,
        mut running: Running<C, T>,
        token: Option<CancellationToken>,
        drops: bool,
    ) -> Ended<T> {
        let begun = tokio::select! {
            biased;
            // Nobody waits for it, and it has not begun.
            () = cancelled(token.as_ref()) => None,
            permit = self.blocking.clone().acquire_owned() => permit.ok(),
        };
        let Some(permit) = begun else {
            return running.end(None);
        };
        let (node, drop_on) = (self.clone(), token.filter(|_| drops));
        let blocking = self.handlers.spawn_blocking(move || {
            let abort = node.shutdown.abort();
            let over = drop_on.as_ref().unwrap_or(abort);
            let ended = node.handlers.block_on(drive(&mut running, over));
            let ended = running.end(ended);
            drop(permit);
            ended
        });
        match blocking.await {
            Ok(ended) => ended,
            Err(_) => Ended::Dropped,
        }
    }
}

/// Runs a handler to its end; none where `over` fires before, and its future has to be dropped.
///
/// That is the token of whatever is dropped with its session, and for all others that of the node. Nobody waits for both,
/// as of an idle stream's task a wait is a good part: whoever ends the node ends its sessions too.
async fn drive<C, T: Returned>(
    running: &mut Running<C, T>,
    over: &CancellationToken,
) -> Option<Ended<T>> {
    tokio::select! {
        biased;
        () = over.cancelled() => None,
        ended = running => Some(ended),
    }
}

/// Returns when the token fires; never where there is none.
async fn cancelled(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}
