//! A list that is followed: no other is taken than one that a node can be started with.

use std::time::Duration;

use futures_util::future::BoxFuture;
use grid_transport::peers::{PeerList, PeerSource, SourceError};

use super::args::parse_names;
use crate::failure::Failure;

/// A source whose lists are held to the rules of the options.
#[derive(Debug)]
pub(super) struct Checked<S> {
    source: S,
    /// Whether the node can dial names for TLS.
    speaks_tls: bool,
}

impl<S> Checked<S> {
    pub(super) const fn new(source: S, speaks_tls: bool) -> Self {
        Self { source, speaks_tls }
    }
}

impl<S: PeerSource> PeerSource for Checked<S> {
    fn label(&self) -> String {
        self.source.label()
    }

    fn interval(&self) -> Duration {
        self.source.interval()
    }

    fn timeout(&self) -> Duration {
        self.source.timeout()
    }

    fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
        Box::pin(async {
            let mut list = self.source.ask().await?;
            // What is there twice counts once; whether the own name is there is for the node to say.
            list.names.sort_unstable();
            list.names.dedup();
            let checked = check(&self.source.label(), self.speaks_tls, &list.names);
            checked.map_err(SourceError::other)?;
            Ok(list)
        })
    }
}

fn check(label: &str, speaks_tls: bool, names: &[String]) -> Result<(), Failure> {
    let peers = parse_names(label, names)?;
    match peers.iter().find(|peer| peer.is_tls() && !speaks_tls) {
        Some(secure) => Err(Failure::bad(format!(
            "{label}: '{secure}' is a name for TLS, and this node was started without: start it \
             again with --tls-roots FILE, --tls-platform-roots or --tls-pinned FILE"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Says(Vec<String>);

    impl PeerSource for Says {
        fn label(&self) -> String {
            "the list".to_owned()
        }

        fn interval(&self) -> Duration {
            Duration::from_secs(7)
        }

        fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
            Box::pin(async { Ok(PeerList::new(self.0.clone(), Duration::from_secs(8))) })
        }
    }

    async fn asked(speaks_tls: bool, names: &[&str]) -> Result<PeerList, String> {
        let says = Says(names.iter().map(|&name| name.to_owned()).collect());
        let mut source = Checked::new(says, speaks_tls);
        assert_eq!(source.interval(), Duration::from_secs(7));
        source.ask().await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_list_is_held_to_the_rules_of_the_options() {
        for (name, why) in [
            ("http://a:09000", "port"),
            ("http://*:1", "host"),
            ("http://-a:1", "host"),
            ("http://b:80", "same address"),
            ("https://c:1", "--tls-roots"),
        ] {
            let error = asked(false, &["http://b", name]).await.unwrap_err();
            assert!(error.starts_with("the list: "), "{error}");
            let quoted = format!("'{name}'");
            assert!(error.contains(&quoted) && error.contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_good_list_goes_on_as_it_is() {
        let names = ["http://b:2", "https://a:1", "http://b:2"];
        let list = asked(true, &names).await.unwrap();
        assert_eq!(list.names, ["http://b:2", "https://a:1"]);
        assert_eq!(list.again, Duration::from_secs(8));
    }
}
