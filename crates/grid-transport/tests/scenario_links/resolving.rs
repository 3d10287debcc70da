//! L16: names that come, move and go.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_proto::local_dials;
use grid_transport::{
    BoxIo, Dialer, LinkCause, LinkState, Resolver, Target, TcpDialer,
    testing::{self, Net, NetDialer},
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    node::{self, A, B, builder},
    probe::*,
    scale::scaled,
};

const SECOND: Duration = Duration::from_secs(1);

/// A resolver that has no answer for a minute, then one, and after another minute another one.
struct Moving {
    places: [NetDialer; 2],
    began: Instant,
    asked: Arc<AtomicUsize>,
}

impl Dialer for Moving {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let [here, there] = &self.places;
        match self.began.elapsed().as_secs() {
            0..60 => {
                Box::pin(async { Err(io::Error::new(io::ErrorKind::NotFound, "no such name")) })
            }
            60..120 => here.dial(target),
            _ => there.dial(target),
        }
    }
}

/// For a minute there is no such name; then there is, at one place and then at another.
#[tokio::test(start_paused = true)]
async fn l16_connected_within_5_s_of_each_change_pair() {
    ends(async {
        let (here, there) = (Net::new(), Net::new());
        let [a, b] = testing::NAMES;
        let asked = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let dialer = Moving {
            places: [here.dialer(a), there.dialer(a)],
            began,
            asked: asked.clone(),
        };
        let first = testing::node_on(&here, b, &[a, b], probe).unwrap();
        let second = testing::node_on(&there, b, &[a, b], probe).unwrap();
        let node = testing::node_on(&here, a, &[a, b], |builder| builder.dialer(dialer)).unwrap();
        let peer = node.connection(b).unwrap();

        // tidy: sleep: the minute without a name, under paused time
        sleep(59 * SECOND).await;
        let attempts = asked.load(Ordering::Relaxed);
        assert!((30..=60).contains(&attempts), "{attempts}");
        let error = peer.request(ECHO, "x").await.unwrap_err();
        assert!(error.to_string().contains("no such name"), "{error}");
        let connected_to = |id| {
            let peer = peer.clone();
            async move {
                node::state(&peer, |state| match state {
                    LinkState::Connected { peer, .. } if *peer == id => Some(()),
                    _ => None,
                })
                .await;
            }
        };
        connected_to(first.id()).await;
        assert!((60..65).contains(&began.elapsed().as_secs()));
        // tidy: sleep: until it moves, under paused time
        sleep(120 * SECOND - began.elapsed()).await;
        here.cut(a, b);
        connected_to(second.id()).await;
        assert!((120..125).contains(&began.elapsed().as_secs()));
        assert_eq!(text(&peer.request(ECHO, "there").await.unwrap()), "there");
        // Each attempt has asked.
        let failed = peer.stats().failed_attempts as usize;
        assert_eq!(asked.load(Ordering::Relaxed), failed + 2);
    })
    .await;
}

/// The resolver of a [`TcpDialer`]: no answer, then one address, then another one.
#[derive(Clone)]
struct Zone(watch::Sender<Option<SocketAddr>>, Arc<AtomicUsize>);

impl Resolver for Zone {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            assert_eq!((host, port), ("node-b", 9000));
            self.1.fetch_add(1, Ordering::Relaxed);
            let address = *self.0.borrow();
            // Where it has one, nobody listens at the first of its addresses.
            match address {
                Some(address) => Ok(vec![dead_end(), address]),
                None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            }
        })
    }
}

/// Port 1 of this machine, where a dial is refused at once.
fn dead_end() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// What a [`TcpDialer`] makes of a name: it asks afresh for each attempt, whatever came of the last.
#[tokio::test]
async fn l16_a_tcp_dialer_asks_afresh_for_each_attempt() {
    ends(async {
        let gone_for = scaled("L16", "s without a name", 1, 60) * SECOND;
        let zone = Zone(watch::Sender::new(None), Arc::default());
        let a = builder(A, &[B])
            .settings(node::settings().redial_interval(SECOND / 10))
            .dialer(TcpDialer::new().resolver(zone.clone()))
            .build()
            .unwrap();
        let peer = a.connection(B).unwrap();
        // tidy: sleep: the time without a name
        sleep(gone_for).await;
        let last = node::state(&peer, |state| match state {
            LinkState::Connecting {
                attempt: 3..,
                last: Some(cause),
            } => Some(cause.clone()),
            _ => None,
        })
        .await;
        assert!(last.to_string().contains("no such name"), "{last}");
        let mut here = None;
        for _ in 0..2 {
            // It appears, and then it moves: another process under the name, at another address.
            let next = probe(builder(B, &[A])).build().unwrap();
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = next.serve(socket).unwrap().local_addr().unwrap();
            let changed = Instant::now();
            zone.0.send_replace(Some(address));
            if let Some(before) = here.replace(next.clone()) {
                before.shutdown(Duration::ZERO).await;
            }
            let id = next.id();
            node::state(&peer, |state| match state {
                LinkState::Connected { peer, .. } if *peer == id => Some(()),
                _ => None,
            })
            .await;
            let took = changed.elapsed();
            assert!(took < 5 * SECOND, "{took:?}");
            assert_eq!(text(&peer.request(ECHO, "there").await.unwrap()), "there");
        }
        // It has asked for each attempt, those that failed and the two that did not.
        let stats = peer.stats();
        assert_eq!(stats.reconnects, 1);
        let asked = zone.1.load(Ordering::Relaxed);
        assert_eq!(asked as u64, stats.failed_attempts + 2);
        a.shutdown(Duration::ZERO).await;
    })
    .await;
}

/// A label of a name has at most 63 bytes, so that no resolver needs to ask anybody.
#[tokio::test]
async fn l16_an_error_of_the_resolver_never_ends_the_attempts() {
    ends(async {
        let name = format!("http://{}:9000", "a".repeat(64));
        let mut locals = (1..).map(|number| format!("http://127.0.0.1:{number}"));
        let local = locals.find(|local| local_dials(local, &name)).unwrap();
        let a = builder(&local, &[&name])
            .dialer(TcpDialer::new())
            .build()
            .unwrap();
        let peer = a.connection(&name).unwrap();
        let last = node::state(&peer, |state| match state {
            LinkState::Connecting {
                attempt: 5..,
                last: Some(cause),
            } => Some(cause.clone()),
            _ => None,
        })
        .await;
        assert!(matches!(*last, LinkCause::Dial(_)), "{last}");
        assert!(peer.stats().failed_attempts >= 4);
        a.shutdown(Duration::ZERO).await;
    })
    .await;
}
