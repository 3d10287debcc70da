//! What has changed of the libraries since a release, by the rules of semantic versions: by cargo-semver-checks.
//!
//! [`api`](crate::api) shows each change as it is made; this says whether all of them together fit the version.

use std::path::Path;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata, Package};

/// Compares with a revision, or with the newest release.
pub(crate) fn run(baseline: Option<&str>) -> Outcome {
    let baseline = match baseline {
        Some(revision) => named(revision)?,
        None => match newest(&tags()?) {
            Some(tag) => tag.to_owned(),
            None => {
                return Ok(Done::NotRun(
                    "nothing has been released: no tag such as v1.2.3 is an ancestor; `--baseline REV` compares with any commit"
                        .to_owned(),
                ));
            }
        },
    };
    if !process::works(&mut process::cargo(["semver-checks", "--version"])) {
        return Ok(Done::NotRun(
            "cargo-semver-checks is not installed".to_owned(),
        ));
    }
    let metadata = Metadata::load()?;
    let (mut compared, mut skipped, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for library in metadata.offered() {
        let name = library.name.as_str();
        if let Some(why) = not_comparable(library, |file| is_in(&baseline, file)) {
            skipped.push(format!("{name} not compared: {why}"));
            continue;
        }
        compared.push(name);
        // Its own choice of features leaves out those that are not public, as they begin with an underscore.
        let mut command = process::cargo(["semver-checks", "check-release", "--package", name]);
        if process::run(command.args(["--baseline-rev", &baseline])).is_err() {
            broken.push(name);
        }
    }
    verdict(&baseline, &compared, &skipped, &broken)
}

/// A revision that the caller named; it must be a commit, so that a typing error is told before anything is built.
fn named(revision: &str) -> Result<String, Stop> {
    // What begins with a dash would be an option.
    let commit = format!("{revision}^{{commit}}");
    let args = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ];
    match process::capture(process::program("git").args(args)) {
        Ok(found) => Ok(found.trim().to_owned()),
        Err(_) => Err(Stop::Missing(format!(
            "--baseline {revision:?} is no commit of this repository"
        ))),
    }
}

/// The tags of what HEAD is built upon, a line each.
fn tags() -> Result<String, Stop> {
    process::capture(process::program("git").args(["tag", "--merged", "HEAD", "--list", "v*"]))
}

/// The tag of the greatest version; one that is no version is no release.
fn newest(tags: &str) -> Option<&str> {
    let versions = tags.lines().filter_map(|tag| Some((version(tag)?, tag)));
    versions.max().map(|(_, tag)| tag)
}

/// Of a tag such as `v1.2.3` or `v1.2.3-rc.1`: its numbers, whether it is final, and what it is before that.
fn version(tag: &str) -> Option<([u64; 3], bool, &str)> {
    let version = tag.strip_prefix('v')?;
    let (numbers, before) = version.split_once('-').unwrap_or((version, ""));
    let numbers: Vec<u64> = numbers
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    Some((numbers.try_into().ok()?, before.is_empty(), before))
}

/// Why there is nothing to compare, if there isn't; `existed` says whether the baseline has a file.
fn not_comparable(library: &Package, existed: impl Fn(&Path) -> bool) -> Option<&'static str> {
    if library.targets.iter().any(|target| target.is("proc-macro")) {
        return Some("it is a procedural macro, which the tool can't read");
    }
    if !existed(&library.manifest_path) {
        return Some("it is new");
    }
    None
}

fn is_in(revision: &str, file: &Path) -> bool {
    let root = workspace::root();
    // Git wants `/` between folders, wherever it runs.
    let path: Vec<_> = file
        .strip_prefix(root.canonicalize().unwrap_or(root))
        .unwrap_or(file)
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    let object = format!("{revision}:{}", path.join("/"));
    process::works(process::program("git").args(["cat-file", "-e", &object]))
}

fn verdict(baseline: &str, compared: &[&str], skipped: &[String], broken: &[&str]) -> Outcome {
    if !broken.is_empty() {
        return Err(Stop::Failed(format!(
            "more has changed since {baseline} than the version says: {}",
            broken.join(", ")
        )));
    }
    if compared.is_empty() {
        return Ok(Done::NotRun(skipped.join("; ")));
    }
    let mut note = format!("{} since {baseline}", compared.join(", "));
    for skipped in skipped {
        note.push_str("; ");
        note.push_str(skipped);
    }
    Ok(Done::With(note))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_newest_release_is_the_greatest_version_and_not_the_last_name() {
        assert_eq!(newest("v0.2.0\nv0.10.0\nv0.9.9\n"), Some("v0.10.0"));
        assert_eq!(newest("v1.0.0-rc.1\nv1.0.0\nv0.9.0\n"), Some("v1.0.0"));
        assert_eq!(newest("v1.0.0\nv1.0.1-rc.1\n"), Some("v1.0.1-rc.1"));
    }

    #[test]
    fn what_is_no_version_is_no_release() {
        assert_eq!(newest(""), None);
        assert_eq!(
            newest("vendored\nv1\nv1.2\nv1.2.3.4\nv1.x.3\n1.2.3\n"),
            None
        );
        assert_eq!(newest("vendored\nv0.1.0\n"), Some("v0.1.0"));
    }

    fn library(kind: &str) -> Package {
        let text = format!(
            r#"{{"packages":[{{"name":"one","manifest_path":"one/Cargo.toml","dependencies":[],"rust_version":null,
            "targets":[{{"name":"one","kind":["{kind}"],"src_path":"one/src/lib.rs"}}]}}]}}"#
        );
        let metadata = Metadata::parse(&text).map_err(|stop| stop.to_string());
        metadata.unwrap().packages.remove(0)
    }

    #[test]
    fn macros_and_new_libraries_are_not_compared_and_it_says_why() {
        let macros = not_comparable(&library("proc-macro"), |_| true);
        assert_eq!(
            macros,
            Some("it is a procedural macro, which the tool can't read")
        );
        assert_eq!(not_comparable(&library("lib"), |_| true), None);
        let existed = |file: &Path| file != Path::new("one/Cargo.toml");
        assert_eq!(not_comparable(&library("lib"), existed), Some("it is new"));
    }

    #[test]
    fn what_breaks_users_is_named_and_so_is_what_was_not_compared() {
        let skipped = ["macros not compared: it is new".to_owned()];
        let Err(Stop::Failed(words)) = verdict("v1.0.0", &["a", "b"], &skipped, &["b"]) else {
            panic!("no failure")
        };
        assert_eq!(
            words,
            "more has changed since v1.0.0 than the version says: b"
        );
        let Ok(Done::With(note)) = verdict("v1.0.0", &["a", "b"], &skipped, &[]) else {
            panic!("no note")
        };
        assert_eq!(note, "a, b since v1.0.0; macros not compared: it is new");
        assert!(matches!(
            verdict("v1.0.0", &[], &skipped, &[]),
            Ok(Done::NotRun(why)) if why == skipped[0]
        ));
    }

    #[test]
    fn a_baseline_that_is_no_commit_is_named() {
        for wrong in ["no-such-revision", "--help"] {
            let Err(Stop::Missing(words)) = named(wrong) else {
                panic!("{wrong} is taken")
            };
            assert!(words.contains(&format!("{wrong:?}")), "{words}");
        }
    }
}
