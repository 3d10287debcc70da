//! What a handler gets: the request, or the serving half of a stream, and who asks.

use std::{fmt, sync::Arc, time::Instant};

use grid_proto::{HandlerId, Payload};
use tokio_util::sync::CancellationToken;

use crate::session::Watch;

/// Who calls, what for, and for how long.
///
/// Cheap to clone; a clone may outlive the handler.
#[derive(Clone)]
pub struct Context {
    caller: Arc<str>,
    handler: HandlerId,
    subroute: Option<Arc<str>>,
    deadline: Option<Instant>,
    ours: bool,
    watch: Watch,
}

impl Context {
    pub(crate) fn new(
        caller: Arc<str>,
        ours: bool,
        handler: HandlerId,
        subroute: Option<Arc<str>>,
        deadline: Option<Instant>,
        watch: Watch,
    ) -> Self {
        Self {
            caller,
            handler,
            subroute,
            deadline,
            ours,
            watch,
        }
    }

    /// The name of the node that calls.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// Whether that is a node of this project (protocol section 10), and not one of MinIO.
    #[must_use]
    pub fn caller_is_ours(&self) -> bool {
        self.ours
    }

    /// The handler's id.
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.handler
    }

    /// The subroute under which the handler was registered, if it was under one.
    #[must_use]
    pub fn subroute(&self) -> Option<&str> {
        self.subroute.as_deref()
    }

    /// When the caller will be gone; `None` where it waits for ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Fires when nobody waits for the outcome any more: the caller has cancelled (where its node
    /// says so), the deadline has passed, or the connection has ended.
    ///
    /// A context that was neither cloned nor asked for it before the request was over is told of nothing that
    /// came before.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        self.watch.token()
    }

    /// Whether nobody waits for the outcome any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token().is_cancelled()
    }

    /// Waits until nobody waits for the outcome any more.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost when the future is dropped.
    pub async fn cancelled(&self) {
        self.token().cancelled().await;
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("caller", &self.caller)
            .field("handler", &self.handler)
            .field("subroute", &self.subroute)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A single request, as its handler gets it.
#[derive(Debug)]
pub struct Request {
    payload: Payload,
    context: Context,
}

impl Request {
    pub(crate) fn new(payload: Payload, context: Context) -> Self {
        Self { payload, context }
    }

    /// The payload; an empty one arrives as absent, the wire can't say otherwise.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Takes the payload.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        self.payload
    }

    /// Takes both apart.
    #[must_use]
    pub fn into_parts(self) -> (Payload, Context) {
        (self.payload, self.context)
    }

    /// Who calls, what for, and for how long.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The name of the node that calls.
    #[must_use]
    pub fn caller(&self) -> &str {
        self.context.caller()
    }

    /// When the caller will be gone.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.context.deadline()
    }
}
