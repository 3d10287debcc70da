//! How the handler of a single request finds out that nobody waits for its answer.
//!
//! Most handlers never ask: what tells them is made when they do.

use std::sync::{Arc, OnceLock, Weak};

use grid_proto::conn::Ticket;
use tokio_util::sync::CancellationToken;

use super::Session;

/// Tells a handler when nobody waits for its outcome any more.
#[derive(Clone)]
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
        self.token.get_or_init(|| {
            let live = self
                .request
                .as_ref()
                .and_then(|(session, ticket)| Some((session.upgrade()?, *ticket)));
            match live {
                Some((session, ticket)) => session.watch(ticket),
                None => fired(),
            }
        })
    }
}

impl Session {
    /// A token that fires when nobody waits for the answer to this request any more.
    pub(super) fn watch(self: &Arc<Self>, ticket: Ticket) -> CancellationToken {
        let watched = self.with(|core, _| match core.conn.is_awaited(ticket) {
            Some(true) => Some(core.watched.entry(ticket).or_default().clone()),
            Some(false) => None,
            // It has been answered, and nothing will happen to it.
            None => Some(CancellationToken::new()),
        });
        watched.flatten().unwrap_or_else(fired)
    }
}

fn fired() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}
