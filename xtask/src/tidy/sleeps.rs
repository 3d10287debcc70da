//! Nothing sleeps to wait for something else to happen. A wait that is meant says why.

use super::marks::excused;
use super::source::{Token, find, tokens};
use super::tree::Tree;
use super::{Finding, Verdict};

pub(super) const RULE: &str = "sleep";

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    for (path, text) in tree.matching("crates/", ".rs") {
        for line in calls(&tokens(text)) {
            if !excused(text, line, RULE) {
                findings.push(Finding::at(path, line, "sleeps, and no comment says why"));
            }
        }
    }
    findings.into()
}

/// The lines that call something named `sleep` or `sleep_until`.
pub(super) fn calls(tokens: &[Token]) -> Vec<usize> {
    let mut lines = Vec::new();
    for name in ["sleep", "sleep_until"] {
        for hit in find(tokens, &[name, "("]) {
            let defined = hit.checked_sub(1).and_then(|before| tokens.get(before));
            if defined.is_none_or(|before| before.text != "fn") {
                lines.push(tokens[hit].line);
            }
        }
    }
    lines
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn finds_calls_also_in_macros_but_no_definitions() {
        let text = "fn sleep() {}\nfn a() {\n thread::sleep(D);\n select! { _ = time::sleep_until(x) => {} }\n}";
        assert_eq!(calls(&tokens(text)), [3, 4]);
        let found = check(&Tree::of([("crates/a/tests/b.rs", text)])).findings();
        assert_eq!(found.len(), 2);
    }
}
