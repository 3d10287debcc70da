//! The recorded conversations that ours differs from on purpose: the replay's list and the list of
//! `docs/compatibility.md` are the same.

use std::collections::{BTreeMap, BTreeSet};

use super::source::tokens;
use super::tree::Tree;
use super::{Finding, Verdict};

const CODE: &str = "crates/grid-proto/tests/replay/differences.rs";
const PAGE: &str = "docs/compatibility.md";
const FILES: &str = "crates/grid-proto/tests/vectors/transcripts/";
/// Above the list in the page; the list ends at the next heading.
const HEADING: &str = "## Conversations whose replay differs";
const MOST: usize = 12;

pub(super) fn check(tree: &Tree) -> Verdict {
    let Some(code) = tree.get(CODE) else {
        return Verdict::Skipped(format!("{CODE} is not there yet"));
    };
    let names: BTreeSet<_> = tree
        .matching(FILES, ".json")
        .filter_map(|(path, _)| path.strip_prefix(FILES)?.strip_suffix(".json"))
        .collect();
    let in_code: BTreeMap<String, usize> = tokens(code)
        .into_iter()
        .filter_map(|token| {
            Some((
                stem(token.text.strip_prefix('"')?, '"', &names)?,
                token.line,
            ))
        })
        .collect();
    let in_page = listed(tree.get(PAGE).unwrap_or_default(), &names);

    let mut findings = Vec::new();
    for (name, line) in &in_code {
        if !in_page.contains_key(name) {
            findings.push(Finding::at(
                CODE,
                *line,
                format!("{name} is not listed in {PAGE}"),
            ));
        }
    }
    for (name, line) in &in_page {
        if !in_code.contains_key(name) {
            findings.push(Finding::at(
                PAGE,
                *line,
                format!("{name} is not listed in {CODE}"),
            ));
        }
    }
    if in_code.len() > MOST {
        let what = format!("{} conversations differ, more than {MOST}", in_code.len());
        findings.push(Finding::file(CODE, what));
    }
    findings.into()
}

/// The name of a conversation from a text up to a closing sign, with or without `.json`.
fn stem(text: &str, close: char, names: &BTreeSet<&str>) -> Option<String> {
    let (text, _) = text.split_once(close)?;
    let name = text.strip_suffix(".json").unwrap_or(text);
    names.contains(name).then(|| name.to_owned())
}

fn listed(page: &str, names: &BTreeSet<&str>) -> BTreeMap<String, usize> {
    let mut listed = BTreeMap::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.trim() == HEADING;
        } else if inside {
            for part in line.split_inclusive('`') {
                if let Some(name) = stem(part, '`', names) {
                    listed.insert(name, index + 1);
                }
            }
        }
    }
    listed
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn both_ways() {
        let page =
            format!("`c`\n{HEADING}\n| `a` | 27 |\n| `b.json` and `no` | 32 |\n## More\n`c`");
        let tree = Tree::of([
            (
                CODE,
                "const D: [&str; 3] = [\"a.json\",\n\"c\", \"no file\"];",
            ),
            (PAGE, &page),
            ("crates/grid-proto/tests/vectors/transcripts/a.json", ""),
            ("crates/grid-proto/tests/vectors/transcripts/b.json", ""),
            ("crates/grid-proto/tests/vectors/transcripts/c.json", ""),
        ]);
        let found = check(&tree).findings();
        assert_eq!(
            found,
            [
                Finding::at(CODE, 2, format!("c is not listed in {PAGE}")),
                Finding::at(PAGE, 4, format!("b is not listed in {CODE}")),
            ]
        );
    }

    #[test]
    fn waits_for_the_replay() {
        assert!(matches!(check(&Tree::of([])), Verdict::Skipped(_)));
    }
}
