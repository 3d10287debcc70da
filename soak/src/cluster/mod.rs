//! The nodes and the networks between them, as they are now.

mod doubts;
mod faults;

use std::{collections::BTreeMap, io, net::Ipv4Addr, net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    chaos::Fault,
    child::{Child, Event, Which},
    namespaces::Namespaces,
    proxy::Route,
    tally::Counts,
    words::{Birth, Broken, Order, Rest, Word, Wrong},
};

/// What a process may take until it listens.
const LISTENS: Duration = Duration::from_secs(15);

/// All of it. Dropping it kills the nodes, and then removes their namespaces.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    /// By who dials and who is dialed.
    routes: BTreeMap<(usize, usize), Route>,
    undos: Vec<(Instant, Fault)>,
    doubts: doubts::Doubts,
    events: mpsc::UnboundedReceiver<Event>,
    sender: mpsc::UnboundedSender<Event>,
    counts: BTreeMap<Which, Counts>,
    seed: u64,
    /// Faults so far that somebody has felt, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Promises that were broken so far.
    pub wrong: Vec<Wrong>,
    /// Last, so that nobody is in them when they are removed.
    namespaces: Option<Namespaces>,
}

#[derive(Debug)]
struct Node {
    child: Option<Child>,
    generation: u64,
    skew_ms: i64,
    links: (usize, usize),
    rest: Option<Rest>,
    ended: Option<bool>,
    /// Whether nobody should wonder that its process ends.
    may_end: bool,
}

fn name(node: usize) -> String {
    format!("http://node{node}:9000")
}

impl Cluster {
    /// Opens the routes and starts the nodes.
    ///
    /// # Errors
    ///
    /// When a socket or process can't be had.
    ///
    /// # Cancel safety
    ///
    /// What was started is killed.
    pub async fn start(
        count: usize,
        seed: u64,
        namespaces: Option<Namespaces>,
    ) -> io::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut routes = BTreeMap::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let on = namespaces.as_ref().map_or_else(
                    || Ipv4Addr::LOCALHOST.into(),
                    |namespaces| namespaces.host(from),
                );
                routes.insert((from, to), Route::open(on).await?);
            }
        }
        let node = |_| Node {
            child: None,
            generation: 0,
            skew_ms: 0,
            links: (0, 0),
            rest: None,
            ended: None,
            may_end: false,
        };
        let mut cluster = Self {
            nodes: (0..count).map(node).collect(),
            routes,
            undos: Vec::new(),
            doubts: doubts::Doubts::default(),
            events,
            sender,
            counts: BTreeMap::new(),
            seed,
            faults: BTreeMap::new(),
            wrong: Vec::new(),
            namespaces,
        };
        for node in 0..count {
            cluster.start_node(node).await?;
        }
        Ok(cluster)
    }

    async fn start_node(&mut self, node: usize) -> io::Result<()> {
        let names = (0..self.nodes.len()).map(name).collect();
        let dial = self
            .routes
            .iter()
            .filter(|((from, _), _)| *from == node)
            .map(|((_, to), route)| (name(*to), route.address()))
            .collect();
        let listen = self.namespaces.as_ref().map_or_else(
            || Ipv4Addr::LOCALHOST.into(),
            |namespaces| namespaces.node(node),
        );
        let namespace = self.namespaces.as_ref().and_then(|all| all.name(node));
        let state = &mut self.nodes[node];
        let birth = Birth {
            index: node,
            generation: state.generation,
            names,
            seed: self.seed,
            listen: SocketAddr::new(listen, 0),
            dial,
            skew_ms: state.skew_ms,
        };
        state.may_end = false;
        state.links = (0, usize::MAX);
        let child = Child::start(&birth, namespace, self.sender.clone()).await?;
        state.child = Some(child);
        Ok(())
    }

    /// Whether nodes have cables that can be pulled.
    #[must_use]
    pub const fn has_cables(&self) -> bool {
        self.namespaces.is_some()
    }

    /// Notes that a promise was broken.
    pub fn broken(&mut self, kind: Broken, what: String) {
        self.note(Wrong { kind, what });
    }

    /// Told at once, so that it can be seen what happened beside it.
    #[allow(clippy::print_stdout, reason = "it is for who runs it")]
    fn note(&mut self, wrong: Wrong) {
        println!("BROKEN: {}: {}", wrong.kind.title(), wrong.what);
        self.wrong.push(wrong);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.counts.values() {
            sum.add(counts);
        }
        sum
    }

    /// How many calls of each node have succeeded so far, in all its lives.
    #[must_use]
    pub fn successes(&self) -> Vec<u64> {
        let mut successes = vec![0; self.nodes.len()];
        for ((node, _), counts) in &self.counts {
            successes[*node] += counts.succeeded;
        }
        successes
    }

    /// Takes in the next thing that a node says or does.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn listen(&mut self) {
        if let Some((which, word)) = self.events.recv().await {
            self.heard(which, word);
        }
    }

    /// Takes in what is said for a while.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn listen_for(&mut self, time: Duration) {
        let listening = async {
            loop {
                self.listen().await;
            }
        };
        let _: Result<(), _> = timeout(time, listening).await;
    }

    fn heard(&mut self, which: Which, word: Option<Word>) {
        let (index, generation) = which;
        let state = &mut self.nodes[index];
        if let Some(Word::Counts(counts)) = word {
            self.counts.insert(which, *counts);
            return;
        }
        if let Some(Word::Wrong(mut wrong)) = word {
            wrong.what = format!("node {index}, life {generation}: {}", wrong.what);
            self.note(wrong);
            return;
        }
        if generation != state.generation {
            return;
        }
        match word {
            Some(Word::Listening(address)) => {
                for ((_, to), route) in &self.routes {
                    if *to == index {
                        route.lead_to(Some(address));
                    }
                }
            }
            Some(Word::Links(up, all)) => state.links = (up, all),
            Some(Word::Resting(rest)) => state.rest = Some(rest),
            Some(Word::Ended(complete)) => state.ended = Some(complete),
            None if !state.may_end => {
                state.may_end = true;
                self.broken(Broken::Process, format!("node {index} ended by itself"));
            }
            _ => {}
        }
    }

    /// Tells all nodes that are there something.
    ///
    /// # Cancel safety
    ///
    /// Some may have been told.
    pub async fn tell_all(&mut self, order: Order) {
        for node in 0..self.nodes.len() {
            if order == Order::Rest {
                self.nodes[node].rest = None;
            }
            self.tell(node, order).await;
        }
    }

    async fn tell(&mut self, node: usize, order: Order) {
        let Some(child) = &mut self.nodes[node].child else {
            return;
        };
        if let Err(error) = child.tell(order).await {
            let what = format!("node {node} can't be told {order:?}: {error}");
            self.broken(Broken::Process, what);
        }
    }

    /// Returns when all nodes have all their links.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn until_up(&mut self) {
        while !self.not_up().is_empty() {
            self.listen().await;
        }
    }

    /// Nodes that miss a link.
    #[must_use]
    pub fn not_up(&self) -> Vec<usize> {
        self.which(|node| node.links.0 != node.links.1)
    }

    /// Returns when all nodes have said what is left in them.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn until_resting(&mut self) {
        while !self.not_resting().is_empty() {
            self.listen().await;
        }
    }

    /// Nodes that have not said it.
    #[must_use]
    pub fn not_resting(&self) -> Vec<usize> {
        self.which(|node| node.rest.is_none())
    }

    /// What is left in each.
    #[must_use]
    pub fn rests(&self) -> Vec<Rest> {
        self.nodes
            .iter()
            .map(|node| node.rest.unwrap_or_default())
            .collect()
    }

    fn which(&self, is: impl Fn(&Node) -> bool) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|node| is(&self.nodes[*node]))
            .collect()
    }

    /// Sends all nodes a signal.
    pub fn signal_all(&mut self, signal: Signal) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            // Whoever has gone needs none.
            let _ = child.signal(signal);
        }
    }

    /// Has all nodes shut down, and waits for the ends of their processes.
    ///
    /// # Cancel safety
    ///
    /// Those that have not ended yet are killed.
    pub async fn end(&mut self, within: Duration) {
        for node in &mut self.nodes {
            node.may_end = true;
        }
        self.tell_all(Order::End).await;
        for node in 0..self.nodes.len() {
            let Some(child) = self.nodes[node].child.take() else {
                continue;
            };
            match child.end(within).await {
                Ok(true) => {}
                Ok(false) => self.broken(Broken::Process, format!("node {node} ended badly")),
                Err(error) => {
                    let what = format!("node {node} did not end within {within:?}: {error}");
                    self.broken(Broken::Hung, what);
                }
            }
        }
        let last_words = self.which(|node| node.ended.is_none()).len();
        for _ in 0..last_words {
            let heard = async {
                while !self.which(|node| node.ended.is_none()).is_empty() {
                    self.listen().await;
                }
            };
            let _ = timeout(LISTENS, heard).await;
        }
        for node in self.which(|node| node.ended != Some(true)) {
            let what = format!("node {node} had something under way when it shut down");
            self.broken(Broken::Left, what);
        }
    }
}
