//! Where the names of all nodes come from: the command line, a file, or a name in DNS; the latter two are followed.

mod args;
mod checked;
mod dns;

use std::{path::PathBuf, time::Duration};

use grid_transport::{
    Manager,
    peers::{Following, PeerSource, PeersFile},
};
use tokio::time::timeout;

pub(crate) use self::args::{PeerListArgs, check_names};
use self::{checked::Checked, dns::DnsList};
use crate::failure::Failure;

/// Where the names come from.
#[derive(Clone, Debug)]
pub(crate) enum PeerSet {
    /// They are given once, by `--peers`.
    Given,
    /// They stand in a file.
    File(PathBuf),
    /// They are behind a name in DNS.
    Dns(DnsList),
}

impl PeerSet {
    /// The option that says so.
    pub(crate) fn option(&self) -> &'static str {
        match self {
            Self::Given => "--peers",
            Self::File(_) => "--peers-file",
            Self::Dns(_) => "--peers-dns",
        }
    }

    /// Whether other names may come than those that are known when a node starts.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Self::Given)
    }

    /// Has the node follow the list, where there is one that changes: a file is looked at in this interval, DNS says itself
    /// when. `speaks_tls` says whether names for TLS are of use to the node.
    pub(crate) fn follow(
        &self,
        manager: &Manager,
        speaks_tls: bool,
        interval: Duration,
    ) -> Result<Option<Following>, Failure> {
        let following = match self {
            Self::Given => return Ok(None),
            Self::File(path) => {
                let file = PeersFile::new(path).interval(interval);
                manager.follow(Checked::new(file, speaks_tls))
            }
            Self::Dns(list) => manager.follow(Checked::new(list.source()?, speaks_tls)),
        };
        match following {
            Ok(following) => Ok(Some(following)),
            Err(error) => Err(Failure::failed(format!("{}: {error}", self.option()))),
        }
    }

    /// The names as they are now, where they were not known when the options were read.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn ask(&self, within: Duration) -> Result<Option<Vec<String>>, Failure> {
        let Self::Dns(list) = self else {
            return Ok(None);
        };
        let unknown = |why: String| Failure::NotConnected(format!("--peers-dns: {why}"));
        let mut source = list.source()?;
        match timeout(within, source.ask()).await {
            Ok(Ok(answer)) => Ok(Some(answer.names)),
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(_) => Err(unknown(format!(
                "no answer about '{list}' within {}",
                humantime::format_duration(within)
            ))),
        }
    }
}
