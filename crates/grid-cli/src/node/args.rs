//! `grid node`: arguments and the checked configuration.

use std::{collections::HashMap, ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use crate::values::{NodeUrl, parse_dial, parse_listen, parse_seconds};
use crate::{
    failure::Failure,
    token::{Token, TokenSource},
};

#[derive(Args, Debug)]
pub(crate) struct NodeArgs {
    /// This node's name: a URL without a path, one of --peers.
    #[arg(long, value_name = "URL")]
    pub(crate) local: String,
    /// The names of all nodes, this one among them, separated by commas.
    #[arg(long, value_name = "URL,URL,…", value_delimiter = ',', required = true)]
    pub(crate) peers: Vec<String>,
    /// Where to listen [default: host and port of --local].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// The token that all nodes share; it shows in the process list, so prefer --token-file or the
    /// environment variable GRID_TOKEN.
    #[arg(long, value_name = "TEXT", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The route path of the grid.
    #[arg(long, value_name = "PATH", default_value = "/minio/grid/v1")]
    pub(crate) path: String,
    /// The period of the connections' pings, in seconds [default: 10].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) ping: Option<String>,
    /// The period of the streams' pings, in seconds [default: 15].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) stream_ping: Option<String>,
    /// Dial a peer at this address instead of the one in its name.
    #[arg(long, value_name = "NAME=IP:PORT")]
    pub(crate) dial: Vec<String>,
    /// Register the echo stream 69 too.
    #[arg(long)]
    pub(crate) with_69: bool,
}

/// What a node runs with; every value has been checked.
#[derive(Debug)]
pub(crate) struct NodeConfig {
    pub(crate) local: NodeUrl,
    pub(crate) peers: Vec<NodeUrl>,
    pub(crate) listen: String,
    pub(crate) token: Token,
    pub(crate) path: String,
    pub(crate) ping: Option<Duration>,
    pub(crate) stream_ping: Option<Duration>,
    pub(crate) dial: HashMap<String, SocketAddr>,
    pub(crate) with_69: bool,
}

impl NodeArgs {
    /// Checks every value; `env_token` is what the environment has.
    pub(crate) fn check(self, env_token: Option<OsString>) -> Result<NodeConfig, Failure> {
        let local = NodeUrl::parse("--local", &self.local)?;
        let peers = check_peers(&local, &self.peers)?;
        let listen = match &self.listen {
            Some(text) => parse_listen(text)?,
            None => local.host_port().to_owned(),
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if !self.path.starts_with('/') || !self.path.bytes().all(plain) {
            return Err(Failure::bad(format!(
                "--path: '{}' is not a path that begins with '/' and holds no space, ? or #",
                self.path
            )));
        }
        let seconds = |option, text: Option<String>| {
            text.map(|text| parse_seconds(option, &text)).transpose()
        };
        Ok(NodeConfig {
            ping: seconds("--ping", self.ping)?,
            stream_ping: seconds("--stream-ping", self.stream_ping)?,
            dial: check_dial(&peers, &self.dial)?,
            token: TokenSource {
                flag: self.token,
                file: self.token_file,
                env: env_token,
            }
            .read()?,
            path: self.path,
            with_69: self.with_69,
            local,
            peers,
            listen,
        })
    }
}

fn check_peers(local: &NodeUrl, texts: &[String]) -> Result<Vec<NodeUrl>, Failure> {
    let mut peers: Vec<NodeUrl> = Vec::with_capacity(texts.len());
    for text in texts {
        let peer = NodeUrl::parse("--peers", text)?;
        if peers.contains(&peer) {
            return Err(Failure::bad(format!("--peers: '{peer}' is there twice")));
        }
        if let Some(same) = peers
            .iter()
            .find(|same| same.host_port() == peer.host_port())
        {
            return Err(Failure::bad(format!(
                "--peers: '{same}' and '{peer}' are the same address"
            )));
        }
        peers.push(peer);
    }
    if !peers.contains(local) {
        return Err(Failure::bad(format!(
            "--local: '{local}' is not one of --peers: {}",
            list(&peers)
        )));
    }
    Ok(peers)
}

fn check_dial(peers: &[NodeUrl], texts: &[String]) -> Result<HashMap<String, SocketAddr>, Failure> {
    let mut dial = HashMap::new();
    for text in texts {
        let (name, address) = parse_dial(text)?;
        if !peers.iter().any(|peer| peer.as_str() == name) {
            return Err(Failure::bad(format!(
                "--dial: unknown peer '{name}', known are: {}",
                list(peers)
            )));
        }
        if dial.insert(name, address).is_some() {
            return Err(Failure::bad(format!(
                "--dial: '{text}' is a second address of that peer"
            )));
        }
    }
    Ok(dial)
}

fn list(peers: &[NodeUrl]) -> String {
    let names: Vec<&str> = peers.iter().map(NodeUrl::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "http://127.0.0.1:9001";
    const B: &str = "http://127.0.0.1:9002";

    fn args() -> NodeArgs {
        NodeArgs {
            local: A.into(),
            peers: vec![A.into(), B.into()],
            listen: None,
            token: None,
            token_file: None,
            path: "/minio/grid/v1".into(),
            ping: None,
            stream_ping: None,
            dial: Vec::new(),
            with_69: false,
        }
    }

    fn refused(args: NodeArgs) -> String {
        let failure = args.check(Some("secret".into())).unwrap_err();
        assert!(matches!(failure, Failure::BadInput(_)), "{failure:?}");
        failure.line()
    }

    #[test]
    fn the_least_that_runs() {
        let config = args().check(Some("secret".into())).unwrap();
        assert_eq!(config.listen, "127.0.0.1:9001");
        assert_eq!(config.token.text(), "secret");
        assert_eq!((config.ping, config.stream_ping), (None, None));
    }

    #[test]
    fn the_local_name_must_be_among_the_peers() {
        let line = refused(NodeArgs {
            local: "http://127.0.0.1:9003".into(),
            ..args()
        });
        assert!(
            line.contains("http://127.0.0.1:9003") && line.contains(A) && line.contains(B),
            "{line}"
        );
        let line = refused(NodeArgs {
            peers: vec![A.into(), B.into(), B.into()],
            ..args()
        });
        assert!(line.contains(B) && line.contains("twice"), "{line}");
    }

    #[test]
    fn two_names_of_one_address_are_no_two_peers() {
        let line = refused(NodeArgs {
            peers: vec![A.into(), "http://b".into(), "http://b:80".into()],
            ..args()
        });
        assert!(
            line.contains("'http://b'") && line.contains("'http://b:80'"),
            "{line}"
        );
        let twice = format!("{B}=127.0.0.1:2");
        let line = refused(NodeArgs {
            dial: vec![format!("{B}=127.0.0.1:1"), twice.clone()],
            ..args()
        });
        assert!(line.contains(&twice) && line.contains("second"), "{line}");
    }

    #[test]
    fn an_override_for_an_unknown_peer_lists_the_known_ones() {
        let line = refused(NodeArgs {
            dial: vec!["http://127.0.0.1:9009=127.0.0.1:1".into()],
            ..args()
        });
        assert!(
            line.contains("unknown peer 'http://127.0.0.1:9009'") && line.contains(B),
            "{line}"
        );
    }

    #[test]
    fn values_are_quoted() {
        assert!(
            refused(NodeArgs {
                ping: Some("soon".into()),
                ..args()
            })
            .contains("--ping: 'soon'")
        );
        assert!(
            refused(NodeArgs {
                stream_ping: Some("0".into()),
                ..args()
            })
            .contains("--stream-ping: '0'")
        );
        for path in ["grid", "", "/a b", "/a?b", "/a#b", "/é"] {
            assert!(
                refused(NodeArgs {
                    path: path.into(),
                    ..args()
                })
                .contains(&format!("--path: '{path}'"))
            );
        }
        assert!(
            refused(NodeArgs {
                listen: Some("nowhere".into()),
                ..args()
            })
            .contains("--listen: 'nowhere'")
        );
    }

    #[test]
    fn a_node_needs_a_token() {
        let line = args().check(None).unwrap_err().line();
        assert!(
            line.contains("GRID_TOKEN") && line.contains("--token-file"),
            "{line}"
        );
    }
}
