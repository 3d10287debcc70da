//! The page of the commands says what their help says.

use std::fs;

use super::Finding;
use crate::pages;
use crate::workspace::root;

/// What this check holds up.
pub(super) const PROVES: [&str; 1] = ["I9"];

/// Compares with what the program says.
pub(super) fn check(markdown: &str) -> Vec<Finding> {
    let written = fs::read_to_string(root().join(pages::CLI)).unwrap_or_default();
    compare(&written, markdown)
}

fn compare(written: &str, wanted: &str) -> Vec<Finding> {
    if written == wanted {
        return Vec::new();
    }
    let same = written
        .lines()
        .zip(wanted.lines())
        .take_while(|(one, other)| one == other)
        .count();
    vec![Finding::at(
        pages::CLI,
        same + 1,
        "differs from the help of the commands: run `cargo xtask cli-docs`",
    )]
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert!(compare("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(compare("a\nb\n", "a\nc\n")[0].line, 2);
        assert_eq!(compare("", "a\n")[0].line, 1);
        assert_eq!(compare("a\nb\n", "a\n")[0].line, 2);
    }
}
