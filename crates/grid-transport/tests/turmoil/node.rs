//! A node as a host of the simulation.

use std::{net::Ipv4Addr, time::Duration};

use grid_transport::{
    Capacity, HandlerError, HandlerId, Manager, NoAuth, Payload, Request, Settings, StreamCall,
};
use turmoil::net::TcpListener;

use crate::net::{SimAccept, SimDialer};

pub(crate) const HOSTS: [&str; 3] = ["a", "b", "c"];
pub(crate) const PORT: u16 = 9000;

/// Answers with the request and its own name.
pub(crate) const ECHO: HandlerId = HandlerId::new(200);
/// The same, after so many milliseconds.
pub(crate) const SLOW: HandlerId = HandlerId::new(201);
/// Sends so many items.
pub(crate) const OUT: (HandlerId, Capacity) = (HandlerId::new(202), Capacity::new(0, 4));
/// Sends back each item, and expects so many.
pub(crate) const BOTH: (HandlerId, Capacity) = (HandlerId::new(203), Capacity::new(2, 2));

/// Intervals that are a tenth of the defaults, so that a short history sees many of them.
pub(crate) const PING: Duration = Duration::from_secs(1);
pub(crate) const DIAL: Duration = Duration::from_millis(500);
pub(crate) const REDIAL: Duration = Duration::from_millis(500);

pub(crate) fn name(host: &str) -> String {
    format!("http://{host}:{PORT}")
}

pub(crate) fn settings() -> Settings {
    Settings::new()
        .ping_interval(PING)
        .stream_ping_interval(PING * 2)
        .dial_timeout(DIAL)
        .handshake_timeout(DIAL)
        .write_timeout(PING)
        .redial_interval(REDIAL)
        .redial_at_once_after(PING)
}

/// Starts the node of a host, which serves until its host crashes. `complain` is told what must
/// never be.
pub(crate) async fn start(
    host: &'static str,
    hosts: &[&str],
    complain: impl Fn(String) + Clone + Send + Sync + 'static,
) -> turmoil::Result<Manager> {
    let manager = Manager::builder(name(host))
        .peers(hosts.iter().map(|host| name(host)))
        .auth(NoAuth)
        .settings(settings())
        .dialer(SimDialer)
        .single(
            ECHO,
            move |request| async move { Ok(answer(host, &request)) },
        )
        .single(SLOW, move |request| async move {
            // tidy: sleep: a handler that is slow by design
            tokio::time::sleep(Duration::from_millis(number(request.payload(), 1) % 1_000)).await;
            Ok(answer(host, &request))
        })
        .stream(OUT.0, OUT.1, out)
        .stream(BOTH.0, BOTH.1, move |call| both(call, complain.clone()))
        .build()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    // It serves until the node goes.
    drop(manager.serve_on(SimAccept(listener))?);
    Ok(manager)
}

/// Two numbers, which tell this call from all others and say what it wants.
pub(crate) fn request(call: u64, wants: u64) -> Vec<u8> {
    [call.to_be_bytes(), wants.to_be_bytes()].concat()
}

/// One of the numbers of a request.
pub(crate) fn number(payload: &Payload, which: usize) -> u64 {
    let (words, _) = payload.as_slice().as_chunks::<8>();
    words.get(which).copied().map_or(0, u64::from_be_bytes)
}

/// What a host answers to a request.
pub(crate) fn answer_of(host: &str, request: &[u8]) -> Vec<u8> {
    [request, host.as_bytes()].concat()
}

fn answer(host: &str, request: &Request) -> Payload {
    answer_of(host, request.payload().as_slice()).into()
}

/// The item of this place.
pub(crate) fn item(call: u64, place: u64) -> Vec<u8> {
    request(call, place)
}

async fn out(call: StreamCall) -> Result<(), HandlerError> {
    let (id, count) = (number(call.payload(), 0), number(call.payload(), 1));
    for place in 0..count {
        call.send(item(id, place)).await?;
    }
    Ok(())
}

async fn both(mut call: StreamCall, complain: impl Fn(String)) -> Result<(), HandlerError> {
    let (id, count) = (number(call.payload(), 0), number(call.payload(), 1));
    let mut place = 0;
    while let Some(got) = call.recv().await {
        let got = got?;
        if got.as_slice() != item(id, place) {
            complain(format!("call {id}: item {place} arrived changed"));
        }
        call.send(got).await?;
        place += 1;
    }
    if place != count {
        complain(format!(
            "call {id}: the handler saw the end after {place} of {count}"
        ));
    }
    Ok(())
}
