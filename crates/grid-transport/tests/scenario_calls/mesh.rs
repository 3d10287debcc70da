//! A whole grid (C01).

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, Dialer, Manager, Target, TcpDialer,
    testing::{self, Net},
};
use tokio::task::JoinSet;

use crate::{
    held::Held,
    node::{builder, connected, named_socket},
    nodes::soon,
    probe::{ECHO, LONG, probe},
    scale::scaled,
};

const NODES: usize = 32;
const SIZES: [usize; 5] = [0, 1, 512, 4 << 10, 1 << 20];

/// How many TCP connections there are between two nodes: who dials, and whom.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<BTreeMap<(String, String), usize>>>);

impl Live {
    fn change(&self, pair: &(String, String), by: isize) {
        let mut live = self.0.lock().unwrap();
        let count = live.entry(pair.clone()).or_default();
        *count = count.checked_add_signed(by).unwrap();
    }
}

/// Dials over TCP, and counts what lives.
struct Counting {
    live: Live,
    local: String,
}

impl Dialer for Counting {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let io = TcpDialer::new().dial(target).await?;
            let pair = (self.local.clone(), target.name().to_owned());
            self.live.change(&pair, 1);
            let live = self.live.clone();
            Ok(Box::new(Held(io, Counted { live, pair })) as BoxIo)
        })
    }
}

struct Counted {
    live: Live,
    pair: (String, String),
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.change(&self.pair, -1);
    }
}

/// Random numbers that are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

async fn mesh(live: &Live) -> Vec<Manager> {
    let mut sockets = Vec::new();
    for _ in 0..NODES {
        sockets.push(named_socket().await);
    }
    let names: Vec<String> = sockets.iter().map(|(_, name)| name.clone()).collect();
    let mut nodes = Vec::new();
    for (socket, local) in sockets {
        let remotes: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != local)
            .collect();
        let live = live.clone();
        let node = probe(builder(&local, &remotes)).dialer(Counting { live, local });
        let node = node.build().unwrap();
        node.serve(socket).unwrap();
        nodes.push(node);
    }
    for node in &nodes {
        for link in node.connections() {
            connected(&link).await;
        }
    }
    nodes
}

#[track_caller]
fn one_connection_a_pair(live: &Live) {
    let live = live.0.lock().unwrap();
    assert_eq!(
        live.len(),
        NODES * (NODES - 1) / 2,
        "a pair dialed both ways"
    );
    let wrong: Vec<_> = live.iter().filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Calls between random nodes with payloads of all sizes; nothing is left of them.
async fn random_calls(nodes: &[Manager], calls: usize) {
    let mut random = Random(1);
    let mut running = JoinSet::new();
    let mut sizes = [0; SIZES.len()];
    for call in 0..calls {
        let (from, to) = (random.below(NODES), random.below(NODES - 1));
        let peer = nodes[from].connections().swap_remove(to);
        let size = random.below(SIZES.len());
        sizes[size] += 1;
        running.spawn(async move {
            let mut payload = vec![0; SIZES[size]];
            for (at, byte) in payload.iter_mut().enumerate() {
                *byte = (at / 251 + at * 7 + call) as u8;
            }
            let answer = peer.request(ECHO, payload.clone()).timeout(LONG);
            let answer = answer.await.unwrap();
            assert!(answer.as_slice() == payload, "{} bytes", payload.len());
        });
        // As many as the machine can hold in memory at their largest.
        while running.len() >= 64 {
            soon(running.join_next()).await.unwrap().unwrap();
        }
    }
    while let Some(call) = soon(running.join_next()).await {
        call.unwrap();
    }
    assert!(sizes.iter().all(|count| *count > calls / 10), "{sizes:?}");
    for node in nodes {
        let links = node.stats();
        assert_eq!(links.len(), NODES - 1);
        for stats in links {
            assert_eq!(
                (stats.open_requests, stats.open_streams),
                (0, 0),
                "{stats:?}"
            );
            assert_eq!(
                (stats.serving_requests, stats.running_handlers),
                (0, 0),
                "{stats:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_every_answer_of_a_full_mesh_is_right() {
    let live = Live::default();
    let nodes = mesh(&live).await;
    one_connection_a_pair(&live);
    random_calls(&nodes, scaled("C01", "calls", 2_000, 20_000)).await;
    one_connection_a_pair(&live);
}

#[tokio::test(start_paused = true)]
async fn c01_every_answer_of_a_full_mesh_is_right_pair() {
    let net = Net::new();
    let names: Vec<String> = (0..NODES)
        .map(|node| format!("http://n{node}:9000"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let nodes: Vec<Manager> = names
        .iter()
        .map(|local| testing::node_on(&net, local, &names, probe).unwrap())
        .collect();
    for link in nodes.iter().flat_map(Manager::connections) {
        connected(&link).await;
    }
    random_calls(&nodes, scaled("C01", "calls in memory", 500, 20_000)).await;
    for (index, one) in names.iter().enumerate() {
        for other in &names[..index] {
            assert_eq!(net.connections(one, other), 1, "{one} and {other}");
            assert_eq!(net.dials(one, other), 1, "{one} and {other}");
        }
    }
}
