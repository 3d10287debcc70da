//! The rules of the house that no compiler checks, each in a file of its own.
//!
//! Every check looks at a [`Tree`] in memory, so its own tests need no files. `cargo test -p xtask`
//! runs the checks on the real tree too; `cargo xtask tidy` adds those that ask cargo.

mod claims;
mod cli;
mod declared;
mod differences;
mod docs;
mod fuzz;
mod graph;
mod invariants;
mod lines;
mod manifests;
mod marks;
mod pages;
mod pure;
mod settings;
mod sleeps;
mod source;
mod sync;
mod tree;
mod unwraps;
mod wire_ops;
mod words;

use std::fmt;

use self::tree::Tree;
use crate::report::{Done, Outcome, Stop};
use crate::{pages as help_pages, workspace};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    what: String,
}

impl Finding {
    fn at(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
        }
    }

    fn file(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// How a check ended.
enum Verdict {
    Findings(Vec<Finding>),
    /// What it looks at is not there yet.
    Skipped(String),
}

#[cfg(test)]
impl Verdict {
    fn findings(self) -> Vec<Finding> {
        match self {
            Self::Findings(findings) => findings,
            Self::Skipped(reason) => panic!("skipped: {reason}"),
        }
    }
}

impl From<Vec<Finding>> for Verdict {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Findings(findings)
    }
}

struct Check {
    /// By which `docs/architecture.md` may rely on it.
    name: &'static str,
    /// The invariants of `docs/architecture.md` that it holds up.
    proves: &'static [&'static str],
    run: fn(&Tree) -> Verdict,
}

/// The checks that look at files only.
const CHECKS: [Check; 16] = [
    Check {
        name: "pure",
        proves: &["I3"],
        run: pure::check,
    },
    Check {
        name: "manifests",
        proves: &["I4"],
        run: manifests::check,
    },
    Check {
        name: "lines",
        proves: &["I5"],
        run: lines::check,
    },
    Check {
        name: "docs",
        proves: &["I6"],
        run: docs::check,
    },
    Check {
        name: "sleeps",
        proves: &["I7"],
        run: sleeps::check,
    },
    Check {
        name: "unwraps",
        proves: &["I8"],
        run: unwraps::check,
    },
    Check {
        name: "ops",
        proves: &["I9"],
        run: wire_ops::check,
    },
    Check {
        name: "settings",
        proves: &["I9"],
        run: settings::check,
    },
    Check {
        name: "pages",
        proves: &["I9"],
        run: pages::check,
    },
    Check {
        name: "sync",
        proves: &["I18"],
        run: sync::check,
    },
    Check {
        name: "claims",
        proves: &["I19"],
        run: claims::check,
    },
    Check {
        name: "words",
        proves: &["I10"],
        run: words::check,
    },
    Check {
        name: "differences",
        proves: &["I11"],
        run: differences::check,
    },
    Check {
        name: "fuzz",
        proves: &["I12"],
        run: fuzz::check,
    },
    Check {
        name: "marks",
        proves: &[],
        run: marks::check,
    },
    Check {
        name: "invariants",
        proves: &[],
        run: |tree| invariants::check(tree, &proven()).into(),
    },
];

/// Which invariants a check holds up, those of the checks that ask cargo included.
fn proven() -> Vec<&'static str> {
    CHECKS
        .iter()
        .flat_map(|check| check.proves)
        .chain(&graph::PROVES)
        .chain(&cli::PROVES)
        .copied()
        .collect()
}

/// Runs the checks on files, says which were skipped, and returns what is wrong.
fn check_files(tree: &Tree) -> (Vec<Finding>, Vec<String>) {
    let (mut findings, mut skipped) = (Vec::new(), Vec::new());
    for check in &CHECKS {
        match (check.run)(tree) {
            Verdict::Findings(new) => findings.extend(new),
            Verdict::Skipped(reason) => skipped.push(format!("{}: {reason}", check.name)),
        }
    }
    (findings, skipped)
}

/// All checks on the real tree.
pub(crate) fn run() -> Outcome {
    told(files()?, Some(cli::check(&help_pages::markdown()?)))
}

/// Those that need no program to be built.
pub(crate) fn run_on_files() -> Outcome {
    told(files()?, None)
}

/// The rest, with the program that the tests are built with.
pub(crate) fn run_on_help() -> Outcome {
    let findings = cli::check(&help_pages::markdown_of_tests()?);
    told((Vec::new(), Vec::new()), Some(findings))
}

type Found = (Vec<Finding>, Vec<String>);

fn files() -> Result<Found, Stop> {
    let tree = Tree::load(&workspace::root())
        .map_err(|error| Stop::Failed(format!("can't read the tree: {error}")))?;
    let (mut findings, skipped) = check_files(&tree);
    findings.extend(graph::check()?);
    Ok((findings, skipped))
}

fn told((mut findings, skipped): Found, of_help: Option<Vec<Finding>>) -> Outcome {
    findings.extend(of_help.into_iter().flatten());
    for reason in &skipped {
        println!("skipped: {reason}");
    }
    for finding in &findings {
        println!("{finding}");
    }
    match (findings.len(), skipped.len()) {
        (0, 0) => Ok(Done::Ok),
        (0, _) => Ok(Done::With(format!("skipped: {}", skipped.join("; ")))),
        (1, _) => Err(Stop::failed("tidy found 1 thing")),
        (count, _) => Err(Stop::Failed(format!("tidy found {count} things"))),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    /// The checks on files, so that `cargo test` alone says what `cargo xtask tidy` would say.
    #[test]
    fn the_tree_is_tidy() -> Result<(), Stop> {
        let tree = Tree::load(&workspace::root())
            .map_err(|error| Stop::Failed(format!("can't read the tree: {error}")))?;
        let (findings, _skipped) = check_files(&tree);
        let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
        Ok(())
    }

    #[test]
    fn a_finding_says_where() {
        assert_eq!(Finding::at("a.rs", 3, "bad").to_string(), "a.rs:3: bad");
        assert_eq!(Finding::file("a.rs", "bad").to_string(), "a.rs: bad");
    }
}
