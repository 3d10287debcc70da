//! The settings of the code and those of `docs/operations.md` are the same.

use std::collections::BTreeMap;

use super::declared::entries;
use super::tree::Tree;
use super::{Finding, Verdict};

const CODE: &str = "crates/grid-transport/src/";
const PAGE: &str = "docs/operations.md";
const TABLE: &str = "setting";

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut fields = BTreeMap::new();
    for (path, text) in tree.matching(CODE, ".rs") {
        for entry in entries(text, "settings", ';') {
            fields.insert(entry.name, (path, entry.line));
        }
    }
    if fields.is_empty() {
        return Verdict::Skipped(format!("no `settings! {{ … }}` below {CODE} yet"));
    }
    let mut rows = rows(tree.get(PAGE).unwrap_or_default());
    let mut findings = Vec::new();
    for (name, (path, line)) in fields {
        if rows.remove(&name).is_none() {
            findings.push(Finding::at(
                path,
                line,
                format!("`{name}` has no row in {PAGE}"),
            ));
        }
    }
    let unknown = |(name, line)| Finding::at(PAGE, line, format!("there is no setting `{name}`"));
    findings.extend(rows.into_iter().map(unknown));
    findings.into()
}

/// The first cells of the page's tables of settings, with their lines.
fn rows(page: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        let Some(cell) = line
            .strip_prefix('|')
            .and_then(|line| line.split('|').next())
        else {
            inside = false;
            continue;
        };
        let cell = cell.trim();
        if cell == TABLE {
            inside = true;
        } else if let Some(name) = cell
            .strip_prefix('`')
            .and_then(|cell| cell.strip_suffix('`'))
            && inside
        {
            rows.insert(name.to_owned(), index + 1);
        }
    }
    rows
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn both_ways() {
        let code = "settings! {\n dial_timeout: Duration = X;\n ping: Duration = Y;\n}";
        let page = "| setting | default |\n| --- | --- |\n| `ping` | 10 s |\n| `pong` | |\n";
        let path = "crates/grid-transport/src/settings.rs";
        let found = check(&Tree::of([(path, code), (PAGE, page)])).findings();
        assert_eq!(
            found,
            [
                Finding::at(path, 2, format!("`dial_timeout` has no row in {PAGE}")),
                Finding::at(PAGE, 4, "there is no setting `pong`"),
            ]
        );
    }

    #[test]
    fn waits_for_the_settings() {
        assert!(matches!(check(&Tree::of([])), Verdict::Skipped(_)));
    }
}
