//! A node that is held back: nothing connects before it starts, and everything does then.

#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::{io, time::Duration};

use grid_transport::{
    CallError, HandlerId, LinkState, Manager, Request, TcpDialer,
    testing::{self, NAMES, Net},
};
use node::{A, B, builder, connected, named_socket};
use raw::{PATIENCE, Raw, upgrade_request};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

const ECHO: HandlerId = HandlerId::new(9);

fn held(net: &Net, name: &str, hold: bool) -> Manager {
    let node = testing::node_on(net, name, &NAMES, |builder| {
        let builder = builder.single(ECHO, |request: Request| async move {
            Ok(request.into_payload())
        });
        if hold { builder.hold() } else { builder }
    });
    node.unwrap()
}

/// Whichever of the two is held back, and dials or is dialed.
#[tokio::test(start_paused = true)]
async fn nothing_connects_before_the_start_pair() {
    for index in [0, 1] {
        let net = Net::new();
        let nodes = [0, 1].map(|of| held(&net, NAMES[of], of == index));
        let links = [0, 1].map(|of| nodes[of].connection(NAMES[1 - of]).unwrap());
        // tidy: sleep: many attempts would have been made, under paused time
        tokio::time::sleep(Duration::from_secs(30)).await;
        for link in &links {
            assert!(!link.state().is_connected(), "{}", link.state());
            let error = link.request(ECHO, "x").await.unwrap_err();
            assert!(matches!(error, CallError::NotConnected { .. }), "{error:?}");
        }
        let held = links[index].state();
        assert!(held.last_cause().is_none(), "it has not even tried: {held}");
        let waiting = links[0].request(ECHO, "waits").wait_ready();
        let waiting = tokio::spawn(waiting.into_future());
        nodes[index].start();
        assert_eq!(waiting.await.unwrap().unwrap().as_slice(), b"waits");
        for link in &links {
            let connected = timeout(Duration::from_secs(60), link.connected());
            connected.await.unwrap().unwrap();
        }
        // Again, it means nothing.
        nodes[index].start();
        nodes[1 - index].start();
        assert_eq!(links[0].request(ECHO, "x").await.unwrap().as_slice(), b"x");
    }
}

#[tokio::test]
async fn who_dials_too_early_is_told_to_come_again() {
    let manager = builder(B, &[A]).hold().build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let mut early = Raw::dial(address).await;
    early.send_head(&upgrade_request(raw::PATH)).await;
    assert_eq!(
        early.read_head().await[0],
        "HTTP/1.1 503 Service Unavailable"
    );
    manager.start();
    let (_raw, response) = Raw::connect(address, &raw::request(A, "debug")).await;
    assert!(response.accepted);
    connected(&manager.connection(A).unwrap()).await;
}

/// How often another one has dialed meanwhile says that there was time for it.
#[tokio::test]
async fn who_would_dial_opens_no_connection_before_the_start() {
    let [(socket, remote), (other_socket, other_remote)] =
        [named_socket().await, named_socket().await];
    let dials = |remote: &str, hold: bool| {
        let mut names = (0..).map(|number| format!("http://node{number}:9000"));
        let local = names.find(|local| grid_proto::local_dials(local, remote));
        let node = builder(&local.unwrap(), &[remote]).dialer(TcpDialer::new());
        let node = if hold { node.hold() } else { node };
        node.build().unwrap()
    };
    let held = dials(&remote, true);
    let free = dials(&other_remote, false);
    for _ in 0..5 {
        let attempt = timeout(PATIENCE, other_socket.accept()).await;
        drop(attempt.expect("it dials").unwrap());
    }
    // The kernel says what has come, whatever the runtime knows of it.
    let socket = socket.into_std().unwrap();
    let nobody = socket.accept().map(|(_, from)| from).unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);

    held.start();
    let mut raw = Raw::accept(&TcpListener::from_std(socket).unwrap()).await;
    assert_eq!(
        &*raw.serve_request().await.host.to_string_lossy(),
        held.local()
    );
    raw.send_response(true, "").await;
    connected(&held.connection(&remote).unwrap()).await;
    for node in [held, free] {
        node.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_starts_ends_at_once_pair() {
    let net = Net::new();
    let node = held(&net, NAMES[0], true);
    let link = node.connection(NAMES[1]).unwrap();
    let connected = tokio::spawn(async move { link.connected().await });
    let removed = node.connection(NAMES[1]).unwrap();
    node.remove_peer(NAMES[1]).unwrap();
    let ended = timeout(Duration::from_secs(60), connected).await;
    assert!(ended.unwrap().unwrap().is_err());
    assert!(matches!(removed.state(), LinkState::Closed { .. }));
    node.add_peer(NAMES[1]).unwrap();
    let began = Instant::now();
    let drained = node.shutdown(Duration::from_secs(5)).await;
    assert!(drained.complete);
    assert_eq!(began.elapsed(), Duration::ZERO);
}
