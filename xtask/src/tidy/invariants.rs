//! Every invariant of `docs/architecture.md` is held up by a check of tidy or by a named test, and
//! nothing claims to hold up one that is not there.
//!
//! In the page: `**Invariant I7:** a sentence`. Above a test: `// proves: I7`.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

const PAGE: &str = "docs/architecture.md";
const HEAD: &str = "**Invariant ";
const SIGN: &str = concat!("// pro", "ves: ");

/// How far below its mark a test's name may stand (attributes and more comment lie between).
const NEAR: usize = 8;

pub(super) fn check(tree: &Tree, by_checks: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stated = stated(tree.get(PAGE).unwrap_or_default(), &mut findings);
    let mut proven: Vec<String> = by_checks.iter().map(|id| (*id).to_owned()).collect();
    for id in by_checks.iter().filter(|id| !stated.contains_key(**id)) {
        findings.push(Finding::file(
            PAGE,
            format!("does not state {id}, which tidy checks"),
        ));
    }
    let tests = tree.matching("crates/", ".rs");
    for (path, text) in tests.chain(tree.matching("interleavings/", ".rs")) {
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(ids) = line.trim_start().strip_prefix(SIGN) else {
                continue;
            };
            let below = lines.iter().skip(index + 1).take(NEAR);
            let mut below = below.map(|line| line.trim_start());
            let is_test = below.any(|line| line.starts_with("#[") && line.contains("test"))
                && below.any(|line| line.contains("fn "));
            if !is_test {
                findings.push(Finding::at(
                    path,
                    index + 1,
                    "there is no test below this mark",
                ));
                continue;
            }
            for id in ids.split(',').map(str::trim) {
                if stated.contains_key(id) {
                    proven.push(id.to_owned());
                } else {
                    let what = format!("{PAGE} states no invariant {id}");
                    findings.push(Finding::at(path, index + 1, what));
                }
            }
        }
    }
    for (id, line) in stated.iter().filter(|(id, _)| !proven.contains(id)) {
        let what = format!("{id} is held up by no check of tidy and by no test with `{SIGN}{id}`");
        findings.push(Finding::at(PAGE, *line, what));
    }
    findings
}

/// The invariants of the page by their ids, with their lines.
fn stated(page: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, usize> {
    let mut stated = BTreeMap::new();
    for (index, line) in page.lines().enumerate() {
        for rest in line.split(HEAD).skip(1) {
            let id = rest.split(':').next().unwrap_or_default().to_owned();
            if stated.insert(id.clone(), index + 1).is_some() {
                findings.push(Finding::at(
                    PAGE,
                    index + 1,
                    format!("{id} is stated twice"),
                ));
            }
        }
    }
    stated
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn both_ways() {
        let page = "**Invariant I1:** a\n**Invariant I2:** b\n**Invariant I3:** c\n";
        let test = format!("{SIGN}I2, I9\n#[tokio::test(flavor = \"x\")]\nasync fn b() {{}}\n");
        let other = format!("{SIGN}I3\nfn not_a_test() {{}}\n");
        let tree = Tree::of([
            (PAGE, page),
            ("crates/a/tests/b.rs", &test),
            ("crates/a/tests/c.rs", &other),
        ]);
        let found: Vec<_> = check(&tree, &["I1", "I4"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                format!("{PAGE}: does not state I4, which tidy checks"),
                format!("crates/a/tests/b.rs:1: {PAGE} states no invariant I9"),
                "crates/a/tests/c.rs:1: there is no test below this mark".to_owned(),
                format!(
                    "{PAGE}:3: I3 is held up by no check of tidy and by no test with `{SIGN}I3`"
                ),
            ]
        );
    }
}
