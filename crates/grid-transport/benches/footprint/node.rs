//! Nodes with the handlers that are measured.

use std::{io, time::Duration};

use bytes::Bytes;
use grid_transport::{BuildError, Capacity, Connection, HandlerId, Manager, NoAuth};
use tokio::{net::TcpListener, time::timeout};

use crate::Fault;

/// Gives back what it gets.
pub(crate) const ECHO: HandlerId = HandlerId::new(200);
/// A stream that waits for items until it ends.
pub(crate) const WAITS: HandlerId = HandlerId::new(201);
pub(crate) const CAPACITY: Capacity = Capacity::new(100, 100);

/// How long a link may take to come up, among a thousand.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket of the loopback interface, and the name of a node that listens on it.
pub(crate) async fn socket() -> io::Result<(TcpListener, String)> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let name = format!("http://{}", socket.local_addr()?);
    Ok((socket, name))
}

/// A node with the default settings.
pub(crate) fn node<'a>(
    local: &str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Manager, BuildError> {
    Manager::builder(local)
        .peers(names.into_iter().cloned())
        .auth(NoAuth)
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .stream(WAITS, CAPACITY, |mut call| async move {
            while let Some(item) = call.recv().await {
                drop(item?);
            }
            Ok(())
        })
        .build()
}

pub(crate) async fn connected(peer: &Connection) -> Result<(), Fault> {
    match timeout(PATIENCE, peer.connected()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(format!("{} is not connected: {}", peer.name(), peer.state()).into()),
    }
}

/// The payload of the requests.
pub(crate) fn payload() -> Bytes {
    vec![7; 512].into()
}

/// One request that is given back.
pub(crate) async fn echo(peer: &Connection, payload: &Bytes) -> Result<(), Fault> {
    let answer = peer.request(ECHO, payload.clone()).await?;
    if answer.len() == payload.len() {
        Ok(())
    } else {
        Err("an answer is not what was asked".into())
    }
}
