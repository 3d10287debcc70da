//! What every crate takes from the workspace.

use super::tree::Tree;
use super::{Finding, Verdict};

const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

pub(super) fn check(tree: &Tree) -> Verdict {
    let mut findings = Vec::new();
    let root = tree.get("Cargo.toml").unwrap_or_default();
    if !has(root, "workspace.lints.rust", "unsafe_code = \"forbid\"") {
        findings.push(Finding::file(
            "Cargo.toml",
            "`unsafe_code` is not forbidden",
        ));
    }
    let members = tree
        .matching("crates/", "/Cargo.toml")
        .chain(tree.matching("interleavings/Cargo", ""))
        .chain(tree.matching("soak/Cargo", ""))
        .chain(tree.matching("xtask/Cargo", ""));
    for (path, text) in members.filter(|(path, _)| path.split('/').count() <= 3) {
        if !has(text, "lints", "workspace = true") {
            findings.push(Finding::file(
                path,
                "does not take the lints of the workspace",
            ));
        }
        for key in INHERITED {
            if !has(text, "package", &format!("{key}.workspace = true")) {
                findings.push(Finding::file(path, format!("does not inherit `{key}`")));
            }
        }
        findings.extend(own_versions(path, text));
    }
    findings.into()
}

/// Whether a table of a manifest has a line.
fn has(text: &str, table: &str, line: &str) -> bool {
    tables(text).any(|(current, _, own)| current == table && own == line)
}

/// The lines of a manifest with the table that they are in, and their numbers.
fn tables(text: &str) -> impl Iterator<Item = (&str, usize, &str)> {
    let mut current = "";
    text.lines().enumerate().map(move |(index, line)| {
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            current = name;
        }
        (current, index + 1, line)
    })
}

/// Dependencies of a library or program that state a version of their own.
fn own_versions(path: &str, text: &str) -> Vec<Finding> {
    if !path.starts_with("crates/") {
        return Vec::new();
    }
    let own = |(table, _, line): &(&str, usize, &str)| {
        let dependency = table.ends_with("dependencies") && line.contains('=');
        let comes_with_path = line.contains("path = ");
        dependency
            && !comes_with_path
            && !line.starts_with('#')
            && !line.contains("workspace = ")
            && !line.contains(".workspace")
    };
    let says = |(_, line, text): (&str, usize, &str)| {
        Finding::at(
            path,
            line,
            format!("`{text}` is not taken from the workspace"),
        )
    };
    tables(text).filter(own).map(says).collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    const ROOT: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
    const GOOD: &str = "[package]\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[dependencies]\n\
        bytes.workspace = true\nserde = { workspace = true, optional = true }\n[lints]\nworkspace = true\n";

    fn findings(root: &str, member: &str) -> Vec<String> {
        check(&Tree::of([
            ("Cargo.toml", root),
            ("crates/a/Cargo.toml", member),
        ]))
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect()
    }

    #[test]
    fn a_good_crate_inherits() {
        assert!(findings(ROOT, GOOD).is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            findings("", GOOD),
            ["Cargo.toml: `unsafe_code` is not forbidden"]
        );
        let bad = GOOD.replace("edition.workspace = true", "edition = \"2024\"");
        assert_eq!(
            findings(ROOT, &bad),
            ["crates/a/Cargo.toml: does not inherit `edition`"]
        );
        let bad = GOOD.replace("[lints]", "[features]");
        assert_eq!(
            findings(ROOT, &bad),
            ["crates/a/Cargo.toml: does not take the lints of the workspace"]
        );
        let bad = GOOD.replace("bytes.workspace = true", "bytes = \"1\"");
        assert_eq!(
            findings(ROOT, &bad),
            ["crates/a/Cargo.toml:7: `bytes = \"1\"` is not taken from the workspace"]
        );
    }
}
