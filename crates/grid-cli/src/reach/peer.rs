//! A remote as commands see it, whichever way it is reached.

use std::{path::PathBuf, time::Duration};

use grid_transport::{Capacity, Connection, HandlerId, Payload, StreamReceiver, StreamSender};
use grid_typed::{Bytes, TypedReceiver, TypedSender};
use tokio::time::Instant;

use super::via::{ControlLink, WORD, hop_fault, millis, status_of};
use crate::{
    control::{CALL, CallOrder, FromRemote, OPEN, OpenOrder, PING, PingOrder, bytes, payload},
    failure::Failure,
    fault::Fault,
    status::Status,
};

/// A remote. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Kind);

/// The time of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within {
    pub(crate) begun: Instant,
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Direct(Connection),
    Via {
        node: Connection,
        path: PathBuf,
        to: String,
        subroute: Option<String>,
    },
}

impl Peer {
    pub(super) fn direct(connection: Connection, subroute: Option<&str>) -> Self {
        Self(Kind::Direct(match subroute {
            Some(route) => connection.subroute(route),
            None => connection,
        }))
    }

    pub(super) fn via(link: &ControlLink, to: &str, subroute: Option<&str>) -> Self {
        Self(Kind::Via {
            node: link.node.clone(),
            path: link.path().to_owned(),
            to: to.to_owned(),
            subroute: subroute.map(str::to_owned),
        })
    }

    /// Makes a single request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the request up, at the remote too.
    pub(crate) async fn call(
        &self,
        handler: HandlerId,
        request: Payload,
        timeout: Duration,
    ) -> Result<Payload, Fault> {
        let begun = Instant::now();
        self.call_within(handler, request, Within { begun, timeout })
            .await
    }

    /// As [`call`](Self::call), for whoever has looked at the clock already.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub(crate) async fn call_within(
        &self,
        handler: HandlerId,
        request: Payload,
        within: Within,
    ) -> Result<Payload, Fault> {
        let Within { begun, timeout } = within;
        match &self.0 {
            Kind::Direct(peer) => {
                let deadline = begun + timeout;
                Ok(peer.request(handler, request).deadline(deadline).await?)
            }
            Kind::Via {
                node,
                path,
                to,
                subroute,
            } => {
                let order = CallOrder {
                    to: to.clone(),
                    handler: handler.get(),
                    subroute: subroute.clone(),
                    timeout_ms: millis(timeout),
                    payload: bytes(request),
                };
                // Boxed: what waits for a direct call is not to have room for one through a node.
                let answer = Box::pin(async {
                    let answer = CALL.call(node, &order).timeout(timeout + WORD).await;
                    answer
                        .map_err(|error| hop_fault(path, &error))?
                        .map(payload)
                });
                answer.await
            }
        }
    }

    /// Measures the round-trip time of the link.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn ping(&self, timeout: Duration) -> Result<Duration, Fault> {
        match &self.0 {
            Kind::Direct(peer) => Ok(peer.ping(timeout).await?),
            Kind::Via { node, path, to, .. } => {
                let order = PingOrder {
                    to: to.clone(),
                    timeout_ms: millis(timeout),
                };
                let answer = PING.call(node, &order).timeout(timeout + WORD).await;
                let nanos = answer.map_err(|error| hop_fault(path, &error))??;
                Ok(Duration::from_nanos(nanos))
            }
        }
    }

    /// The status of the node that carries the calls, where there is one.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn carrier(&self) -> Option<Result<Status, Failure>> {
        match &self.0 {
            Kind::Direct(_) => None,
            Kind::Via { node, path, .. } => Some(status_of(node, path).await),
        }
    }

    /// Opens a stream.
    ///
    /// # Cancel safety
    ///
    /// Safe: a stream whose opening was dropped is not open.
    pub(crate) async fn open(
        &self,
        handler: HandlerId,
        capacity: Capacity,
        first: Payload,
        timeout: Option<Duration>,
    ) -> Result<Conversation, Fault> {
        match &self.0 {
            Kind::Direct(peer) => {
                let mut open = peer.stream(handler, capacity, first);
                if let Some(timeout) = timeout {
                    open = open.timeout(timeout);
                }
                let (to, from) = open.await?.split();
                Ok((ToPeer(To::Direct(to)), FromPeer(From::Direct(from))))
            }
            Kind::Via {
                node,
                path,
                to,
                subroute,
            } => {
                let order = OpenOrder {
                    to: to.clone(),
                    handler: handler.get(),
                    subroute: subroute.clone(),
                    timeout_ms: timeout.map(millis),
                    input: capacity.input,
                    output: capacity.output,
                    payload: bytes(first),
                };
                let mut open = OPEN.open(node, &order);
                if let Some(timeout) = timeout {
                    open = open.timeout(timeout + WORD);
                }
                let stream = open.await.map_err(|error| hop_fault(path, &error))?;
                let (mut to, from) = stream.split();
                if capacity.input == 0 {
                    to.finish();
                }
                Ok((
                    ToPeer(To::Via(to, path.clone())),
                    FromPeer(From::Via(from, path.clone())),
                ))
            }
        }
    }
}

/// Both directions of an open stream; dropping either before its end cancels it.
pub(crate) type Conversation = (ToPeer, FromPeer);

/// The items that go to the remote.
#[derive(Debug)]
pub(crate) struct ToPeer(To);

#[derive(Debug)]
enum To {
    Direct(StreamSender),
    Via(TypedSender<Bytes>, PathBuf),
}

impl ToPeer {
    /// Sends an item; waits for credit.
    ///
    /// # Cancel safety
    ///
    /// Safe: an item whose future was dropped is not sent.
    pub(crate) async fn send(&self, item: Payload) -> Result<(), Fault> {
        match &self.0 {
            To::Direct(to) => Ok(to.send(item).await?),
            To::Via(to, path) => {
                let item = bytes(item);
                let sent = to.send(&item).await;
                sent.map_err(|error| hop_fault(path, &error))
            }
        }
    }

    /// Says that all was sent.
    pub(crate) fn finish(&mut self) {
        match &mut self.0 {
            To::Direct(to) => to.finish(),
            To::Via(to, _) => to.finish(),
        }
    }
}

/// The items that come from the remote.
#[derive(Debug)]
pub(crate) struct FromPeer(From);

#[derive(Debug)]
enum From {
    Direct(StreamReceiver),
    Via(TypedReceiver<FromRemote>, PathBuf),
}

impl FromPeer {
    /// The next item; `None` after a clean end.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost.
    pub(crate) async fn recv(&mut self) -> Option<Result<Payload, Fault>> {
        match &mut self.0 {
            From::Direct(from) => Some(from.recv().await?.map_err(Fault::from)),
            From::Via(from, path) => Some(match from.recv().await? {
                Ok(FromRemote::Item(item)) => Ok(payload(item)),
                Ok(FromRemote::Failed(fault)) => Err(fault),
                Err(error) => Err(hop_fault(path, &error)),
            }),
        }
    }
}
