//! Single requests as a service.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use grid_proto::{HandlerId, Payload};
use tower_service::Service;

use crate::{
    connection::Connection, error::CallError, link::shared::LinkShared, request::RequestFuture,
};

/// What [`PeerService`] is asked for: a single request. Clones share the payload.
#[derive(Clone, Debug)]
pub struct Call {
    handler: HandlerId,
    payload: Payload,
    timeout: Option<Duration>,
    wait_ready: bool,
    urgent: bool,
}

impl Call {
    /// A request to this handler.
    pub fn new(handler: HandlerId, payload: impl Into<Payload>) -> Self {
        Self {
            handler,
            payload: payload.into(),
            timeout: None,
            wait_ready: false,
            urgent: false,
        }
    }

    /// As [`RequestBuilder::timeout`](crate::RequestBuilder::timeout), from each attempt on.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`RequestBuilder::wait_ready`](crate::RequestBuilder::wait_ready).
    #[must_use]
    pub fn wait_ready(mut self) -> Self {
        self.wait_ready = true;
        self
    }

    /// As [`RequestBuilder::urgent`](crate::RequestBuilder::urgent).
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// The handler that is asked.
    #[must_use]
    pub fn handler(&self) -> HandlerId {
        self.handler
    }

    /// What it is asked.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

/// Makes single requests to one peer, as a tower service.
///
/// It is ready unless the queue of the link is full, or that of the node: while it is, nothing can be sent in time, so
/// that a load-shedding layer sheds, [urgent](Call::urgent) calls too: a service is not asked for which call it is to be
/// ready. Who has such calls makes them by the connection, whose queue has room for them. While the link is down it is ready too, as a call fails at once then
/// ([`CallError::NotConnected`]), which a layer that retries or asks another peer is to see.
///
/// A clone is another handle of the same connection.
///
/// # Errors
///
/// Those of a [request](crate::RequestBuilder).
///
/// # Cancel safety
///
/// Dropping the future of a call gives the request up, as that of a [request](crate::RequestBuilder) does.
pub struct PeerService {
    peer: Connection,
    /// It waits for room in the queue.
    room: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl PeerService {
    /// Calls over this connection, under its subroute if it has one.
    #[must_use]
    pub fn new(peer: Connection) -> Self {
        Self { peer, room: None }
    }

    /// The connection.
    #[must_use]
    pub fn peer(&self) -> &Connection {
        &self.peer
    }
}

impl Service<Call> for PeerService {
    type Response = Payload;
    type Error = CallError;
    type Future = RequestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        if self.room.is_none() {
            let link = self.peer.link();
            if link.session().is_none_or(|session| !session.is_full()) {
                return Poll::Ready(Ok(()));
            }
            self.room = Some(Box::pin(room(link.clone())));
        }
        if let Some(room) = &mut self.room
            && room.as_mut().poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        self.room = None;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> RequestFuture {
        let mut request = self.peer.request(call.handler, call.payload);
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        if call.wait_ready {
            request = request.wait_ready();
        }
        if call.urgent {
            request = request.urgent();
        }
        request.into_future()
    }
}

/// Returns when there is room in the queue, or nothing to queue for.
///
/// # Cancel safety
///
/// Safe.
async fn room(link: Arc<LinkShared>) {
    while let Some(session) = link.session() {
        // Both made before the look, so that no wake is missed between.
        let own = session.monitor.room.clone().notified_owned();
        let node = link.node.room.wake.notified();
        if !session.is_full() {
            return;
        }
        let closing = session.monitor.closing.clone();
        // Whoever is never polled again must not keep it.
        drop(session);
        tokio::select! {
            () = own => {}
            () = node => {}
            () = closing.cancelled() => return,
        }
    }
}

impl Clone for PeerService {
    fn clone(&self) -> Self {
        Self::new(self.peer.clone())
    }
}

impl fmt::Debug for PeerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerService").field(&self.peer).finish()
    }
}
