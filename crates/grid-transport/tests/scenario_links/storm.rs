//! L27: everybody restarts at the same moment.

use std::time::Duration;

use futures_util::future::join_all;
use grid_transport::{
    Connection, LinkState, Manager,
    testing::{Net, node_on},
};
use tokio::time::Instant;

use crate::probe::{ECHO, probe, text};

const HUB: &str = "http://hub:9000";
const PEERS: usize = 100;
const RESTARTS: u64 = 3;

fn peer(net: &Net, name: &str) -> Manager {
    node_on(net, name, &[name, HUB], probe).unwrap()
}

/// Waits until a link is up to that run of its node.
async fn up(link: &Connection, to: &Manager) {
    let is_up =
        |state: &LinkState| matches!(state, LinkState::Connected { peer, .. } if *peer == to.id());
    let mut states = link.watch();
    states.wait_for(is_up).await.unwrap();
}

async fn asked(link: &Connection, payload: &str) {
    let answer = link.request(ECHO, payload.to_owned()).await.unwrap();
    assert_eq!(text(&answer), payload);
}

#[tokio::test(start_paused = true)]
async fn l27_a_hundred_peers_that_restart_at_once_are_back_within_5_s_pair() {
    let net = Net::new();
    let names: Vec<String> = (0..PEERS)
        .map(|n| format!("http://peer-{n}:9000"))
        .collect();
    let dialers = names
        .iter()
        .filter(|name| grid_proto::local_dials(name, HUB))
        .count();
    assert!(dialers > 10 && dialers < 90, "both directions: {dialers}");
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    all.push(HUB);
    let hub = node_on(&net, HUB, &all, probe).unwrap();
    for restarts in 0..=RESTARTS {
        let began = Instant::now();
        let peers: Vec<Manager> = names.iter().map(|name| peer(&net, name)).collect();
        let links = join_all(peers.iter().map(|peer| async {
            let there = peer.connection(HUB).unwrap();
            let back = hub.connection(peer.local()).unwrap();
            up(&there, &hub).await;
            up(&back, peer).await;
            (there, back)
        }))
        .await;
        assert!(
            began.elapsed() <= Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        join_all(links.iter().map(|(there, back)| async {
            asked(there, "there").await;
            asked(back, "back").await;
            assert_eq!(net.connections(there.name(), back.name()), 1);
            assert_eq!(back.stats().reconnects, restarts);
        }))
        .await;
        // All at once, and without a word.
        drop(peers);
    }
    let ended = hub.shutdown(Duration::ZERO).await;
    assert_eq!((ended.calls, ended.handlers), (0, 0));
}
