//! The handle that callers hold.

use std::{fmt, sync::Arc, time::Duration};

use grid_proto::{HandlerId, Payload, Route, SubrouteId, conn::Capacity};
use tokio::sync::watch;

use crate::{
    error::CallError,
    link::shared::LinkShared,
    request::{Call, RequestBuilder, after},
    state::{LinkCause, LinkState},
    stats::LinkStats,
    stream::StreamBuilder,
};

/// A remote: calls to it, and how its link is. Cheap to clone; it outlives reconnects.
///
/// ```no_run
/// # async fn example(peer: grid_transport::Connection) -> Result<(), grid_transport::CallError> {
/// use std::time::Duration;
/// use grid_transport::HandlerId;
///
/// const READ: HandlerId = HandlerId::new(201);
/// let answer = peer
///     .subroute("disk1")
///     .request(READ, "a/b/c")
///     .timeout(Duration::from_secs(5))
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Connection {
    link: Arc<LinkShared>,
    route: Option<Arc<Subroute>>,
}

#[derive(Debug)]
pub(crate) struct Subroute {
    route: Route,
    /// Its id but for the first byte, which is the handler's.
    id: SubrouteId,
}

impl fmt::Display for Subroute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.route.as_str())
    }
}

impl Connection {
    pub(crate) fn new(link: Arc<LinkShared>) -> Self {
        Self { link, route: None }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn link(&self) -> &Arc<LinkShared> {
        &self.link
    }

    /// Makes a single request when awaited (protocol section 6). An empty payload arrives as
    /// absent: the wire can't tell them apart here.
    pub fn request(&self, handler: HandlerId, payload: impl Into<Payload>) -> RequestBuilder {
        RequestBuilder(self.call(handler, payload.into()))
    }

    /// Opens a stream when awaited (protocol section 7). `capacity` is part of the handler's
    /// definition, and the same on both nodes; the handler need not be registered on this one.
    ///
    /// The stream is there as soon as its first message is queued. Errors of opening it come from
    /// the first [`recv`](crate::Stream::recv) or [`send`](crate::Stream::send).
    pub fn stream(
        &self,
        handler: HandlerId,
        capacity: Capacity,
        payload: impl Into<Payload>,
    ) -> StreamBuilder {
        StreamBuilder::new(self.call(handler, payload.into()), capacity)
    }

    /// The same remote, with handlers registered under this route; of one that has a route
    /// already, the parts are joined with `/` (protocol section 5).
    #[must_use]
    pub fn subroute(&self, part: &str) -> Self {
        let route = match &self.route {
            Some(before) => before.route.join(part),
            None => Route::new(part),
        };
        let id = route.id(HandlerId::new(0));
        Self {
            link: self.link.clone(),
            route: Some(Arc::new(Subroute { route, id })),
        }
    }

    /// Waits until the link is up; returns at once where it is.
    ///
    /// # Errors
    ///
    /// [`CallError::ShuttingDown`] or [`CallError::NotConnected`] once the link has ended for good,
    /// because this node shuts down or the remote was removed. There is no other end: put a
    /// timeout around it where the remote may stay away.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn connected(&self) -> Result<(), CallError> {
        let mut states = self.link.subscribe();
        let state = tokio::select! {
            state = states.wait_for(|state| state.is_connected() || state.is_closed()) => match state {
                Ok(state) => state.clone(),
                Err(_) => return Err(CallError::ShuttingDown),
            },
            () = self.link.node.shutdown.draining().cancelled() => return Err(CallError::ShuttingDown),
        };
        match state {
            LinkState::Closed { cause } if !matches!(*cause, LinkCause::ShuttingDown) => {
                Err(CallError::NotConnected { cause })
            }
            LinkState::Closed { .. } => Err(CallError::ShuttingDown),
            _ => Ok(()),
        }
    }

    /// Measures the round-trip time of the link now: sends a ping (protocol section 8) and waits for
    /// its answer. It counts from when the ping leaves for the socket; what was queued by then goes
    /// before it on the wire.
    ///
    /// At most 1,000 pings leave in a [ping period](crate::Settings#structfield.ping_interval) because
    /// somebody asks, as many look like a flood to the remote; who asks for more waits for the next of
    /// those that are sent in any case. [`stats`](Self::stats) has the time of the last ping without
    /// sending one.
    ///
    /// ```no_run
    /// # async fn example(peer: grid_transport::Connection) -> Result<(), grid_transport::CallError> {
    /// let round_trip = peer.ping(std::time::Duration::from_secs(1)).await?;
    /// println!("{round_trip:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::NotConnected`] when the link is down, [`CallError::Disconnected`] when it is lost
    /// meanwhile, [`CallError::ShuttingDown`] when this node is the reason, and
    /// [`CallError::Deadline`] when there is no answer within `timeout`.
    ///
    /// # Cancel safety
    ///
    /// Safe: the ping may have been sent, and its answer means nothing to anybody.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, CallError> {
        let sent = self.link.session().and_then(|session| session.ping());
        let Some(answer) = sent else {
            return Err(self.link.not_connected());
        };
        match tokio::time::timeout_at(after(timeout), answer).await {
            Ok(Ok(answer)) => answer,
            // The session was dropped whole, which only happens when the runtime goes down.
            Ok(Err(_)) => Err(CallError::Disconnected {
                cause: Arc::new(LinkCause::Panicked),
            }),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// Whether the remote is a node of this project, as it said when the link came up (protocol section 10), and not one
    /// of MinIO. False of a link that is down: another may come up in its place.
    #[must_use]
    pub fn remote_is_ours(&self) -> bool {
        self.link.is_ours()
    }

    /// How the link is now.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.link.state()
    }

    /// Follows the link's state: the channel always holds the newest, so nobody who waits can
    /// miss that it changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.link.subscribe()
    }

    /// The link in numbers.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.link.stats()
    }

    /// Dials now where this node dials and is in the pause between two attempts; nothing happens
    /// where the link is up, or where the remote dials.
    pub fn reconnect_now(&self) {
        self.link.reconnect.notify_one();
    }

    /// The remote's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.link.name
    }

    /// The subroute that calls of this handle go to.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_ref().map(|subroute| subroute.route.as_str())
    }

    fn call(&self, handler: HandlerId, payload: Payload) -> Call {
        Call {
            link: self.link.clone(),
            handler,
            subroute: self.route.as_ref().map(|subroute| {
                let mut id = *subroute.id.as_bytes();
                id[0] = handler.get();
                SubrouteId::from_bytes(id)
            }),
            route: self.route.clone(),
            payload,
            deadline: None,
            wait_ready: false,
            urgent: false,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote", &self.link.name)
            .field("route", &self.route())
            .field("state", &self.link.state())
            .finish()
    }
}
