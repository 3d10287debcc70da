//! No `unwrap` and no `expect` in what runs in production.

use super::marks::excused;
use super::source::{Gate, Gated, Token, find, tokens};
use super::tree::Tree;
use super::{Finding, Verdict};

pub(super) const RULE: &str = "expect";

pub(super) fn check(tree: &Tree) -> Verdict {
    let gated = Gated::of(tree, Gate::Support);
    let mut findings = Vec::new();
    for (path, text) in tree.sources().filter(|(path, _)| !gated.holds(path)) {
        let lines = gated.lines(text);
        for (line, name) in calls(&tokens(text)) {
            if !lines.contain(line) && !excused(text, line, RULE) {
                findings.push(Finding::at(
                    path,
                    line,
                    format!("`{name}` outside of tests"),
                ));
            }
        }
    }
    findings.into()
}

/// The lines that unwrap, and by which method.
pub(super) fn calls(tokens: &[Token]) -> Vec<(usize, &'static str)> {
    let mut lines = Vec::new();
    for name in ["unwrap", "expect"] {
        let hits = find(tokens, &[".", name, "("]).into_iter();
        lines.extend(hits.map(|hit| (tokens[hit + 1].line, name)));
    }
    lines
}

#[cfg(test)]
mod unit {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        check(&Tree::of([("crates/a/src/b.rs", text)]))
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn only_outside_of_tests_and_of_what_helps_them() {
        assert_eq!(
            findings("fn a() {\n b.unwrap();\n c\n  .expect(\"d\");\n}"),
            [
                "crates/a/src/b.rs:2: `unwrap` outside of tests",
                "crates/a/src/b.rs:4: `expect` outside of tests"
            ]
        );
        assert!(findings("#[cfg(test)] mod t { fn a() { b.unwrap(); } }").is_empty());
        assert!(findings("#[cfg(feature = \"__fuzzing\")] fn a() { b.unwrap() }").is_empty());
        assert!(findings("fn a() { b.unwrap_or_default(); }").is_empty());
        assert!(findings("/// ```\n/// a.unwrap();\n/// ```\nfn a() {}").is_empty());
    }
}
