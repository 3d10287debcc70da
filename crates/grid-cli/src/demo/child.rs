//! One node of the demo, in a process of its own: serves its tree and fetches the others'.

use std::{
    io::BufRead,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use grid_transport::{Connection, LinkState, Manager, Settings, StaticToken};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    fetch::Fetcher,
    message::{FromNode, LinkFacts, Setup, ToNode},
    outbox::Outbox,
    serve,
    tally::Tally,
    verify::Disk,
    walk::Tree,
};
use crate::{dialer::OverrideDialer, failure::Failure, token::Token};

/// The parent hears of the counts this often.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How long the node waits for its links before it reports them as they are.
const HEAL: Duration = Duration::from_secs(10);
/// Redials come soon, so that a pair is together again while one watches.
const REDIAL: Duration = Duration::from_millis(200);

/// Runs the node until the parent closes its stdin.
pub(crate) async fn run(token: Token) -> Result<(), Failure> {
    let gone = CancellationToken::new();
    let mut orders = read_orders(gone.clone());
    let outbox = Outbox::start();
    let work = async {
        if let Err(failure) = work(&token, &mut orders, &outbox).await {
            outbox.say(FromNode::Failed(failure.line())).await;
        }
        // The parent ends this process once it has read what it needs; until then others may
        // still read from this node.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        () = gone.cancelled() => {}
    }
    Ok(())
}

/// The parent's messages; `gone` fires at the end of stdin.
fn read_orders(gone: CancellationToken) -> mpsc::Receiver<ToNode> {
    let (sender, orders) = mpsc::channel(4);
    // A thread, as a read of stdin can't be cancelled.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(Ok(order)) = line.map(|line| serde_json::from_str(&line)) else {
                break;
            };
            if sender.blocking_send(order).is_err() {
                break;
            }
        }
        gone.cancel();
    });
    orders
}

async fn work(
    token: &Token,
    orders: &mut mpsc::Receiver<ToNode>,
    outbox: &Outbox,
) -> Result<(), Failure> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| Failure::failed(format!("{what}: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| failed("can't listen", &error))?;
    let port = listener
        .local_addr()
        .map_err(|error| failed("can't listen", &error))?
        .port();
    outbox.say(FromNode::Bound { port }).await;
    let Some(ToNode::Setup(setup)) = orders.recv().await else {
        return Err(Failure::failed("the first order must be the setup"));
    };
    let node = Node::build(setup, token, outbox.clone())?;
    let _serving = node
        .manager
        .serve(listener)
        .map_err(|error| failed("can't serve", &error))?;
    let mut watchers = node.watch_links();
    node.walk().await?;
    if !matches!(orders.recv().await, Some(ToNode::Start)) {
        return Err(Failure::failed("the second order must be to start"));
    }
    node.fetch(orders).await?;
    node.heal().await;
    outbox
        .say(FromNode::Done {
            tally: node.tally.snapshot(),
            links: node.facts(),
        })
        .await;
    while watchers.join_next().await.is_some() {}
    Ok(())
}

/// A node that is set up.
struct Node {
    setup: Setup,
    manager: Manager,
    /// With their numbers; all but the node itself.
    peers: Vec<(usize, Connection)>,
    disk: Arc<Disk>,
    tally: Arc<Tally>,
    outbox: Outbox,
    /// The newest round-trip times: a link that was just up again has none yet.
    round_trips: Mutex<Vec<Option<Duration>>>,
}

impl Node {
    fn build(setup: Setup, token: &Token, outbox: Outbox) -> Result<Self, Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::failed(format!("can't be set up: {error}"));
        let disk = Arc::new(Disk::new(Tree::empty(&setup.dir)));
        let local = setup
            .names
            .get(setup.index)
            .ok_or_else(|| failed(&"it has no name"))?;
        let settings = Settings::new()
            .ping_interval(Duration::from_millis(setup.ping_ms))
            .stream_ping_interval(Duration::from_millis(setup.stream_ping_ms))
            .redial_interval(REDIAL)
            .replace_after(REDIAL);
        let mut builder = Manager::builder(local.as_str())
            .peers(&setup.names)
            .auth(StaticToken::new(token.text()))
            .dialer(OverrideDialer::new(
                setup.dial.clone().into_iter().collect(),
                None,
            ))
            .settings(settings);
        for handler in serve::handlers(setup.index, &disk) {
            builder = builder.register(handler);
        }
        let manager = builder.build().map_err(|error| failed(&error))?;
        let mut peers = Vec::new();
        for (index, name) in setup
            .names
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != setup.index)
        {
            let peer = manager.connection(name).map_err(|error| failed(&error))?;
            peers.push((index, peer));
        }
        let nodes = setup.names.len();
        Ok(Self {
            manager,
            peers,
            disk,
            tally: Arc::new(Tally::new(nodes)),
            outbox,
            round_trips: Mutex::new(vec![None; nodes]),
            setup,
        })
    }

    /// Tells the parent when links come up and are lost.
    fn watch_links(&self) -> JoinSet<()> {
        let mut watchers = JoinSet::new();
        for (index, peer) in &self.peers {
            watchers.spawn(watch_link(
                *index,
                peer.clone(),
                Arc::clone(&self.tally),
                self.outbox.clone(),
            ));
        }
        watchers
    }

    /// Reads the tree.
    async fn walk(&self) -> Result<(), Failure> {
        let (dir, began, outbox) = (
            self.setup.dir.clone(),
            self.setup.began,
            self.outbox.clone(),
        );
        let walked = spawn_blocking(move || {
            let mut next = Instant::now() + REPORT_EVERY;
            Tree::walk(&dir, began, |files| {
                if Instant::now() >= next {
                    next = Instant::now() + REPORT_EVERY;
                    outbox.say_blocking(FromNode::Walking { files });
                }
            })
        });
        let failed = |error: &dyn std::fmt::Display| {
            Failure::failed(format!(
                "'{}' can't be read: {error}",
                self.setup.dir.display()
            ))
        };
        let tree = walked
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        let (files, bytes, skipped) = (tree.files().count() as u64, tree.bytes(), tree.skipped());
        self.disk.replace(tree);
        self.outbox
            .say(FromNode::Walked {
                files,
                bytes,
                skipped,
            })
            .await;
        Ok(())
    }

    /// Fetches from all peers until the parent says to finish, and then until all passes are done.
    async fn fetch(&self, orders: &mut mpsc::Receiver<ToNode>) -> Result<(), Failure> {
        let stop = CancellationToken::new();
        let mut fetchers = JoinSet::new();
        for (index, peer) in &self.peers {
            let fetcher = Fetcher {
                peer: peer.subroute(&serve::subroute(*index)),
                index: *index,
                disk: Arc::clone(&self.disk),
                tally: Arc::clone(&self.tally),
                outbox: self.outbox.clone(),
            };
            fetchers.spawn(fetcher.run(stop.clone()));
        }
        let mut tick = interval(REPORT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = fetchers.join_next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return Err(Failure::failed(format!("a fetch failed: {error}"))),
                    None => return Ok(()),
                },
                Some(_) = orders.recv() => stop.cancel(),
                _ = tick.tick() => {
                    self.note_round_trips();
                    self.outbox.say(FromNode::Tally(self.tally.snapshot())).await;
                }
            }
        }
    }

    /// Waits until all links are up, for a while.
    async fn heal(&self) {
        let all = self.peers.iter().map(|(_, peer)| peer.connected());
        // Links that stay down are reported as that.
        let _ = timeout(HEAL, futures_util::future::join_all(all)).await;
    }

    fn note_round_trips(&self) {
        let mut round_trips = self
            .round_trips
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (index, peer) in &self.peers {
            if let (Some(newest), Some(now)) =
                (round_trips.get_mut(*index), peer.stats().round_trip)
            {
                *newest = Some(now);
            }
        }
    }

    fn facts(&self) -> Vec<LinkFacts> {
        self.note_round_trips();
        let round_trips = self
            .round_trips
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut facts = vec![LinkFacts::default(); self.setup.names.len()];
        for (index, peer) in &self.peers {
            let stats = peer.stats();
            let round_trip = round_trips.get(*index).copied().flatten();
            if let Some(facts) = facts.get_mut(*index) {
                *facts = LinkFacts {
                    connected: stats.state.is_connected(),
                    round_trip_us: round_trip
                        .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
                    bytes_in: stats.bytes_in,
                    bytes_out: stats.bytes_out,
                    reconnects: stats.reconnects,
                };
            }
        }
        facts
    }
}

async fn watch_link(peer: usize, connection: Connection, tally: Arc<Tally>, outbox: Outbox) {
    let mut states = connection.watch();
    let mut session = None;
    loop {
        let state = states.borrow_and_update().clone();
        let now = match &state {
            LinkState::Connected { since, .. } => Some(*since),
            _ => None,
        };
        if session.is_some() && now != session {
            let why = state
                .last_cause()
                .map_or_else(|| "replaced".to_owned(), ToString::to_string);
            outbox
                .say(FromNode::Link {
                    peer,
                    up: false,
                    why,
                })
                .await;
        }
        if now.is_some() && now != session {
            // What the last loss interrupted is told before the link counts as healed.
            outbox.say(FromNode::Tally(tally.snapshot())).await;
            outbox
                .say(FromNode::Link {
                    peer,
                    up: true,
                    why: String::new(),
                })
                .await;
        }
        session = now;
        if states.changed().await.is_err() {
            return;
        }
    }
}
