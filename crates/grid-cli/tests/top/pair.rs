//! Two nodes that are connected, of which the one that is dialed is watched.

use crate::common::{Ended, Grid, PATIENCE, TempDir};

/// How the second node is killed and comes back is up to the test.
pub(crate) struct Pair {
    pub(crate) dialer: String,
    pub(crate) acceptor: String,
    /// Of the acceptor.
    pub(crate) via: String,
    /// Where the acceptor serves its status.
    pub(crate) status: String,
    /// Where the acceptor listens.
    pub(crate) address: String,
    /// Taken by who wants to kill it.
    pub(crate) acceptor_node: Option<Grid>,
    pub(crate) dialer_node: Option<Grid>,
    _dir: TempDir,
}

impl Pair {
    /// Nothing listens at the ports of the names: where the acceptor is comes by `--dial`.
    pub(crate) fn connected() -> Self {
        let (one, two) = ("http://127.0.0.1:1", "http://127.0.0.1:2");
        let (dialer, acceptor) = if grid_proto::local_dials(one, two) {
            (one, two)
        } else {
            (two, one)
        };
        let dir = TempDir::new();
        let mut pair = Self {
            dialer: dialer.to_owned(),
            acceptor: acceptor.to_owned(),
            via: format!("unix:{}/control", dir.text()),
            status: String::new(),
            address: "127.0.0.1:0".to_owned(),
            acceptor_node: None,
            dialer_node: None,
            _dir: dir,
        };
        pair.start_acceptor();
        let dial = format!("{acceptor}={}", pair.address);
        pair.dialer_node = Some(pair.start(dialer, "127.0.0.1:0", &["--dial", &dial]));
        pair.wait_for_link();
        pair
    }

    /// Starts the acceptor, again where it was before if it was there.
    pub(crate) fn start_acceptor(&mut self) {
        let more = ["--control", &self.via, "--status", "127.0.0.1:0"];
        let mut node = self.start(&self.acceptor, &self.address, &more);
        self.status = address_after(&mut node, "status on ");
        self.address = address_after(&mut node, "listening on ");
        self.acceptor_node = Some(node);
    }

    pub(crate) fn wait_for_link(&mut self) {
        let acceptor = self.acceptor_node.as_mut().expect("it runs");
        acceptor.wait_for(&["link state", &self.dialer, "connected to"], PATIENCE);
    }

    pub(crate) fn call(&self) {
        let ended = run(&[
            "call",
            "9",
            "hello",
            "--to",
            &self.dialer,
            "--via",
            &self.via,
        ]);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }

    fn start(&self, local: &str, listen: &str, more: &[&str]) -> Grid {
        let peers = format!("{},{}", self.dialer, self.acceptor);
        let arguments = [
            "node", "--local", local, "--peers", &peers, "--listen", listen,
        ];
        Grid::start(&[&arguments[..], more].concat())
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Grid::start(arguments).ended(PATIENCE)
}

fn address_after(node: &mut Grid, words: &str) -> String {
    let line = node.wait_for(&[words], PATIENCE);
    let (_, rest) = line.split_once(words).expect("the words are there");
    let address = rest.split_whitespace().next();
    address.expect("an address").to_owned()
}
