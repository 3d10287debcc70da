//! The ops of the code and those of `docs/protocol.md` are the same, by name and number.

use std::collections::BTreeMap;

use super::declared::entries;
use super::tree::Tree;
use super::{Finding, Verdict};

const CODE: &str = "crates/grid-proto/src/wire/op.rs";
const PAGE: &str = "docs/protocol.md";

pub(super) fn check(tree: &Tree) -> Verdict {
    let (Some(code), Some(page)) = (tree.get(CODE), tree.get(PAGE)) else {
        return vec![Finding::file(CODE, format!("this or {PAGE} is missing"))].into();
    };
    let ops = entries(code, "ops", ',');
    if ops.is_empty() {
        return vec![Finding::file(
            CODE,
            "there is no `ops! { NAME = NUMBER, … }`",
        )]
        .into();
    }
    let mut rows = rows(page);
    let mut findings = Vec::new();
    for op in ops {
        let says = |what: String| Finding::at(CODE, op.line, what);
        match rows.remove(&op.name) {
            None => findings.push(says(format!("`{}` has no row in {PAGE}", op.name))),
            Some((number, _)) if op.value.as_ref() != Some(&number) => {
                findings.push(says(format!("`{}` is {number} in {PAGE}", op.name)));
            }
            Some(_) => {}
        }
    }
    for (name, (_, line)) in rows {
        findings.push(Finding::at(
            PAGE,
            line,
            format!("`{name}` is no op of {CODE}"),
        ));
    }
    findings.into()
}

/// The rows `| number | name | …` of the page's table of ops, by name, with their lines.
fn rows(page: &str) -> BTreeMap<String, (String, usize)> {
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        if !line.starts_with('|') {
            inside = false;
            continue;
        }
        let mut cells = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'));
        let (Some(number), Some(name)) = (cells.next(), cells.next()) else {
            continue;
        };
        if number == "op" {
            inside = true;
        } else if inside && number.parse::<u8>().is_ok() {
            rows.insert(name.to_owned(), (number.to_owned(), index + 1));
        }
    }
    rows
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn both_ways() {
        let code = "ops! {\n Ping = 3,\n Pong = 4,\n Ack = 14,\n}";
        let page = "| op | name |\n| --- | --- |\n| 3 | `Ping` |\n| 17 | Merged |\n| 13 | Ack |\n\n\
            | bit | 4 |\n";
        let found = check(&Tree::of([(CODE, code), (PAGE, page)])).findings();
        assert_eq!(
            found,
            [
                Finding::at(CODE, 3, format!("`Pong` has no row in {PAGE}")),
                Finding::at(CODE, 4, format!("`Ack` is 13 in {PAGE}")),
                Finding::at(PAGE, 4, format!("`Merged` is no op of {CODE}")),
            ]
        );
    }

    #[test]
    fn a_file_without_ops_is_no_proof() {
        let found = check(&Tree::of([(CODE, "enum Op {}"), (PAGE, "")])).findings();
        assert_eq!(found.len(), 1);
    }
}
