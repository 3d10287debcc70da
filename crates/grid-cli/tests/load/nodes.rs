//! Two nodes for `grid load`: one whose handlers are called, and one that calls can go through.

use crate::common::{Grid, PATIENCE, TempDir, status};

/// Both nodes, and a name that is left for a command.
pub(crate) struct Nodes {
    handlers: Option<Grid>,
    _between: Grid,
    names: [String; 3],
    address: String,
    dir: TempDir,
}

/// What a node counts of a handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) calls: u64,
    pub(crate) time_s: f64,
}

/// Names of which both others dial the first, so that only the first has to be found. Nothing
/// listens at the ports: where the first is comes by `--dial`.
pub(crate) fn names() -> [String; 3] {
    let name = |port: u16| format!("http://127.0.0.1:{port}");
    let all: Vec<String> = (1..=5).map(name).collect();
    for first in &all {
        let dialers: Vec<_> = all
            .iter()
            .filter(|other| *other != first && grid_proto::local_dials(other, first))
            .collect();
        if let [one, two, ..] = dialers.as_slice() {
            return [first, *one, *two].map(Clone::clone);
        }
    }
    panic!("of five names one is dialed by two others")
}

impl Nodes {
    /// Starts both and waits until they are connected.
    pub(crate) fn start() -> Self {
        let names = names();
        let [first, second, _] = &names;
        let dir = TempDir::new();
        let peers = names.join(",");
        let socket = |name: &str| format!("unix:{}/{name}", dir.text());
        let node = |local: &str, control: &str, more: &[&str]| {
            let always = [
                "node",
                "--local",
                local,
                "--peers",
                &peers,
                "--listen",
                "127.0.0.1:0",
                "--control",
                control,
            ];
            Grid::start(&[&always[..], more].concat())
        };
        let mut handlers = node(first, &socket("handlers"), &[]);
        let address = handlers.address();
        let dial = format!("{first}={address}");
        let mut between = node(second, &socket("between"), &["--dial", &dial]);
        between.wait_for(&["link state", first, "connected to"], PATIENCE);
        Self {
            handlers: Some(handlers),
            _between: between,
            names,
            address,
            dir,
        }
    }

    /// The words of a load of the first node, directly or through the other.
    pub(crate) fn words(&self, via: bool, more: &[&str]) -> Vec<String> {
        let [first, _, spare] = &self.names;
        let mut words = vec!["load".to_owned(), "--to".to_owned(), first.clone()];
        let way = if via {
            vec![
                "--via".to_owned(),
                format!("unix:{}/between", self.dir.text()),
            ]
        } else {
            let (local, peers) = ("--local".to_owned(), "--peers".to_owned());
            let dial = format!("{first}={}", self.address);
            let all = format!("{first},{spare}");
            let listen = ["--listen", "127.0.0.1:0"].map(str::to_owned);
            let mut way = vec![local, spare.clone(), peers, all, "--dial".to_owned(), dial];
            way.extend(listen);
            way
        };
        words.extend(way);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    /// Starts a load.
    pub(crate) fn load(&self, via: bool, more: &[&str]) -> Grid {
        let words = self.words(via, more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Grid::start(&words)
    }

    pub(crate) fn kill_handlers_node(&mut self) {
        self.handlers.take().expect("it runs").kill();
    }

    /// What the first node counts of a handler, once none of its calls runs any more.
    pub(crate) fn handler(&self, id: u8) -> Counted {
        self.count(id, true)
    }

    /// How many calls of a handler have begun; some may run on after their caller has gone.
    pub(crate) fn begun(&self, id: u8) -> u64 {
        self.count(id, false).calls
    }

    fn count(&self, id: u8, all_ended: bool) -> Counted {
        let socket = format!("{}/handlers", self.dir.text());
        let status = status::wait_for(&socket, "without a call that runs", |status| {
            !all_ended || status::running(status, id.into()) == 0
        });
        let handlers = status["handlers"].as_array().expect("handlers");
        let handler = handlers
            .iter()
            .find(|handler| handler["handler"] == id && handler["subroute"].is_null())
            .expect("the node has the handler");
        Counted {
            calls: handler["calls"].as_u64().expect("calls"),
            time_s: handler["time_s"].as_f64().expect("a time"),
        }
    }
}
