//! The options by which every command reaches the grid.

use std::time::Duration;

use clap::Args;

use super::{Reach, Way};
use crate::{
    control::parse_via,
    credentials::Environment,
    failure::Failure,
    peer_list::PeerListArgs,
    place::{Place, PlaceArgs},
    values::parse_duration,
};

/// How long a link may take where nothing else is said.
const CONNECT: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reaching the grid")]
pub(crate) struct ReachArgs {
    /// Go through a running node, over the control socket that it was given by `grid node --control
    /// unix:PATH`, and by the links that it has.
    ///
    /// A grid has no clients: it lets in nodes whose names are on its list, one of each name, and
    /// who joins under a name takes the links of whoever had it. So a command needs one of two ways
    /// in: a node that runs already (--via), or a name of the list that no node has (--local).
    #[arg(long, value_name = "unix:PATH", conflicts_with_all = ["local", "list"])]
    pub(crate) via: Option<String>,
    /// Join the grid for as long as the command takes, under this spare name of the list: one
    /// that no running node has. It serves one command at a time.
    ///
    /// Before it joins, a command looks whether a node answers at the address in the name (or in
    /// --dial), and whether another command on this machine has the name. It can't see a node that
    /// listens elsewhere, or behind a firewall: that one would lose its links to the command.
    ///
    /// Whether the command dials or listens follows from the two names (see grid peers). Where the
    /// remote dials it may take a while: a name that was away for ten minutes is dialed every 15 to
    /// 30 seconds only.
    #[arg(long, value_name = "URL", requires = "list")]
    pub(crate) local: Option<String>,
    #[command(flatten)]
    pub(crate) list: PeerListArgs,
    /// How long to wait for the link, as in 500ms or 10s [default: 10s].
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    pub(crate) connect_timeout: Option<String>,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

impl ReachArgs {
    /// Checks every value.
    pub(crate) fn check(self, environment: Environment) -> Result<Reach, Failure> {
        let within = match &self.connect_timeout {
            Some(text) => parse_duration("--connect-timeout", text)?,
            None => CONNECT,
        };
        let way = match (&self.via, &self.local) {
            (Some(via), _) => {
                let path = parse_via("--via", via)?;
                self.place.refuse_beside_via()?;
                if !self.list.peers_dns_server.is_empty() {
                    return Err(Failure::bad(
                        "--peers-dns-server goes with --peers-dns: with --via the running node \
                         knows its peers",
                    ));
                }
                Way::Via(path)
            }
            (None, Some(local)) => {
                let place = Place::check(local, self.list, self.place, environment)?;
                Way::Join(Box::new(place))
            }
            (None, None) => {
                return Err(Failure::bad(
                    "no way into the grid: give --via unix:PATH of a running node, or --local \
                     with a spare name and --peers",
                ));
            }
        };
        Ok(Reach { way, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: ReachArgs) -> Result<Reach, Failure> {
        args.check(Environment::with_token("secret"))
    }

    #[test]
    fn one_way_is_needed() {
        let line = check(ReachArgs::default()).unwrap_err().line();
        assert!(line.contains("--via") && line.contains("--local"), "{line}");
    }

    #[test]
    fn a_control_socket_needs_no_token_and_takes_none() {
        let via = ReachArgs {
            via: Some("unix:/a".into()),
            ..ReachArgs::default()
        };
        let reach = via.clone().check(Environment::default()).unwrap();
        assert!(matches!(reach.way, Way::Via(path) if path.to_str() == Some("/a")));
        assert_eq!(reach.within, CONNECT);
        let listens = PlaceArgs {
            listen: Some("127.0.0.1:1".into()),
            ..PlaceArgs::default()
        };
        let follows = PlaceArgs {
            reread: Some("1".into()),
            ..PlaceArgs::default()
        };
        for (option, place) in [("--listen", listens), ("--reread", follows)] {
            let with = ReachArgs {
                place,
                ..via.clone()
            };
            let line = check(with).unwrap_err().line();
            assert!(line.contains(option) && line.contains("--via"), "{line}");
        }
        let with = ReachArgs {
            list: PeerListArgs {
                peers_dns_server: vec!["127.0.0.1:53".into()],
                ..PeerListArgs::default()
            },
            ..via
        };
        let line = check(with).unwrap_err().line();
        assert!(
            line.contains("--peers-dns-server") && line.contains("--via"),
            "{line}"
        );
    }

    #[test]
    fn joining_needs_what_a_node_needs() {
        let join = ReachArgs {
            local: Some("http://a:1".into()),
            list: PeerListArgs::of(&["http://a:1", "http://b:1"]),
            connect_timeout: Some("250ms".into()),
            ..ReachArgs::default()
        };
        let reach = check(join.clone()).unwrap();
        assert!(matches!(reach.way, Way::Join(place) if place.local.as_str() == "http://a:1"));
        assert_eq!(reach.within, Duration::from_millis(250));
        let failure = join.check(Environment::default()).unwrap_err();
        assert!(failure.line().contains("GRID_TOKEN"));
    }
}
