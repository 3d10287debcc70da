//! What `SECURITY.md` claims is shown by tests that are there, and that run.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Finding, Verdict};
use crate::scenarios::found;

const PAGE: &str = "SECURITY.md";
/// The head of the last column of each table of claims.
const SHOWN_BY: &str = "shown by";

pub(super) fn check(tree: &Tree) -> Verdict {
    let Some(page) = tree.get(PAGE) else {
        return Verdict::Skipped(format!("there is no {PAGE}"));
    };
    let files = tree.rust().flat_map(|(_, text)| found::tests(text));
    let tests: BTreeSet<_> = files.map(|(name, _)| name).collect();
    let mut findings = Vec::new();
    let mut claims = 0;
    let mut in_table = false;
    for (index, line) in page.lines().enumerate() {
        let Some(row) = line.strip_prefix('|') else {
            in_table = false;
            continue;
        };
        let last = row.trim_end().trim_end_matches('|').rsplit('|').next();
        let last = last.unwrap_or_default().trim();
        if last == SHOWN_BY {
            in_table = true;
        } else if in_table && !last.starts_with("---") {
            claims += 1;
            findings.extend(missing(&tests, index + 1, last));
        }
    }
    if claims == 0 {
        findings.push(Finding::file(PAGE, "claims nothing that a test shows"));
    }
    findings.into()
}

/// What a row names that is no test, or one that nobody runs; or that it names nothing.
fn missing(tests: &BTreeSet<String>, line: usize, shown_by: &str) -> Vec<Finding> {
    let names: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
    if names.is_empty() {
        return vec![Finding::at(PAGE, line, "a claim that no test shows")];
    }
    names
        .into_iter()
        .filter(|name| !tests.contains(*name))
        .map(|name| Finding::at(PAGE, line, format!("there is no test `{name}`")))
        .collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    const TESTS: &str = "#[tokio::test] async fn it_holds() {}\n fn helps() {}
        #[test] #[ignore = \"why\"] fn sleeps() {}\n mod m { #[test] fn it_holds_inside() {} }";

    fn found(page: &str) -> Vec<String> {
        check(&Tree::of([(PAGE, page), ("crates/a/tests/a.rs", TESTS)]))
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_claim_names_tests_that_are_there() {
        let page =
            |last: &str| format!("# S\n\n| claim | shown by |\n| --- | --- |\n| x | {last} |\n");
        assert!(found(&page("`it_holds`, `it_holds_inside`")).is_empty());
        assert_eq!(
            found(&page("`it_holds`, `gone`")),
            ["SECURITY.md:5: there is no test `gone`"]
        );
        assert_eq!(
            found(&page("`helps`, `it_holds`, `sleeps`")),
            [
                "SECURITY.md:5: there is no test `helps`",
                "SECURITY.md:5: there is no test `sleeps`"
            ]
        );
        assert_eq!(
            found(&page("")),
            ["SECURITY.md:5: a claim that no test shows"]
        );
        assert_eq!(
            found("# S\n"),
            ["SECURITY.md: claims nothing that a test shows"]
        );
        assert_eq!(
            found("| a | b |\n| x | `gone` |\n").len(),
            1,
            "another table"
        );
    }
}
