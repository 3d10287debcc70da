//! What the libraries offer, against the lists that are kept: so that whoever changes it sees that, and so do those who
//! review it.
//!
//! A line that has gone from a list is what breaks those who use it; one that has come is not. With a release all of it is
//! compared by [`semver`](crate::semver).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata, Package};

/// Where the lists are, one for each library.
const KEPT: &str = "docs/api";

/// The compiler that writes what the tool reads.
const TOOLCHAIN: &str = "nightly";

/// How the first line of a list tells what made it: another version may write the same otherwise.
const BY: &str = "# by ";

/// Compares with what is kept; or keeps what there is.
pub(crate) fn run(keep: bool) -> Outcome {
    let made_by = match made_by() {
        Ok(made_by) => made_by,
        Err(missing) => return Ok(Done::NotRun(missing)),
    };
    let metadata = Metadata::load()?;
    let (mut changed, mut others) = (Vec::new(), BTreeSet::new());
    let libraries = metadata.offered();
    for library in &libraries {
        let name = &library.name;
        let path = workspace::root().join(KEPT).join(format!("{name}.txt"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (kept_by, kept) = split(&text);
        if !keep && !kept_by.is_empty() && kept_by != made_by {
            others.insert(kept_by.to_owned());
            continue;
        }
        let now = list(library)?;
        let difference = Difference::of(kept, &now);
        if keep {
            write(&path, &format!("{BY}{made_by}\n{now}"))?;
        } else if !difference.is_empty() {
            print!("{difference}");
            changed.push(format!("{name} ({})", difference.sum()));
        }
    }
    if !changed.is_empty() {
        return Err(Stop::Failed(format!(
            "what is offered has changed: {}; `cargo xtask api --keep` where that is meant",
            changed.join(", ")
        )));
    }
    if let Some(other) = others.first() {
        return Ok(Done::NotRun(format!(
            "not compared: the lists are by {other}, and this is {made_by}"
        )));
    }
    Ok(Done::With(format!("of {} libraries", libraries.len())))
}

/// The tool and the compiler, or what is missing.
fn made_by() -> Result<String, String> {
    let tool = process::capture(&mut process::cargo(["public-api", "--version"]))
        .map_err(|_| "cargo-public-api is not installed".to_owned())?;
    let compiler =
        process::capture(process::program("rustc").args([&format!("+{TOOLCHAIN}"), "--version"]))
            .map_err(|_| format!("the toolchain {TOOLCHAIN} is not installed"))?;
    Ok(format!("{}, {}", tool.trim(), compiler.trim()))
}

/// What a library offers with all of its features, an item a line; without what the compiler derives for every type.
fn list(library: &Package) -> Result<String, Stop> {
    let mut command = process::cargo_of(
        TOOLCHAIN,
        [
            "public-api",
            "--package",
            &library.name,
            "--simplified",
            "--simplified",
            "--simplified",
        ],
    );
    let public = library
        .features
        .keys()
        .filter(|name| *name != "default" && !name.starts_with("__"));
    for feature in public {
        command.args(["--features", feature]);
    }
    process::capture(&mut command)
}

/// What made a list, and the list.
fn split(text: &str) -> (&str, &str) {
    match text.strip_prefix(BY).and_then(|rest| rest.split_once('\n')) {
        Some(parts) => parts,
        None => ("", text),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let written =
        fs::create_dir_all(path.parent().unwrap_or(path)).and_then(|()| fs::write(path, text));
    written.map_err(|error| Stop::Failed(format!("{}: {error}", path.display())))
}

/// Lines that have gone, and lines that have come.
struct Difference<'a> {
    gone: Vec<&'a str>,
    come: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    fn of(kept: &'a str, now: &'a str) -> Self {
        let (before, after): (BTreeSet<_>, BTreeSet<_>) =
            (kept.lines().collect(), now.lines().collect());
        Self {
            gone: before.difference(&after).copied().collect(),
            come: after.difference(&before).copied().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    /// In a few words.
    fn sum(&self) -> String {
        match (self.gone.len(), self.come.len()) {
            (0, come) => format!("{come} more"),
            (gone, come) => format!("{gone} gone, which breaks users; {come} more"),
        }
    }
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.gone
            .iter()
            .try_for_each(|line| writeln!(f, "- {line}"))?;
        self.come
            .iter()
            .try_for_each(|line| writeln!(f, "+ {line}"))
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_has_gone_breaks_users_and_what_has_come_does_not() {
        let (before, after) = ("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n");
        let changed = Difference::of(before, after);
        assert_eq!(changed.sum(), "1 gone, which breaks users; 1 more");
        assert_eq!(changed.to_string(), "- pub fn a()\n+ pub fn c()\n");
        assert_eq!(Difference::of("pub fn b()\n", after).sum(), "1 more");
        assert!(Difference::of(after, "pub fn c()\npub fn b()\n").is_empty());
    }

    #[test]
    fn a_list_says_what_made_it() {
        assert_eq!(
            split("# by x 1, rustc 2\npub fn a()\n"),
            ("x 1, rustc 2", "pub fn a()\n")
        );
        assert_eq!(split("pub fn a()\n"), ("", "pub fn a()\n"));
        assert_eq!(split(""), ("", ""));
    }
}
