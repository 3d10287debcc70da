//! A place in a grid: the names, and how the others are reached. What `grid node` and every command
//! that joins for a moment have in common.

use std::{collections::HashMap, ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::Args;
use grid_transport::{Builder, Manager, StaticToken, pattern};

use crate::{
    dialer::OverrideDialer,
    failure::Failure,
    token::{GivenToken, Token, TokenSource},
    values::{NodeUrl, parse_dial, parse_listen},
};

/// The options of a place beside the names.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlaceArgs {
    /// Where to listen [default: host and port of --local].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// The token that all nodes share; it shows in the process list, so prefer --token-file or the
    /// environment variable GRID_TOKEN.
    #[arg(long, value_name = "TEXT", conflicts_with = "token_file")]
    pub(crate) token: Option<GivenToken>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The route path of the grid [default: /minio/grid/v1].
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Dial a peer at this address instead of the one in its name.
    #[arg(long, value_name = "NAME=IP:PORT")]
    pub(crate) dial: Vec<String>,
}

impl PlaceArgs {
    /// A command that goes through a node has no place of its own.
    pub(crate) fn refuse_beside_via(&self) -> Result<(), Failure> {
        let given = [
            ("--listen", self.listen.is_some()),
            ("--token", self.token.is_some()),
            ("--token-file", self.token_file.is_some()),
            ("--path", self.path.is_some()),
            ("--dial", !self.dial.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::bad(format!(
                "{option} goes with --local: with --via the running node knows it"
            ))),
            None => Ok(()),
        }
    }
}

/// A checked place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) local: NodeUrl,
    /// All names, the local one among them.
    pub(crate) peers: Vec<NodeUrl>,
    pub(crate) listen: String,
    pub(crate) token: Token,
    pub(crate) path: String,
    pub(crate) dial: HashMap<String, SocketAddr>,
}

impl Place {
    /// Checks every value; `env_token` is what the environment has.
    pub(crate) fn check(
        local: &str,
        peers: &[String],
        args: PlaceArgs,
        env_token: Option<OsString>,
    ) -> Result<Self, Failure> {
        let local = NodeUrl::parse("--local", local)?;
        let peers = check_peers(&local, peers)?;
        let listen = match &args.listen {
            Some(text) => parse_listen(text)?,
            None => local.host_port().to_owned(),
        };
        Ok(Self {
            path: check_path(args.path.unwrap_or_else(|| DEFAULT_PATH.to_owned()))?,
            dial: check_dial(&peers, &args.dial)?,
            token: TokenSource {
                flag: args.token.map(GivenToken::into_text),
                file: args.token_file,
                env: env_token,
            }
            .read()?,
            local,
            peers,
            listen,
        })
    }

    /// A node at this place, with these of its peers.
    pub(crate) fn builder<'a>(&self, peers: impl IntoIterator<Item = &'a NodeUrl>) -> Builder {
        Manager::builder(self.local.as_str())
            .peers(peers.into_iter().map(NodeUrl::as_str))
            .path(self.path.as_str())
            .auth(StaticToken::new(self.token.text()))
            .dialer(OverrideDialer::new(self.dial.clone()))
    }

    /// The names that are known beside the local one.
    pub(crate) fn others(&self) -> impl Iterator<Item = &NodeUrl> {
        self.peers.iter().filter(|peer| **peer != self.local)
    }
}

/// The route path where none is given.
const DEFAULT_PATH: &str = "/minio/grid/v1";

fn check_path(path: String) -> Result<String, Failure> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    if path.starts_with('/') && path.bytes().all(plain) {
        return Ok(path);
    }
    Err(Failure::bad(format!(
        "--path: '{path}' is not a path that begins with '/' and holds no space, ? or #"
    )))
}

/// The names that patterns such as `http://node{1...16}:9000` stand for.
pub(crate) fn expand(option: &str, patterns: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::with_capacity(patterns.len());
    for text in patterns {
        let expanded = pattern::expand(text);
        names.extend(expanded.map_err(|error| Failure::bad(format!("{option}: {error}")))?);
    }
    Ok(names)
}

fn check_peers(local: &NodeUrl, texts: &[String]) -> Result<Vec<NodeUrl>, Failure> {
    let mut peers: Vec<NodeUrl> = Vec::with_capacity(texts.len());
    for text in &expand("--peers", texts)? {
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

pub(crate) fn list(peers: &[NodeUrl]) -> String {
    let names: Vec<&str> = peers.iter().map(NodeUrl::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "http://127.0.0.1:9001";
    const B: &str = "http://127.0.0.1:9002";

    #[track_caller]
    fn refused(local: &str, peers: &[&str], args: PlaceArgs) -> String {
        let peers: Vec<String> = peers.iter().map(|&peer| peer.to_owned()).collect();
        let failure = Place::check(local, &peers, args, Some("secret".into())).unwrap_err();
        assert!(matches!(failure, Failure::BadInput(_)), "{failure:?}");
        failure.line()
    }

    #[test]
    fn the_local_name_must_be_among_the_peers() {
        let c = "http://127.0.0.1:9003";
        let line = refused(c, &[A, B], PlaceArgs::default());
        assert!(
            line.contains(c) && line.contains(A) && line.contains(B),
            "{line}"
        );
        let line = refused(A, &[A, B, B], PlaceArgs::default());
        assert!(line.contains(B) && line.contains("twice"), "{line}");
    }

    #[test]
    fn two_names_of_one_address_are_no_two_peers() {
        let line = refused(A, &[A, "http://b", "http://b:80"], PlaceArgs::default());
        assert!(
            line.contains("'http://b'") && line.contains("'http://b:80'"),
            "{line}"
        );
        let twice = format!("{B}=127.0.0.1:2");
        let args = PlaceArgs {
            dial: vec![format!("{B}=127.0.0.1:1"), twice.clone()],
            ..PlaceArgs::default()
        };
        let line = refused(A, &[A, B], args);
        assert!(line.contains(&twice) && line.contains("second"), "{line}");
    }

    #[test]
    fn a_pattern_stands_for_many_peers() {
        let pattern = ["http://127.0.0.{1...3}:9001".to_owned()];
        let local = NodeUrl::parse("--local", A).unwrap();
        let peers = check_peers(&local, &pattern).unwrap();
        assert_eq!(peers.len(), 3);
        assert!(peers.contains(&local));
        let line = refused(A, &["http://127.0.0.{1..3}:9001"], PlaceArgs::default());
        assert!(
            line.contains("--peers: '{1..3}' in 'http://127.0.0.{1..3}:9001' is no range"),
            "{line}"
        );
    }

    #[test]
    fn an_override_for_an_unknown_peer_lists_the_known_ones() {
        let args = PlaceArgs {
            dial: vec!["http://127.0.0.1:9009=127.0.0.1:1".into()],
            ..PlaceArgs::default()
        };
        let line = refused(A, &[A, B], args);
        assert!(
            line.contains("unknown peer 'http://127.0.0.1:9009'") && line.contains(B),
            "{line}"
        );
    }

    #[test]
    fn values_are_quoted() {
        for path in ["grid", "", "/a b", "/a?b", "/a#b", "/é"] {
            let args = PlaceArgs {
                path: Some(path.into()),
                ..PlaceArgs::default()
            };
            let line = refused(A, &[A, B], args);
            assert!(line.contains(&format!("--path: '{path}'")), "{line}");
        }
        let args = PlaceArgs {
            listen: Some("nowhere".into()),
            ..PlaceArgs::default()
        };
        assert!(refused(A, &[A, B], args).contains("--listen: 'nowhere'"));
    }
}
