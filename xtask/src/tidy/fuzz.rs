//! Every fuzz target has committed seeds, and a normal test replays them.

use super::tree::Tree;
use super::{Finding, Verdict};

const MANIFEST: &str = "fuzz/Cargo.toml";

pub(super) fn check(tree: &Tree) -> Verdict {
    let Some(manifest) = tree.get(MANIFEST) else {
        return Verdict::Skipped(format!("{MANIFEST} is not there yet"));
    };
    let mut findings = Vec::new();
    for target in targets(manifest) {
        let folder = format!("/fuzz-seeds/{target}/");
        let mut homes = tree
            .matching("crates/", "")
            .filter(|(path, _)| path.contains(&folder));
        let Some((home, _)) = homes.next() else {
            findings.push(Finding::file(MANIFEST, format!("`{target}` has no seeds")));
            continue;
        };
        // The test finds them by the folder of its crate, so both must be in one crate.
        let home: String = home.split_inclusive('/').take(2).collect();
        let replayed = tree
            .matching(&home, ".rs")
            .any(|(_, text)| text.contains("fuzz-seeds") && text.contains("#[test]"));
        if !replayed {
            findings.push(Finding::file(
                home,
                format!("no test replays the seeds of `{target}`"),
            ));
        }
    }
    findings.into()
}

/// The names in the `[[bin]]` tables.
fn targets(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[[bin]]";
        } else if let Some(name) = line.strip_prefix("name = ").filter(|_| inside) {
            names.push(name.trim_matches('"'));
        }
    }
    names
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn seeds_and_their_replay() {
        let manifest =
            "[package]\nname = \"f\"\n[[bin]]\nname = \"frame\"\n[[bin]]\nname = \"ops\"\n";
        let tree = Tree::of([(MANIFEST, manifest), ("crates/a/fuzz-seeds/frame/1", "")]);
        let found = check(&tree).findings();
        assert_eq!(
            found,
            [
                Finding::file("crates/a/", "no test replays the seeds of `frame`"),
                Finding::file(MANIFEST, "`ops` has no seeds"),
            ]
        );
        let tree = Tree::of([
            (MANIFEST, "[[bin]]\nname = \"frame\"\n"),
            ("crates/a/fuzz-seeds/frame/1", ""),
            (
                "crates/a/tests/seeds.rs",
                "#[test]\nfn t() { read(\"fuzz-seeds\") }",
            ),
        ]);
        assert!(check(&tree).findings().is_empty());
    }
}
