//! A file that is longer than this holds more than one concept.

use super::tree::Tree;
use super::{Finding, Verdict};

const LIMIT: usize = 400;

/// `path: reason`, one a line; `#` begins a comment.
const ALLOWED: &str = "xtask/long-files.txt";

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    let mut allowed = Vec::new();
    for (index, line) in tree.get(ALLOWED).unwrap_or_default().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(':') {
            Some((path, reason)) if reason.trim().len() >= 10 => allowed.push((path, index + 1)),
            _ => findings.push(Finding::at(
                ALLOWED,
                index + 1,
                "not of the form `path: reason`",
            )),
        }
    }
    for (path, text) in tree.rust() {
        let lines = text.lines().count();
        if lines > LIMIT && !allowed.iter().any(|(name, _)| *name == path) {
            findings.push(Finding::file(
                path,
                format!("{lines} lines, more than {LIMIT}"),
            ));
        }
    }
    for (path, line) in allowed {
        let needed = tree
            .get(path)
            .is_some_and(|text| text.lines().count() > LIMIT);
        if !needed {
            findings.push(Finding::at(
                ALLOWED,
                line,
                format!("{path} needs no exception"),
            ));
        }
    }
    findings.into()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn findings(tree: &Tree) -> Vec<String> {
        check(tree)
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn long_files_need_a_reason_and_reasons_need_a_long_file() {
        let long = "\n".repeat(LIMIT + 1);
        let just = "\n".repeat(LIMIT);
        let tree = Tree::of([("crates/a/src/b.rs", &long), ("crates/a/src/c.rs", &just)]);
        assert_eq!(
            findings(&tree),
            ["crates/a/src/b.rs: 401 lines, more than 400"]
        );

        let reasons = "# comment\ncrates/a/src/b.rs: one table that no split makes clearer\n";
        let tree = Tree::of([("crates/a/src/b.rs", &long), (ALLOWED, reasons)]);
        assert!(findings(&tree).is_empty());

        let tree = Tree::of([("crates/a/src/b.rs", &just), (ALLOWED, reasons)]);
        assert_eq!(
            findings(&tree),
            [format!("{ALLOWED}:2: crates/a/src/b.rs needs no exception")]
        );

        let tree = Tree::of([
            ("crates/a/src/b.rs", &long),
            (ALLOWED, "crates/a/src/b.rs: so"),
        ]);
        assert_eq!(findings(&tree).len(), 2);
    }
}
