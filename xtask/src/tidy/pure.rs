//! The protocol core has no clock, no randomness, no sockets, no threads and no locks.

use super::source::{Gate, Gated, find, tokens};
use super::tree::Tree;
use super::{Finding, Verdict};

const CORE: &str = "crates/grid-proto/src/";
/// What drives the core in fuzzing needs some instant to count from.
const DRIVERS: &str = "crates/grid-proto/src/fuzzing/";

/// Runs of tokens that the core must not contain.
const FORBIDDEN: [&[&str]; 11] = [
    &["Instant", ":", ":", "now"],
    &["SystemTime", ":", ":", "now"],
    &["std", ":", ":", "net"],
    &["std", ":", ":", "thread"],
    &["std", ":", ":", "fs"],
    &["std", ":", ":", "env"],
    &["thread_local"],
    &["rand", ":", ":"],
    &["Mutex"],
    &["RwLock"],
    &["async", "fn"],
];

pub(super) fn check(tree: &Tree) -> Verdict {
    let gated = Gated::of(tree, Gate::Test);
    let mut findings = Vec::new();
    for (path, text) in tree
        .matching(CORE, ".rs")
        .filter(|(path, _)| !gated.holds(path) && !path.starts_with(DRIVERS))
    {
        let lines = gated.lines(text);
        let tokens = tokens(text);
        for run in FORBIDDEN {
            for hit in find(&tokens, run) {
                let line = tokens[hit].line;
                if !lines.contain(line) {
                    let what = format!("`{}` in the core", run.concat());
                    findings.push(Finding::at(path, line, what));
                }
            }
        }
    }
    findings.into()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn time_is_an_argument() {
        let text = "fn a(now: Instant) {}\nfn b() { let now = std::time::Instant::now(); }";
        let found = check(&Tree::of([("crates/grid-proto/src/a.rs", text)])).findings();
        let expected = "`Instant::now` in the core";
        assert_eq!(
            found,
            [Finding::at("crates/grid-proto/src/a.rs", 2, expected)]
        );
    }

    #[test]
    fn tests_and_other_crates_may() {
        let text = "#[cfg(test)] mod t { fn b() { Instant::now(); } }";
        let tree = Tree::of([
            ("crates/grid-proto/src/a.rs", text),
            (
                "crates/grid-transport/src/a.rs",
                "fn b() { Instant::now(); }",
            ),
        ]);
        assert!(check(&tree).findings().is_empty());
    }
}
