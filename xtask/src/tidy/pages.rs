//! The example of the README is the one that is compiled, and links between pages lead somewhere.

use super::tree::Tree;
use super::{Finding, Verdict};

const PAGE: &str = "README.md";
/// Its examples are doctests of the crate, and travel with it.
const COMPILED: &str = "crates/grid-transport/README.md";

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    if let (Some(page), Some(compiled)) = (tree.get(PAGE), tree.get(COMPILED)) {
        match example(page) {
            None => findings.push(Finding::file(PAGE, "has no example")),
            Some(shown) if example(compiled) != Some(shown) => {
                let what = format!("its example is not the first one of {COMPILED}, a doctest");
                findings.push(Finding::file(PAGE, what));
            }
            Some(_) => {}
        }
    }
    for (path, text) in tree.matching("", ".md") {
        for (index, line) in text.lines().enumerate() {
            for link in links(line) {
                if !leads_somewhere(tree, path, link) {
                    let what = format!("the link to `{link}` leads nowhere");
                    findings.push(Finding::at(path, index + 1, what));
                }
            }
        }
    }
    findings.into()
}

/// The first block of Rust code that is compiled and run.
fn example(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("\n```rust\n")?;
    after.split_once("\n```\n").map(|(code, _)| code)
}

/// The targets of a line's links that stay inside of the tree, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

fn leads_somewhere(tree: &Tree, page: &str, link: &str) -> bool {
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    tree.matching(&path, "")
        .any(|(file, _)| file.len() == path.len() || file[path.len()..].starts_with('/'))
}

#[cfg(test)]
mod unit {
    use super::*;

    fn found(files: [(&str, &str); 3]) -> Vec<Finding> {
        check(&Tree::of(files)).findings()
    }

    #[test]
    fn the_example_is_the_compiled_one() {
        let other = ("a.md", "");
        let same = "# x\n\n```rust\nlet a = 1;\n```\n";
        assert_eq!(found([(PAGE, same), (COMPILED, same), other]), []);
        let changed = same.replace('1', "2");
        let findings = found([(PAGE, same), (COMPILED, &changed), other]);
        assert!(findings[0].what.contains("is not the first one"));
        let not_run = same.replace("```rust", "```rust,no_run");
        assert_eq!(found([(PAGE, same), (COMPILED, &not_run), other]).len(), 1);
        assert_eq!(found([(PAGE, ""), (COMPILED, same), other]).len(), 1);
    }

    #[test]
    fn links_lead_to_files_and_folders() {
        let page = "[a](../a.md#part) [b](../docs/) [c](#here) [d](https://x.y/z)\n[e](gone.md)";
        let findings = found([("docs/p.md", page), ("a.md", ""), ("docs/gone.md.txt", "")]);
        let what = "the link to `gone.md` leads nowhere";
        assert_eq!(findings, [Finding::at("docs/p.md", 2, what)]);
    }
}
