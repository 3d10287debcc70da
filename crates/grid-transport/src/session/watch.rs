//! How the handler of a single request finds out that nobody waits for its answer.
//!
//! Most handlers never ask: what tells them is made when they do.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock, Weak},
};

use grid_proto::conn::Ticket;
use tokio_util::sync::CancellationToken;

use super::Session;

/// Tells a handler when nobody waits for its outcome any more.
pub(crate) struct Watch {
    token: OnceLock<CancellationToken>,
    request: Option<(Weak<Session>, Ticket)>,
}

impl Watch {
    /// By a token that is there already.
    pub(crate) fn by(token: CancellationToken) -> Self {
        Self {
            token: OnceLock::from(token),
            request: None,
        }
    }

    /// Of this request.
    pub(super) fn of(session: &Arc<Session>, ticket: Ticket) -> Self {
        Self {
            token: OnceLock::new(),
            request: Some((Arc::downgrade(session), ticket)),
        }
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        if let Some(token) = self.token.get() {
            return token;
        }
        // Not while the cell is being filled: it wakes, and a waker may ask here.
        let live = self
            .request
            .as_ref()
            .and_then(|(session, ticket)| Some((session.upgrade()?, *ticket)));
        let token = match live {
            Some((session, ticket)) => session.watch(ticket),
            None => fired(),
        };
        self.token.get_or_init(|| token)
    }
}

/// A clone may be asked when its request is over and the session knows nothing of it any more, so it has its token.
impl Clone for Watch {
    fn clone(&self) -> Self {
        self.token();
        Self {
            token: self.token.clone(),
            request: self.request.clone(),
        }
    }
}

impl Session {
    /// A token that fires when nobody waits for the answer to this request any more.
    pub(super) fn watch(self: &Arc<Self>, ticket: Ticket) -> CancellationToken {
        let watched = self.with(|core| match core.conn.is_awaited(ticket) {
            Some(true) => Some(core.watched.entry(ticket).or_default().clone()),
            Some(false) => None,
            // It is over, and nothing happens to it any more.
            None => Some(CancellationToken::new()),
        });
        watched.flatten().unwrap_or_else(fired)
    }
}

/// Fires them all, also where a waker of one of them panics, and gives that panic.
pub(super) fn fire(tokens: &mut Vec<CancellationToken>) -> Option<Box<dyn Any + Send>> {
    let mut panicked = None;
    for token in tokens.drain(..) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| token.cancel())) {
            panicked.get_or_insert(panic);
        }
    }
    panicked
}

fn fired() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}
