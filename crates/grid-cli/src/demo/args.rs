//! `grid demo`: arguments and the checked configuration.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use crate::failure::Failure;
use crate::values::{Span, parse_span};

/// No new pass begins after this, unless the user says otherwise.
const MOST: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
#[command(after_help = "Example:
  grid demo --dir . --cuts 12 --seconds 15..60")]
pub(crate) struct DemoArgs {
    /// The directory tree that the nodes exchange, without `target`, `.git` and symlinks [default:
    /// the current directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How many connections are cut while calls are open on them.
    #[arg(
        long,
        value_name = "N",
        default_value = "12",
        allow_negative_numbers = true
    )]
    pub(crate) cuts: String,
    /// How long it runs: at least MIN seconds, at most MAX (60).
    #[arg(
        long,
        value_name = "MIN[..MAX]",
        default_value = "15",
        allow_negative_numbers = true
    )]
    pub(crate) seconds: String,
}

/// What the demo runs with; every value has been checked.
#[derive(Debug)]
pub(crate) struct DemoConfig {
    /// The root of the tree, absolute.
    pub(crate) dir: PathBuf,
    pub(crate) cuts: usize,
    pub(crate) time: Span,
}

impl DemoArgs {
    pub(crate) fn check(self) -> Result<DemoConfig, Failure> {
        let cuts = self
            .cuts
            .parse()
            .ok()
            .filter(|cuts| (1..=10_000).contains(cuts));
        let cuts = cuts.ok_or_else(|| {
            Failure::bad(format!(
                "--cuts: '{}' is not a number from 1 to 10000",
                self.cuts
            ))
        })?;
        let time = parse_span("--seconds", &self.seconds, MOST)?;
        let dir = readable_dir(&self.dir.unwrap_or_else(|| PathBuf::from(".")))?;
        Ok(DemoConfig { dir, cuts, time })
    }
}

fn readable_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let absolute = fs::read_dir(dir).and_then(|_| dir.canonicalize());
    absolute
        .map_err(|error| Failure::bad(format!("--dir: '{}' can't be read: {error}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> DemoArgs {
        DemoArgs {
            dir: None,
            cuts: "12".into(),
            seconds: "15".into(),
        }
    }

    #[test]
    fn the_defaults_run() {
        let config = args().check().unwrap();
        assert_eq!(config.cuts, 12);
        assert!(config.dir.is_absolute());
        assert_eq!(
            config.time,
            Span {
                least: Duration::from_secs(15),
                most: MOST
            }
        );
    }

    #[test]
    fn values_are_quoted() {
        for cuts in ["0", "-3", "many"] {
            let line = DemoArgs {
                cuts: cuts.into(),
                ..args()
            }
            .check()
            .unwrap_err()
            .line();
            assert!(line.contains(&format!("--cuts: '{cuts}'")), "{line}");
        }
        let line = DemoArgs {
            dir: Some("/nowhere/at/all".into()),
            ..args()
        }
        .check()
        .unwrap_err()
        .line();
        assert!(line.contains("'/nowhere/at/all'"), "{line}");
        let line = DemoArgs {
            dir: Some("Cargo.toml".into()),
            ..args()
        }
        .check()
        .unwrap_err()
        .line();
        assert!(line.contains("'Cargo.toml'"), "{line}");
    }
}
