//! Joining the grid under a spare name, for one remote, as long as a command takes.

use std::{io, net::ToSocketAddrs, time::Duration};

use grid_proto::local_dials;
use grid_transport::{Connection, LinkCause, LinkState, Manager, Serving};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    failure::Failure,
    place::{Place, list},
    signal::Signals,
    tls::{Renewal, is_wrong_certificate},
};

/// How long to look for a node that has the name already.
const LOOK: Duration = Duration::from_millis(500);
/// What the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A node of this process.
#[derive(Debug)]
pub(super) struct Joined {
    manager: Manager,
    serving: Option<Serving>,
    renewal: Option<Renewal>,
    /// Keeps the name from a second command on this machine.
    _lock: Option<Socket>,
}

impl Joined {
    pub(super) async fn leave(self) {
        self.manager.shutdown(GOODBYE).await;
        if let Some(serving) = self.serving {
            serving.stop().await;
        }
        if let Some(renewal) = self.renewal {
            renewal.stop().await;
        }
    }
}

/// Joins the grid and waits for the link to `to`, no longer than `within`.
///
/// Only that link is wanted. Where its remote is the one that dials, this node listens, and must
/// welcome whoever else dials its name; where this node dials, it does not listen, so that nobody
/// else notices it.
pub(super) async fn join(
    place: &Place,
    to: &str,
    within: Duration,
    signals: &mut Signals,
) -> Result<(Joined, Connection), Failure> {
    let place = &signals.cut(place.with_names(within)).await?;
    let local = place.local.as_str();
    let Some(target) = place.others().find(|peer| peer.as_str() == to) else {
        let others: Vec<_> = place.others().cloned().collect();
        return Err(Failure::bad(format!(
            "--to: '{to}' is not one of {} beside --local: {}",
            place.list.option(),
            list(&others)
        )));
    };
    signals.cut(look_for_its_owner(place)).await?;
    let dials = local_dials(local, to);
    if !dials {
        place.check_listens()?;
    }
    let lock = if dials { Some(lock(place)?) } else { None };
    let peers = place.peers.iter().filter(|peer| {
        **peer == place.local || *peer == target || (!dials && local_dials(peer.as_str(), local))
    });
    let manager = place
        .builder(peers)
        .build()
        .map_err(|error| Failure::bad(error.to_string()))?;
    let mut joined = Joined {
        manager,
        serving: None,
        renewal: place.renew(),
        _lock: lock,
    };
    let connected = connect(place, to, dials, within, &mut joined);
    match signals.cut(connected).await {
        Ok(connection) => Ok((joined, connection)),
        Err(failure) => {
            joined.leave().await;
            Err(failure)
        }
    }
}

async fn connect(
    place: &Place,
    to: &str,
    dials: bool,
    within: Duration,
    joined: &mut Joined,
) -> Result<Connection, Failure> {
    if !dials {
        let listener = TcpListener::bind(&place.listen)
            .await
            .map_err(|error| cannot_listen(place, to, &error))?;
        let serving = place.serve(&joined.manager, listener);
        let serving = serving.map_err(|error| cannot_listen(place, to, &error))?;
        joined.serving = Some(serving);
    }
    let connection = joined
        .manager
        .connection(to)
        .map_err(|error| Failure::bad(error.to_string()))?;
    let up = wait_until_up(&connection);
    let cause = match timeout(within, up).await {
        Ok(Ok(())) => return Ok(connection),
        Ok(Err(cause)) => cause,
        Err(_) => match connection.state().last_cause() {
            Some(cause) => format!("{cause} (waited {})", humantime::format_duration(within)),
            None if dials => format!("no answer within {}", humantime::format_duration(within)),
            None => format!(
                "it dials {} and has not done so within {}, for which this command listens on {}",
                place.local,
                humantime::format_duration(within),
                place.listen
            ),
        },
    };
    Err(Failure::NotConnected(format!(
        "not connected to {to}: {cause}"
    )))
}

/// Waits for the link, unless what keeps it down won't go away by waiting.
async fn wait_until_up(connection: &Connection) -> Result<(), String> {
    let mut states = connection.watch();
    let settled = states.wait_for(|state| state.is_connected() || for_good(state).is_some());
    match settled.await {
        Ok(state) => match for_good(&state) {
            None => Ok(()),
            Some(cause) => Err(cause),
        },
        Err(_) => Err("this node ends".to_owned()),
    }
}

/// Why trying again would not help.
fn for_good(state: &LinkState) -> Option<String> {
    let cause = state.last_cause()?;
    let last = match &**cause {
        LinkCause::Rejected(_) => true,
        LinkCause::Refused { status } => (400..500).contains(status),
        LinkCause::Dial(error) => is_wrong_certificate(error),
        _ => state.is_closed(),
    };
    last.then(|| cause.to_string())
}

/// A second node of one name would take the links of the first.
async fn look_for_its_owner(place: &Place) -> Result<(), Failure> {
    let name = place.local.as_str();
    let address = match place.dial.get(name) {
        Some(address) => address.to_string(),
        None => place.local.host_port().to_owned(),
    };
    match timeout(LOOK, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Err(Failure::bad(format!(
            "--local: a node answers at '{name}': give a spare name, or go through that node with --via"
        ))),
        _ => Ok(()),
    }
}

/// Holds the place where the name would listen, without listening: a second command that joins
/// under it here finds it taken, and nobody else notices.
fn lock(place: &Place) -> Result<Socket, Failure> {
    let taken = |error: io::Error| {
        Failure::bad(format!(
            "--local: '{}' is taken on this machine: {error} (a name serves one command at a time)",
            place.listen
        ))
    };
    let addresses = place.listen.to_socket_addrs();
    let address = addresses.ok().and_then(|mut all| all.next());
    let Some(address) = address else {
        // A name that leads nowhere from here can't be held here.
        return Socket::new(Domain::IPV4, Type::STREAM, None).map_err(taken);
    };
    let hold = |share: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(share)?;
        match socket.bind(&address.into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            // One that is not of this machine, or is not for us to bind, is no lock.
            _ => Ok(socket),
        }
    };
    // Connections of a command before may linger on it, which is nobody who holds it.
    hold(false).or_else(|_| hold(true)).map_err(taken)
}

fn cannot_listen(place: &Place, to: &str, error: &io::Error) -> Failure {
    Failure::bad(format!(
        "{to} dials '{}', so this command has to listen, and can't on '{}': {error}",
        place.local, place.listen
    ))
}
