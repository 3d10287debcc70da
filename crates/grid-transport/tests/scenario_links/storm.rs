//! L27: everybody restarts at the same moment.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use grid_transport::{
    BoxIo, Connection, Dialer, LinkState, Manager, Settings, Target,
    testing::{Net, node_on},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::{
    held::Held,
    node,
    probe::{ECHO, ends, probe, text},
    scale::scaled,
};

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

/// Where each node is at the moment.
type Places = Arc<Mutex<BTreeMap<String, SocketAddr>>>;

/// Dials by name, and knows which of its connections are still there.
struct Dials {
    places: Places,
    made: Mutex<Vec<(String, Weak<()>)>>,
}

impl Dials {
    fn connections(&self, to: &str) -> usize {
        let made = self.made.lock().unwrap();
        made.iter()
            .filter(|(name, held)| name == to && held.strong_count() > 0)
            .count()
    }
}

impl Dialer for Dials {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let place = self.places.lock().unwrap().get(target.name()).copied();
            let place = place.ok_or(io::ErrorKind::NotFound)?;
            let stream = TcpStream::connect(place).await?;
            stream.set_nodelay(true)?;
            let held = Arc::new(());
            let made = (target.name().to_owned(), Arc::downgrade(&held));
            self.made.lock().unwrap().push(made);
            Ok(Box::new(Held(Box::new(stream), held)) as BoxIo)
        })
    }
}

/// A run of a node, at a place of its own, which all learn of.
async fn run(places: &Places, name: &str, remotes: &[&str]) -> (Manager, Arc<Dials>) {
    let dials = Arc::new(Dials {
        places: places.clone(),
        made: Mutex::default(),
    });
    let builder = node::builder(name, remotes).settings(Settings::new());
    let manager = probe(builder).dialer(dials.clone()).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = manager.serve(socket).unwrap().local_addr().unwrap();
    places.lock().unwrap().insert(name.to_owned(), place);
    (manager, dials)
}

#[tokio::test]
async fn l27_peers_that_restart_at_once_are_back_within_5_s() {
    ends(async {
        let count = scaled("L27", "peers", 10, PEERS);
        let named = |dials: bool| {
            let names = (0..).map(|n| format!("http://peer-{n}:9000"));
            names
                .filter(move |name| grid_proto::local_dials(name, HUB) == dials)
                .take(count / 2)
        };
        let names: Vec<String> = named(true).chain(named(false)).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let places = Places::default();
        let (hub, of_hub) = run(&places, HUB, &all).await;
        for restarts in 0..=RESTARTS {
            let began = Instant::now();
            let peers = join_all(all.iter().map(|name| run(&places, name, &[HUB]))).await;
            let links = join_all(peers.iter().map(|(peer, _)| async {
                let links = (node::link(peer, &hub), node::link(&hub, peer));
                up(&links.0, &hub).await;
                up(&links.1, peer).await;
                links
            }))
            .await;
            let took = began.elapsed();
            assert!(took <= Duration::from_secs(5), "{took:?}");
            join_all(
                links
                    .iter()
                    .zip(&peers)
                    .map(|(links, (peer, of_peer))| async {
                        asked(&links.0, "there").await;
                        asked(&links.1, "back").await;
                        let made = of_peer.connections(HUB) + of_hub.connections(peer.local());
                        assert_eq!(made, 1, "with {}", peer.local());
                        assert_eq!(links.1.stats().reconnects, restarts);
                    }),
            )
            .await;
            // All at once, and without a word.
            drop(peers);
        }
        let ended = hub.shutdown(Duration::ZERO).await;
        assert_eq!((ended.calls, ended.handlers), (0, 0));
    })
    .await;
}
