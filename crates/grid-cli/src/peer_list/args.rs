//! The options by which the names of all nodes are given.

use std::path::PathBuf;

use clap::Args;
use grid_transport::peers::PeersFile;

use super::{PeerSet, dns::DnsList};
use crate::{
    failure::Failure,
    place::{expand, list},
    values::NodeUrl,
};

/// One of them is needed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PeerListArgs {
    /// The names of all nodes, this one among them, separated by commas, as the nodes themselves have
    /// them; http://node{1...16}:9000 stands for sixteen of them.
    #[arg(
        long,
        value_name = "URL,URL,…",
        value_delimiter = ',',
        group = "list",
        requires = "local"
    )]
    pub(crate) peers: Vec<String>,
    /// A file with the names of all nodes, this one among them: one name or pattern a line, and '#'
    /// before what is for people. A node follows it as it changes.
    #[arg(long, value_name = "FILE", group = "list", requires = "local")]
    pub(crate) peers_file: Option<PathBuf>,
    /// All nodes are behind a name in DNS: a:NAME:PORT or aaaa:NAME:PORT for its addresses, each with
    /// that port; srv:NAME for hosts and ports of a service. A node follows it as it changes. The
    /// names begin with https:// where that of --local does.
    #[arg(long, value_name = "a:NAME:PORT", group = "list", requires = "local")]
    pub(crate) peers_dns: Option<String>,
    /// A name server to ask about --peers-dns, instead of those of the system; may be given more than
    /// once.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) peers_dns_server: Vec<String>,
}

impl PeerListArgs {
    #[cfg(test)]
    pub(crate) fn of(names: &[&str]) -> Self {
        Self {
            peers: names.iter().map(|&name| name.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Where the names come from, and those that are known by now, `local` among them.
    pub(crate) fn check(self, local: &NodeUrl) -> Result<(PeerSet, Vec<NodeUrl>), Failure> {
        if let Some(text) = &self.peers_dns {
            let list = DnsList::parse(text, &self.peers_dns_server, local.is_tls())?;
            list.check_local(local)?;
            return Ok((PeerSet::Dns(list), vec![local.clone()]));
        }
        if !self.peers_dns_server.is_empty() {
            // Clap would say so only where the option that is missing does not conflict with what was given.
            return Err(Failure::bad(
                "--peers-dns-server says whom to ask about --peers-dns, which is not given",
            ));
        }
        let Some(path) = self.peers_file else {
            let names = expand("--peers", &self.peers)?;
            return Ok((PeerSet::Given, check_names("--peers", local, &names)?));
        };
        let names = PeersFile::new(&path).read();
        let names = names.map_err(|error| Failure::bad(format!("--peers-file: {error}")))?;
        let option = format!("--peers-file '{}'", path.display());
        let names = check_names(&option, local, &names)?;
        Ok((PeerSet::File(path), names))
    }
}

/// The names that `option` gives, if they can be those of a grid to which `local` belongs.
pub(crate) fn check_names(
    option: &str,
    local: &NodeUrl,
    names: &[String],
) -> Result<Vec<NodeUrl>, Failure> {
    let peers = parse_names(option, names)?;
    if !peers.contains(local) {
        return Err(Failure::bad(format!(
            "--local: '{local}' is not one of {option}: {}",
            list(&peers)
        )));
    }
    Ok(peers)
}

/// The names that `option` gives, if all of them can be those of one grid.
pub(super) fn parse_names(option: &str, names: &[String]) -> Result<Vec<NodeUrl>, Failure> {
    let mut peers: Vec<NodeUrl> = Vec::with_capacity(names.len());
    for text in names {
        let peer = NodeUrl::parse(option, text)?;
        if peers.contains(&peer) {
            return Err(Failure::bad(format!("{option}: '{peer}' is there twice")));
        }
        if let Some(same) = peers
            .iter()
            .find(|same| same.host_port() == peer.host_port())
        {
            return Err(Failure::bad(format!(
                "{option}: '{same}' and '{peer}' are the same address"
            )));
        }
        peers.push(peer);
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> NodeUrl {
        NodeUrl::parse("--local", "http://127.0.0.1:9001").unwrap()
    }

    #[test]
    fn a_pattern_stands_for_many_peers() {
        let (set, names) = PeerListArgs::of(&["http://127.0.0.{1...3}:9001"])
            .check(&local())
            .unwrap();
        assert!(matches!(set, PeerSet::Given) && names.len() == 3);
        assert!(names.contains(&local()));
        let failure = PeerListArgs::of(&["http://127.0.0.{1..3}:9001"]).check(&local());
        let line = failure.unwrap_err().line();
        assert!(
            line.contains("--peers: '{1..3}' in 'http://127.0.0.{1..3}:9001' is no range"),
            "{line}"
        );
    }

    #[test]
    fn behind_a_name_in_dns_there_is_this_node_until_it_is_asked() {
        let args = PeerListArgs {
            peers_dns: Some("a:grid:9001".into()),
            ..PeerListArgs::default()
        };
        let (set, names) = args.check(&local()).unwrap();
        assert!(matches!(set, PeerSet::Dns(_)) && set.changes());
        assert_eq!(names, [local()]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_option() {
        let args = PeerListArgs {
            peers_file: Some("/nowhere/peers".into()),
            ..PeerListArgs::default()
        };
        let line = args.check(&local()).unwrap_err().line();
        assert!(
            line.contains("--peers-file: can't read /nowhere/peers"),
            "{line}"
        );
    }
}
