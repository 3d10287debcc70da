//! `grid node`: arguments and the checked configuration.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args};

use crate::{
    control::parse_via,
    credentials::Environment,
    failure::Failure,
    peer_list::PeerListArgs,
    place::{Place, PlaceArgs},
    status::{StatusArgs, StatusConfig},
    values::parse_seconds,
};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("names").required(true).args(["peers", "peers_file", "peers_dns"]))]
#[command(after_help = "Example:
  grid node --local http://10.0.0.1:9000 --peers http://10.0.0.1:9000,http://10.0.0.2:9000 \\
      --token-file /run/token --control unix:/run/grid.sock --status 127.0.0.1:9100
  grid node --local https://node1:9000 --peers-file /etc/grid/peers --jwt-access-key admin \\
      --jwt-secret-file /run/secret --tls-cert node1.pem --tls-key node1.key --tls-roots ca.pem")]
pub(crate) struct NodeArgs {
    /// This node's name: a URL without a path, one of the list.
    #[arg(long, value_name = "URL")]
    pub(crate) local: String,
    #[command(flatten)]
    pub(crate) list: PeerListArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The period of the connections' pings, in seconds [default: 10].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) ping: Option<String>,
    /// The period of the streams' pings, in seconds [default: 15].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) stream_ping: Option<String>,
    /// Let commands on this machine go through this node, by a socket with mode 0600 at PATH.
    #[arg(long, value_name = "unix:PATH")]
    pub(crate) control: Option<String>,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
    /// The threads that run the node; 1 for all on one [default: one for each processor].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Register the echo stream 69 too.
    #[arg(long)]
    pub(crate) with_69: bool,
}

/// What a node runs with; every value has been checked.
#[derive(Debug)]
pub(crate) struct NodeConfig {
    pub(crate) place: Place,
    pub(crate) ping: Option<Duration>,
    pub(crate) stream_ping: Option<Duration>,
    pub(crate) control: Option<PathBuf>,
    pub(crate) status: Option<StatusConfig>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) with_69: bool,
}

impl NodeArgs {
    /// Checks every value.
    pub(crate) fn check(self, environment: Environment) -> Result<NodeConfig, Failure> {
        let place = Place::check(&self.local, self.list, self.place, environment)?;
        place.check_listens()?;
        let seconds = |option, text: Option<String>| {
            text.map(|text| parse_seconds(option, &text)).transpose()
        };
        Ok(NodeConfig {
            ping: seconds("--ping", self.ping)?,
            stream_ping: seconds("--stream-ping", self.stream_ping)?,
            control: match &self.control {
                Some(text) => Some(parse_via("--control", text)?),
                None => None,
            },
            status: self.status.check()?,
            threads: self.threads,
            with_69: self.with_69,
            place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "http://127.0.0.1:9001";
    const B: &str = "http://127.0.0.1:9002";

    fn args() -> NodeArgs {
        NodeArgs {
            local: A.into(),
            list: PeerListArgs::of(&[A, B]),
            place: PlaceArgs::default(),
            ping: None,
            stream_ping: None,
            control: None,
            status: StatusArgs::default(),
            threads: None,
            with_69: false,
        }
    }

    fn refused(args: NodeArgs) -> String {
        let failure = args.check(Environment::with_token("secret")).unwrap_err();
        assert!(matches!(failure, Failure::BadInput(_)), "{failure:?}");
        failure.line()
    }

    #[test]
    fn the_least_that_runs() {
        let config = args().check(Environment::with_token("secret")).unwrap();
        assert_eq!(config.place.listen, "127.0.0.1:9001");
        assert!(!config.place.credentials.are_open());
        assert_eq!((config.ping, config.stream_ping), (None, None));
    }

    #[test]
    fn values_are_quoted() {
        let line = refused(NodeArgs {
            ping: Some("soon".into()),
            ..args()
        });
        assert!(line.contains("--ping: 'soon'"), "{line}");
        let line = refused(NodeArgs {
            stream_ping: Some("0".into()),
            ..args()
        });
        assert!(line.contains("--stream-ping: '0'"), "{line}");
        let line = refused(NodeArgs {
            status: StatusArgs {
                status: Some("9100".into()),
                ..StatusArgs::default()
            },
            ..args()
        });
        assert!(line.contains("--status: '9100'"), "{line}");
    }

    #[test]
    fn a_node_needs_a_token() {
        let line = args().check(Environment::default()).unwrap_err().line();
        assert!(
            line.contains("GRID_TOKEN") && line.contains("--token-file"),
            "{line}"
        );
    }
}
