//! What `SECURITY.md` claims is shown by tests that are there.

use super::tree::Tree;
use super::{Finding, Verdict};

const PAGE: &str = "SECURITY.md";
/// The head of the last column of each table of claims.
const SHOWN_BY: &str = "shown by";

pub(super) fn check(tree: &Tree) -> Verdict {
    let Some(page) = tree.get(PAGE) else {
        return Verdict::Skipped(format!("there is no {PAGE}"));
    };
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
            findings.extend(missing(tree, index + 1, last));
        }
    }
    if claims == 0 {
        findings.push(Finding::file(PAGE, "claims nothing that a test shows"));
    }
    findings.into()
}

/// What a row names that no file defines; or that it names nothing.
fn missing(tree: &Tree, line: usize, shown_by: &str) -> Vec<Finding> {
    let names: Vec<_> = shown_by.split('`').skip(1).step_by(2).collect();
    if names.is_empty() {
        return vec![Finding::at(PAGE, line, "a claim that no test shows")];
    }
    names
        .into_iter()
        .filter(|name| {
            let definition = format!("fn {name}(");
            !tree.rust().any(|(_, text)| text.contains(&definition))
        })
        .map(|name| Finding::at(PAGE, line, format!("there is no test `{name}`")))
        .collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        check(&Tree::of([
            (PAGE, page),
            ("crates/a/tests/a.rs", "async fn it_holds() {}"),
        ]))
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect()
    }

    #[test]
    fn each_claim_names_tests_that_are_there() {
        let page =
            |last: &str| format!("# S\n\n| claim | shown by |\n| --- | --- |\n| x | {last} |\n");
        assert!(found(&page("`it_holds`")).is_empty());
        assert_eq!(
            found(&page("`it_holds`, `gone`")),
            ["SECURITY.md:5: there is no test `gone`"]
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
