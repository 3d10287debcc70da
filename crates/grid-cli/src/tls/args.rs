//! The options of TLS, and what of them goes together.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use grid_transport::tls::Tls;

use super::{NodeTls, files::Files, provider};
use crate::{failure::Failure, values::NodeUrl};

/// Given to each option by itself: a heading of the whole would be that of what comes behind it too.
const HEADING: &str = "TLS, for names that begin with https://";

/// For grids whose names begin with `https://`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TlsArgs {
    /// The node's certificate, with those behind it, as PEM: shown where the node listens, and where
    /// a remote asks for one. All files of TLS are read again when they change; links that are up
    /// stay up.
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, as PEM and not encrypted.
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Certificates of authorities, as PEM, by which other nodes are known; may be given more than
    /// once.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub(crate) tls_roots: Vec<PathBuf>,
    /// Know other nodes by the authorities that the system trusts, too. They are read at the start,
    /// and again with the files of TLS when one of these changes.
    #[arg(long, help_heading = HEADING)]
    pub(crate) tls_platform_roots: bool,
    /// Certificates, as PEM, by which nodes that are dialed are known, and by nothing else: neither by
    /// roots, nor by the name or the dates in them.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub(crate) tls_pinned: Vec<PathBuf>,
    /// Whoever connects has to show a certificate by the roots, and may use no other name than one
    /// whose host is in it.
    #[arg(long, help_heading = HEADING)]
    pub(crate) tls_mutual: bool,
}

impl TlsArgs {
    /// An option that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-key", self.tls_key.is_some()),
            ("--tls-roots", !self.tls_roots.is_empty()),
            ("--tls-platform-roots", self.tls_platform_roots),
            ("--tls-pinned", !self.tls_pinned.is_empty()),
            ("--tls-mutual", self.tls_mutual),
        ];
        let first = given.into_iter().find(|(_, given)| *given);
        first.map(|(option, _)| option)
    }

    /// Reads what a node of these names needs; `None` where none of them is for TLS.
    pub(crate) fn check(
        self,
        local: &NodeUrl,
        peers: &[NodeUrl],
    ) -> Result<Option<NodeTls>, Failure> {
        let secure = std::iter::once(local)
            .chain(peers)
            .find(|name| name.is_tls());
        match (secure, self.given()) {
            (None, None) => Ok(None),
            (None, Some(option)) => Err(Failure::bad(format!(
                "{option} is for names that begin with https://, and neither --local '{local}' nor \
                 another name of the list does"
            ))),
            (Some(secure), _) => {
                self.go_together(local, secure)?;
                self.build().map(Some)
            }
        }
    }

    fn go_together(&self, local: &NodeUrl, secure: &NodeUrl) -> Result<(), Failure> {
        let roots = match (self.tls_roots.is_empty(), self.tls_platform_roots) {
            (false, _) => Some("--tls-roots"),
            (true, true) => Some("--tls-platform-roots"),
            (true, false) => None,
        };
        match (roots, self.tls_pinned.is_empty(), self.tls_mutual) {
            (None, true, _) => Err(Failure::bad(format!(
                "'{secure}' is a name for TLS, and nothing says by what other nodes are known: give \
                 --tls-roots FILE, --tls-platform-roots or --tls-pinned FILE"
            ))),
            (None, false, true) => Err(Failure::bad(
                "--tls-mutual needs --tls-roots FILE: --tls-pinned is for those that are dialed, and \
                 whoever connects is known by the roots",
            )),
            (Some(roots), false, false) => Err(Failure::bad(format!(
                "{roots} has no use beside --tls-pinned, by which alone those that are dialed are \
                 known, unless --tls-mutual asks others for certificates"
            ))),
            (_, _, true) if !local.is_tls() => Err(Failure::bad(format!(
                "--tls-mutual is for a node that listens over TLS, and --local '{local}' does not \
                 begin with https://"
            ))),
            _ => Ok(()),
        }
    }

    fn build(self) -> Result<NodeTls, Failure> {
        let files = Files {
            certificate: self.tls_cert,
            key: self.tls_key,
            roots: self.tls_roots,
            pinned: self.tls_pinned,
        };
        let prints = files.look().map_err(Failure::bad)?;
        let mut builder = Tls::builder().provider(provider());
        if let (Some(certificate), Some(key)) = (&files.certificate, &files.key) {
            builder = builder.identity_files(certificate, key);
        }
        for path in &files.roots {
            builder = builder.roots_file(path);
        }
        if self.tls_platform_roots {
            builder = builder.platform_roots();
        }
        for path in &files.pinned {
            builder = builder.pinned_file(path);
        }
        if self.tls_mutual {
            builder = builder.mutual();
        }
        let tls = builder.build();
        Ok(NodeTls {
            tls: tls.map_err(|error| Failure::bad(files.words(&error)))?,
            has_certificate: files.certificate.is_some(),
            files: Arc::new(files),
            prints,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECURE: &str = "https://127.0.0.1:1";
    const PLAIN: &str = "http://127.0.0.1:2";

    #[track_caller]
    fn refused(local: &str, args: TlsArgs, parts: &[&str]) {
        let local = NodeUrl::parse("--local", local).unwrap();
        let peers = [local.clone(), NodeUrl::parse("--peers", PLAIN).unwrap()];
        let line = args.check(&local, &peers).unwrap_err().line();
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }

    fn roots() -> TlsArgs {
        TlsArgs {
            tls_roots: vec!["/nowhere/roots".into()],
            ..TlsArgs::default()
        }
    }

    fn pinned() -> TlsArgs {
        TlsArgs {
            tls_pinned: vec!["/nowhere/pinned".into()],
            ..TlsArgs::default()
        }
    }

    #[test]
    fn what_has_no_use_is_refused() {
        refused(PLAIN, roots(), &["--tls-roots", "https://", PLAIN]);
        let both = TlsArgs {
            tls_platform_roots: true,
            ..pinned()
        };
        refused(SECURE, both, &["--tls-platform-roots", "--tls-pinned"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        refused(
            SECURE,
            TlsArgs::default(),
            &[
                SECURE,
                "--tls-roots",
                "--tls-platform-roots",
                "--tls-pinned",
            ],
        );
        let mutual = |args| TlsArgs {
            tls_mutual: true,
            ..args
        };
        refused(SECURE, mutual(pinned()), &["--tls-mutual", "--tls-roots"]);
        // One of the peers is for TLS, and this node is not.
        let local = NodeUrl::parse("--local", PLAIN).unwrap();
        let peers = [NodeUrl::parse("--peers", SECURE).unwrap()];
        let line = mutual(roots()).check(&local, &peers).unwrap_err().line();
        assert!(
            line.contains("--tls-mutual") && line.contains(PLAIN),
            "{line}"
        );
    }

    #[test]
    fn a_file_is_named_with_its_option() {
        refused(
            SECURE,
            roots(),
            &["--tls-roots: '/nowhere/roots' can't be read"],
        );
        refused(
            SECURE,
            pinned(),
            &["--tls-pinned: '/nowhere/pinned' can't be read"],
        );
        let device = TlsArgs {
            tls_roots: vec!["/dev/zero".into()],
            ..TlsArgs::default()
        };
        refused(
            SECURE,
            device,
            &["--tls-roots: '/dev/zero'", "no regular file"],
        );
    }

    #[test]
    fn plain_names_need_nothing() {
        let local = NodeUrl::parse("--local", PLAIN).unwrap();
        let none = TlsArgs::default().check(&local, std::slice::from_ref(&local));
        assert!(none.unwrap().is_none());
    }
}
