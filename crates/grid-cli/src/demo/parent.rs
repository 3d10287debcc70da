//! The parent: starts the nodes and the proxies, cuts, watches, and gathers the counts.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    args::DemoConfig,
    message::{FromNode, LinkFacts, PeerTally, Setup, ToNode},
    pairs::{self, Pair},
    process::{self, Event, Processes},
    progress::Progress,
    proxy::{CutDone, Proxy},
    report::{PairReport, Report},
    schedule::{Cut, Order, Schedule},
};
use crate::{failure::Failure, table};

const NODES: usize = 4;
/// A demo in which nothing succeeds for so long is given up.
const STALLED: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(25);
/// Short pings, so that a connection that went silent is found while one watches.
const PING_MS: u64 = 500;
const STREAM_PING_MS: u64 = 1_000;

/// What the parent knows of a node.
#[derive(Debug, Default)]
struct Node {
    port: Option<u16>,
    walked: bool,
    tally: Vec<PeerTally>,
    links: Option<Vec<LinkFacts>>,
}

#[derive(Debug)]
pub(super) struct Parent {
    config: DemoConfig,
    began: SystemTime,
    processes: Processes,
    nodes: Vec<Node>,
    pairs: Vec<Pair>,
    proxies: Vec<Arc<Proxy>>,
    cutting: JoinSet<(Order, Instant, Option<CutDone>)>,
    schedule: Schedule,
    progress: Progress,
    /// When the nodes were told to start; before, when they were spawned.
    start: Instant,
    alive: Instant,
    finishing: bool,
}

impl Parent {
    /// Starts the processes of the nodes.
    pub(super) fn spawn(config: DemoConfig, program: &Path, token: &str) -> Result<Self, Failure> {
        let arguments = [OsStr::new("demo-node")];
        let processes = Processes::spawn(program, &arguments, NODES, token).map_err(|error| {
            Failure::failed(format!("'{}' can't be started: {error}", program.display()))
        })?;
        let pair_count = NODES * (NODES - 1) / 2;
        Ok(Self {
            began: SystemTime::now(),
            processes,
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            pairs: Vec::new(),
            proxies: Vec::new(),
            cutting: JoinSet::new(),
            schedule: Schedule::new(pair_count, config.cuts, config.time),
            progress: Progress::new(NODES, config.cuts),
            start: Instant::now(),
            alive: Instant::now(),
            finishing: false,
            config,
        })
    }

    /// The whole demo, up to the report.
    pub(super) async fn run(&mut self) -> Result<Report, Failure> {
        self.until("the nodes listen", |parent| {
            parent.nodes.iter().all(|node| node.port.is_some())
        })
        .await?;
        self.connect().await?;
        self.until("the nodes have read the tree and are connected", |parent| {
            parent.nodes.iter().all(|node| node.walked) && parent.schedule.all_up()
        })
        .await?;
        self.note("all six pairs are connected");
        self.start = Instant::now();
        self.processes.tell_all(&ToNode::Start).await?;
        self.cut_until_done().await?;
        self.finishing = true;
        self.processes.tell_all(&ToNode::Finish).await?;
        self.until("the nodes finish", |parent| {
            parent.nodes.iter().all(|node| node.links.is_some())
        })
        .await?;
        self.show();
        Ok(self.report())
    }

    /// Ends the nodes and waits until their processes are gone.
    pub(super) async fn end(self) {
        self.progress.clear();
        self.processes.end().await;
    }

    /// Puts a proxy between the nodes of every pair and tells the nodes who they are.
    async fn connect(&mut self) -> Result<(), Failure> {
        let addresses: Vec<SocketAddr> = self
            .nodes
            .iter()
            .map(|node| SocketAddr::from((Ipv4Addr::LOCALHOST, node.port.unwrap_or_default())))
            .collect();
        let names: Vec<String> = addresses
            .iter()
            .map(|address| format!("http://{address}"))
            .collect();
        self.pairs = pairs::pairs(&names);
        let mut dial = vec![BTreeMap::new(); NODES];
        for pair in &self.pairs {
            let (Some(&target), Some(name)) =
                (addresses.get(pair.acceptor()), names.get(pair.acceptor()))
            else {
                continue;
            };
            let proxy = Proxy::start(target)
                .await
                .map_err(|error| Failure::failed(format!("a proxy can't be started: {error}")))?;
            if let Some(dial) = dial.get_mut(pair.dialer()) {
                dial.insert(name.clone(), proxy.address());
            }
            self.proxies.push(Arc::new(proxy));
        }
        for (index, dial) in dial.into_iter().enumerate() {
            let setup = Setup {
                index,
                names: names.clone(),
                dial,
                dir: self.config.dir.clone(),
                began: self.began,
                ping_ms: PING_MS,
                stream_ping_ms: STREAM_PING_MS,
            };
            self.processes.tell(index, &ToNode::Setup(setup)).await?;
        }
        Ok(())
    }

    /// Listens to the nodes until `done`.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let mut tick = ticks();
        while !done(self) {
            let stalled = self.alive + STALLED;
            tokio::select! {
                (node, event) = self.processes.next() => self.handle(node, event)?,
                Some(cut) = self.cutting.join_next() => self.carried_out(cut)?,
                _ = tick.tick() => self.show(),
                // tidy: sleep: the limit of a wait that has other ends
                () = sleep_until(stalled) => return Err(stall(what)),
            }
        }
        Ok(())
    }

    async fn cut_until_done(&mut self) -> Result<(), Failure> {
        let mut tick = ticks();
        while !self.schedule.is_done(self.now()) {
            let stalled = self.alive + STALLED;
            tokio::select! {
                (node, event) = self.processes.next() => self.handle(node, event)?,
                Some(cut) = self.cutting.join_next() => self.carried_out(cut)?,
                _ = tick.tick() => {
                    self.show();
                    self.order();
                }
                // tidy: sleep: the limit of a wait that has other ends
                () = sleep_until(stalled) => return Err(stall("files arrive")),
            }
        }
        Ok(())
    }

    fn order(&mut self) {
        let Some(order) = self.schedule.next_order(self.now()) else {
            return;
        };
        if let Some(proxy) = self.proxies.get(order.pair).cloned() {
            self.cutting.spawn(async move {
                let done = proxy.cut(order.kind, order.aim).await;
                (order, Instant::now(), done)
            });
        }
    }

    fn carried_out(
        &mut self,
        cut: Result<(Order, Instant, Option<CutDone>), tokio::task::JoinError>,
    ) -> Result<(), Failure> {
        let (order, at, done) =
            cut.map_err(|error| Failure::failed(format!("a proxy failed: {error}")))?;
        let at = at.saturating_duration_since(self.start);
        let healed = self.schedule.carried_out(at, order, done).map(Cut::summary);
        if let Some(done) = done {
            let place = if done.mid_frame {
                "inside a frame"
            } else {
                "between frames"
            };
            let (number, kind) = (self.schedule.cuts().len(), order.kind.name());
            self.note(&format!(
                "cut {number}: {kind} on pair {} {place}",
                self.label(order.pair)
            ));
        }
        if let Some(summary) = healed {
            self.note(&format!("pair {} {summary}", self.label(order.pair)));
        }
        Ok(())
    }

    fn handle(&mut self, node: usize, event: Event) -> Result<(), Failure> {
        match event {
            Event::Said(message) => self.said(node, message),
            Event::Line(line) => {
                self.note(&format!("node {}: {line}", node + 1));
                Ok(())
            }
            Event::Gone => Err(process::gone(node)),
        }
    }

    fn said(&mut self, node: usize, message: FromNode) -> Result<(), Failure> {
        let now = self.now();
        let Some(state) = self.nodes.get_mut(node) else {
            return Ok(());
        };
        match message {
            FromNode::Bound { port } => state.port = Some(port),
            FromNode::Walking { .. } => {}
            FromNode::Walked {
                files,
                bytes,
                skipped,
            } => {
                state.walked = true;
                let (files, bytes) = (table::count(files), table::bytes(bytes));
                let skipped = if skipped > 0 {
                    format!(", {skipped} can't be read")
                } else {
                    String::new()
                };
                self.note(&format!(
                    "node {} has read {files} files, {bytes}{skipped}",
                    node + 1
                ));
            }
            FromNode::Link { peer, up, why } => self.link(now, node, peer, up, &why),
            FromNode::Tally(tally) => {
                // A count that does not grow is no sign of progress.
                self.tally(node, tally);
                return Ok(());
            }
            FromNode::Note(text) => self.note(&format!("node {}: {text}", node + 1)),
            FromNode::Failed(text) => {
                return Err(Failure::failed(format!("node {}: {text}", node + 1)));
            }
            FromNode::Done { tally, links } => {
                state.links = Some(links);
                self.tally(node, tally);
            }
        }
        self.alive = Instant::now();
        Ok(())
    }

    fn link(&mut self, now: Duration, node: usize, peer: usize, up: bool, why: &str) {
        let Some((pair, end)) = pairs::find(&self.pairs, node, peer) else {
            return;
        };
        if !up && !self.finishing {
            self.note(&format!("node {} lost node {}: {why}", node + 1, peer + 1));
        }
        let healed = self.schedule.link(now, pair, end, up).map(Cut::summary);
        if let Some(summary) = healed {
            self.note(&format!("pair {} {summary}", self.label(pair)));
        }
    }

    fn tally(&mut self, node: usize, tally: Vec<PeerTally>) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        state.tally.resize_with(tally.len(), PeerTally::default);
        for (peer, (before, after)) in state.tally.iter().zip(&tally).enumerate() {
            if after.progress() > before.progress() {
                self.alive = Instant::now();
            }
            if let Some((pair, _)) = pairs::find(&self.pairs, node, peer) {
                let calls = after
                    .calls_interrupted
                    .saturating_sub(before.calls_interrupted);
                let streams = after
                    .streams_interrupted
                    .saturating_sub(before.streams_interrupted);
                self.schedule.interrupted(pair, calls, streams);
            }
        }
        state.tally = tally;
    }

    fn show(&mut self) {
        if self.proxies.is_empty() {
            return;
        }
        let now = self.now();
        let sums: Vec<PeerTally> = self
            .nodes
            .iter()
            .map(|node| {
                let mut sum = PeerTally::default();
                node.tally.iter().for_each(|tally| sum.add(tally));
                sum
            })
            .collect();
        self.progress
            .show(now, &sums, self.schedule.hits(), self.schedule.wanted());
    }

    fn report(&self) -> Report {
        let end = |node: usize, peer: usize| {
            let state = self.nodes.get(node);
            let tally = state
                .and_then(|state| state.tally.get(peer))
                .cloned()
                .unwrap_or_default();
            let facts = state
                .and_then(|state| state.links.as_ref()?.get(peer))
                .cloned()
                .unwrap_or_default();
            (tally, facts)
        };
        let pairs = self.pairs.iter().map(|&pair| {
            let (a, b) = (end(pair.a, pair.b), end(pair.b, pair.a));
            PairReport {
                pair,
                tallies: [a.0, b.0],
                facts: [a.1, b.1],
            }
        });
        Report {
            pairs: pairs.collect(),
            cuts: self.schedule.cuts().to_vec(),
            time: self.now(),
        }
    }

    fn note(&self, text: &str) {
        self.progress
            .note(&format!("{:5.1} s  {text}", self.now().as_secs_f64()));
    }

    fn label(&self, pair: usize) -> String {
        self.pairs
            .get(pair)
            .map(|pair| pair.label())
            .unwrap_or_default()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

fn ticks() -> tokio::time::Interval {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

fn stall(what: &str) -> Failure {
    Failure::failed(format!(
        "nothing went on for {} s while waiting that {what}",
        STALLED.as_secs()
    ))
}
