//! The handlers of a control socket: each passes on, over a link of the node, what a command asks
//! for.

use std::{sync::Arc, time::Duration};

use grid_transport::{
    Capacity, Connection, HandlerError, HandlerId, Manager, Payload, Registration, Stream,
};
use grid_typed::{Bytes, TypedStreamCall};

use super::message::{CALL, CONNECT, FromRemote, OPEN, OpenOrder, PING, STATUS};
use crate::{
    fault::{Fault, FaultKind},
    status::Facts,
};

/// All handlers of a control socket of the node that `facts` tell of. Each is dropped with the
/// command that called it, and so cancels what it has passed on.
pub(super) fn handlers(facts: &Arc<Facts>) -> Vec<Registration> {
    let (connect, call, ping, status, open) = (
        facts.clone(),
        facts.clone(),
        facts.clone(),
        facts.clone(),
        facts.clone(),
    );
    vec![
        CONNECT
            .handler(move |order, _| {
                let peer = peer(connect.manager(), &order.to, None);
                async move {
                    Ok(match peer {
                        Ok(peer) => up(&peer, Duration::from_millis(order.timeout_ms)).await,
                        Err(fault) => Err(fault),
                    })
                }
            })
            .abort_on_cancel()
            .into(),
        CALL.handler(move |order, _| {
            let peer = peer(call.manager(), &order.to, order.subroute.as_deref());
            async move {
                let answer = match peer {
                    Ok(peer) => peer
                        .request(HandlerId::new(order.handler), payload(order.payload))
                        .timeout(Duration::from_millis(order.timeout_ms))
                        .await
                        .map_err(Fault::from),
                    Err(fault) => Err(fault),
                };
                Ok(answer.map(bytes))
            }
        })
        .abort_on_cancel()
        .into(),
        PING.handler(move |order, _| {
            let peer = peer(ping.manager(), &order.to, None);
            async move {
                let round_trip = match peer {
                    Ok(peer) => peer
                        .ping(Duration::from_millis(order.timeout_ms))
                        .await
                        .map_err(Fault::from),
                    Err(fault) => Err(fault),
                };
                let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                Ok(round_trip.map(nanos))
            }
        })
        .abort_on_cancel()
        .into(),
        STATUS
            .handler(move |_, _| {
                let status = status.clone();
                async move { Ok(Bytes::from(serde_json::to_vec(&status.status())?)) }
            })
            .into(),
        OPEN.handler(move |order: OpenOrder, call| {
            let peer = peer(open.manager(), &order.to, order.subroute.as_deref());
            async move { pass_on(peer, order, call).await }
        })
        .into(),
    ]
}

fn peer(manager: &Manager, to: &str, subroute: Option<&str>) -> Result<Connection, Fault> {
    let peer = manager
        .connection(to)
        .map_err(|error| Fault::new(FaultKind::UnknownPeer, format!("--to: {error}")))?;
    Ok(match subroute {
        Some(route) => peer.subroute(route),
        None => peer,
    })
}

/// Waits for the link.
async fn up(peer: &Connection, within: Duration) -> Result<(), Fault> {
    match tokio::time::timeout(within, peer.connected()).await {
        Ok(connected) => connected.map_err(Fault::from),
        Err(_) => Err(Fault::new(
            FaultKind::NotConnected,
            format!("the node's link is {}", peer.state()),
        )),
    }
}

/// Opens the stream that was ordered, and carries items both ways until it ends. When the command
/// goes, this is dropped, and the stream with it.
async fn pass_on(
    peer: Result<Connection, Fault>,
    order: OpenOrder,
    call: TypedStreamCall<Bytes, FromRemote>,
) -> Result<(), HandlerError> {
    let (_, out, mut input) = call.into_parts();
    let capacity = Capacity::new(order.input, order.output);
    let takes_input = order.input > 0;
    let opened: Result<Stream, Fault> = async {
        let mut open = peer?.stream(
            HandlerId::new(order.handler),
            capacity,
            payload(order.payload),
        );
        if let Some(timeout) = order.timeout_ms {
            open = open.timeout(Duration::from_millis(timeout));
        }
        Ok(open.await?)
    }
    .await;
    let (mut to_remote, mut from_remote) = match opened {
        Ok(stream) => stream.split(),
        Err(fault) => {
            out.send(&FromRemote::Failed(fault)).await?;
            return Ok(());
        }
    };
    let forth = async {
        while let Some(item) = input.recv().await {
            // Where the stream has ended, its receiving half tells why.
            if to_remote.send(payload(item?)).await.is_err() {
                break;
            }
        }
        if takes_input {
            to_remote.finish();
        }
        std::future::pending::<Result<(), HandlerError>>().await
    };
    let back = async {
        while let Some(item) = from_remote.recv().await {
            match item {
                Ok(item) => out.send(&FromRemote::Item(bytes(item))).await?,
                Err(error) => {
                    out.send(&FromRemote::Failed(error.into())).await?;
                    break;
                }
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = back => ended,
        failed = forth => failed,
    }
}

/// A payload as it travels over the control socket.
pub(crate) fn bytes(payload: Payload) -> Bytes {
    match payload {
        Payload::Absent => Bytes::nil(),
        Payload::Present(bytes) => Bytes::from(bytes),
    }
}

/// The payload that came so.
pub(crate) fn payload(bytes: Bytes) -> Payload {
    match bytes.into_inner() {
        Some(bytes) => Payload::Present(bytes),
        None => Payload::Absent,
    }
}
