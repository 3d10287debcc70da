//! Nothing half-done, and no path of one machine.

use super::tree::Tree;
use super::{Finding, Verdict};

/// Written in two parts, or this file would find itself.
const WORDS: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("db", "g!"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

const PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    let code = tree.rust().chain(tree.matching("", ".toml"));
    for (path, text) in code.chain(tree.matching("", ".md")) {
        let is_prose = path.ends_with(".md");
        for (index, line) in text.lines().enumerate() {
            let mut found = |sign: &str| {
                findings.push(Finding::at(
                    path,
                    index + 1,
                    format!("`{sign}` must not stay"),
                ));
            };
            WORDS
                .iter()
                .filter(|word| !is_prose && has_word(line, word))
                .for_each(|w| found(w));
            PATHS
                .iter()
                .filter(|sign| line.contains(**sign))
                .for_each(|sign| found(sign));
        }
    }
    findings.into()
}

/// Whether a word stands alone, not inside a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // A macro's `!` ends its word by itself.
        !inside(before) && (word.ends_with('!') || !inside(after))
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn words_are_found_alone_only() {
        assert!(has_word(concat!("a(); // XX", "X later"), WORDS[4]));
        assert!(!has_word(concat!("const XX", "XY: u8"), WORDS[4]));
        assert!(!has_word("mandatory!()", WORDS[0]));
    }

    #[test]
    fn paths_are_found_in_prose_too() {
        let text = format!("see {}somewhere", PATHS[0]);
        let found = check(&Tree::of([("docs/a.md", &text)])).findings();
        assert_eq!(
            found,
            [Finding::at(
                "docs/a.md",
                1,
                format!("`{}` must not stay", PATHS[0])
            )]
        );
    }
}
