//! A place in a grid: the names, and how the others are reached. What `grid node` and every command
//! that joins for a moment have in common.

use std::{collections::HashMap, io, net::SocketAddr, time::Duration};

use clap::Args;
use grid_transport::{Builder, Manager, Serving, pattern, peers::Following};
use tokio::net::TcpListener;

use crate::{
    credentials::{CredentialArgs, Credentials, Environment},
    dialer::OverrideDialer,
    failure::Failure,
    peer_list::{PeerListArgs, PeerSet, check_names},
    tls::{NodeTls, Renewal, TlsArgs},
    values::{NodeUrl, parse_dial, parse_listen, parse_seconds},
};

/// The options of a place beside the names.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlaceArgs {
    /// Where to listen [default: host and port of --local].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// The route path of the grid [default: /minio/grid/v1].
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Dial a peer at this address instead of the one in its name.
    #[arg(long, value_name = "NAME=IP:PORT")]
    pub(crate) dial: Vec<String>,
    /// How often the files that are followed are looked at: that of --peers-file, and certificates, in
    /// seconds, 0.1 at least [default: 5]. Where nothing is followed it changes nothing.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) reread: Option<String>,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

impl PlaceArgs {
    /// A command that goes through a node has no place of its own.
    pub(crate) fn refuse_beside_via(&self) -> Result<(), Failure> {
        let own = [
            ("--listen", self.listen.is_some()),
            ("--path", self.path.is_some()),
            ("--dial", !self.dial.is_empty()),
            ("--reread", self.reread.is_some()),
        ];
        let own = own.iter().find(|(_, given)| *given);
        let given = own
            .map(|(option, _)| *option)
            .or_else(|| self.credentials.given())
            .or_else(|| self.tls.given());
        match given {
            Some(option) => Err(Failure::bad(format!(
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
    /// Where the names come from.
    pub(crate) list: PeerSet,
    /// All names that are known by now, the local one among them.
    pub(crate) peers: Vec<NodeUrl>,
    pub(crate) listen: String,
    pub(crate) credentials: Credentials,
    /// None where no name is for TLS.
    tls: Option<NodeTls>,
    pub(crate) path: String,
    pub(crate) dial: HashMap<String, SocketAddr>,
    /// How often files that are followed are looked at.
    reread: Duration,
}

impl Place {
    /// Checks every value, and reads the files that are named.
    pub(crate) fn check(
        local: &str,
        list: PeerListArgs,
        args: PlaceArgs,
        environment: Environment,
    ) -> Result<Self, Failure> {
        let local = NodeUrl::parse("--local", local)?;
        let (list, peers) = list.check(&local)?;
        let listen = match &args.listen {
            Some(text) => parse_listen(text)?,
            None => local.host_port().to_owned(),
        };
        Ok(Self {
            path: check_path(args.path.unwrap_or_else(|| DEFAULT_PATH.to_owned()))?,
            dial: check_dial(&list, &peers, &args.dial)?,
            reread: match &args.reread {
                Some(text) => check_reread(text)?,
                None => REREAD,
            },
            credentials: args.credentials.check(environment)?,
            tls: args.tls.check(&local, &peers)?,
            local,
            list,
            peers,
            listen,
        })
    }

    /// Refuses to listen in a name for TLS without a certificate.
    pub(crate) fn check_listens(&self) -> Result<(), Failure> {
        let has_certificate = self.tls.as_ref().is_some_and(NodeTls::has_certificate);
        if self.local.is_tls() && !has_certificate {
            return Err(Failure::bad(format!(
                "--local: '{}' listens over TLS, for which --tls-cert FILE and --tls-key FILE are \
                 missing",
                self.local
            )));
        }
        Ok(())
    }

    /// A node at this place, with these of its peers.
    pub(crate) fn builder<'a>(&self, peers: impl IntoIterator<Item = &'a NodeUrl>) -> Builder {
        let tls = self.tls.as_ref().map(NodeTls::tls);
        let builder = Manager::builder(self.local.as_str())
            .peers(peers.into_iter().map(NodeUrl::as_str))
            .path(self.path.as_str())
            .dialer(OverrideDialer::new(self.dial.clone(), tls));
        self.credentials.apply(builder)
    }

    /// Accepts connections on the socket, with TLS where the local name is for that.
    pub(crate) fn serve(&self, manager: &Manager, socket: TcpListener) -> io::Result<Serving> {
        match &self.tls {
            Some(tls) if self.local.is_tls() => {
                let accept = tls.tls().accept(socket).map_err(io::Error::other)?;
                manager.serve_on(accept)
            }
            _ => manager.serve(socket),
        }
    }

    /// Reads certificates again as their files change.
    pub(crate) fn renew(&self) -> Option<Renewal> {
        let tls = self.tls.as_ref()?;
        Renewal::start(tls, self.reread)
    }

    /// Has the node follow the list of its peers, where that changes.
    pub(crate) fn follow(&self, manager: &Manager) -> Result<Option<Following>, Failure> {
        self.list.follow(manager, self.tls.is_some(), self.reread)
    }

    /// The place with all names, for who needs them now and follows no list.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn with_names(&self, within: Duration) -> Result<Self, Failure> {
        let mut place = self.clone();
        if let Some(names) = self.list.ask(within).await? {
            place.peers = check_names(self.list.option(), &self.local, &names)?;
        }
        Ok(place)
    }

    /// The names that are known beside the local one.
    pub(crate) fn others(&self) -> impl Iterator<Item = &NodeUrl> {
        self.peers.iter().filter(|peer| **peer != self.local)
    }
}

/// What is less would do little else than read, and tell half of a change from the whole no more.
const REREAD_LEAST: Duration = Duration::from_millis(100);

fn check_reread(text: &str) -> Result<Duration, Failure> {
    let reread = parse_seconds("--reread", text)?;
    if reread < REREAD_LEAST {
        return Err(Failure::bad(format!(
            "--reread: '{text}' is less than 0.1 seconds"
        )));
    }
    Ok(reread)
}

/// How often files that are followed are looked at where nobody says: as the library looks at lists.
const REREAD: Duration = Duration::from_secs(5);

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

fn check_dial(
    set: &PeerSet,
    peers: &[NodeUrl],
    texts: &[String],
) -> Result<HashMap<String, SocketAddr>, Failure> {
    let mut dial = HashMap::new();
    for text in texts {
        let (name, address) = parse_dial(text)?;
        if set.changes() {
            // It may come later.
            NodeUrl::parse("--dial", &name)?;
        } else if !peers.iter().any(|peer| peer.as_str() == name) {
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
        let environment = Environment::with_token("secret");
        let failure = Place::check(local, PeerListArgs::of(peers), args, environment).unwrap_err();
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
    fn a_name_for_tls_needs_certificates_to_listen_and_roots_to_dial() {
        let secure = "https://127.0.0.1:9001";
        let line = refused(secure, &[secure, B], PlaceArgs::default());
        assert!(
            line.contains(secure) && line.contains("--tls-roots"),
            "{line}"
        );
        let line = refused(A, &[A, "https://b:1"], PlaceArgs::default());
        assert!(
            line.contains("'https://b:1'") && line.contains("--tls-roots"),
            "{line}"
        );
        let args = PlaceArgs {
            tls: TlsArgs {
                tls_platform_roots: true,
                ..TlsArgs::default()
            },
            ..PlaceArgs::default()
        };
        let line = refused(A, &[A, B], args);
        assert!(
            line.contains("--tls-platform-roots") && line.contains(A),
            "{line}"
        );
    }

    #[test]
    fn beside_a_running_node_no_option_of_a_place_counts() {
        let of = |tls, credentials| PlaceArgs {
            tls,
            credentials,
            ..PlaceArgs::default()
        };
        let tls = TlsArgs {
            tls_mutual: true,
            ..TlsArgs::default()
        };
        let credentials = CredentialArgs {
            no_auth: true,
            ..CredentialArgs::default()
        };
        for (args, option) in [
            (of(tls, CredentialArgs::default()), "--tls-mutual"),
            (of(TlsArgs::default(), credentials), "--no-auth"),
        ] {
            let line = args.refuse_beside_via().unwrap_err().line();
            assert!(line.contains(option) && line.contains("--via"), "{line}");
        }
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
