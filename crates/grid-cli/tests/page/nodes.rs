//! Nodes that see each other, of which the first serves its status.

use std::net::SocketAddr;

use crate::common::{Grid, PATIENCE, cluster::reserve};

pub(crate) struct Nodes {
    pub(crate) names: Vec<String>,
    /// Where the first one serves its status.
    pub(crate) status: String,
    pub(crate) all: Vec<Grid>,
    _ports: Vec<socket2::Socket>,
}

impl Nodes {
    /// So many of them, and names for some that are not there. The first has these options too.
    pub(crate) fn start(count: usize, missing: usize, more: &[&str]) -> Self {
        let ports: Vec<_> = (0..count + missing).map(|_| reserve()).collect();
        let names: Vec<String> = ports
            .iter()
            .map(|port| format!("http://{}", address(port)))
            .collect();
        let peers = names.join(",");
        let options = |name| ["node", "--local", name, "--peers", &peers, "--threads", "1"];
        let first = [&options(&names[0])[..], &["--status", "127.0.0.1:0"], more].concat();
        let mut all = vec![Grid::start(&first)];
        let status = word_after(&mut all[0], "status on ");
        all.extend(
            names[1..count]
                .iter()
                .map(|name| Grid::start(&options(name))),
        );
        Self {
            names,
            status,
            all,
            _ports: ports,
        }
    }

    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.status)
    }
}

/// The word that follows these on a line of the log.
pub(crate) fn word_after(node: &mut Grid, words: &str) -> String {
    let line = node.wait_for(&[words], PATIENCE);
    let (_, rest) = line.split_once(words).expect("the words are there");
    let word = rest.split_whitespace().next();
    word.expect("a word").to_owned()
}

pub(crate) fn address(socket: &socket2::Socket) -> SocketAddr {
    let address = socket.local_addr().ok();
    let address = address.and_then(|address| address.as_socket());
    address.expect("an address")
}
