//! Who may depend on whom.

use crate::process;
use crate::report::Stop;
use crate::workspace::{Metadata, root};

use super::Finding;

/// What these checks hold up.
pub(super) const PROVES: [&str; 2] = ["I1", "I2"];

/// The layers: each crate, and what of ours it may use.
const LAYERS: [(&str, &[&str]); 9] = [
    // What it writes refers to grid-typed, which brings it.
    ("grid-macros", &[]),
    ("grid-proto", &[]),
    ("grid-transport", &["grid-proto"]),
    (
        "grid-typed",
        &["grid-macros", "grid-proto", "grid-transport"],
    ),
    ("grid-cli", &["grid-proto", "grid-transport", "grid-typed"]),
    ("mistakes", &["grid-typed"]),
    ("soak", &["grid-transport", "grid-typed"]),
    ("xtask", &[]),
    // Takes files of grid-transport by their path.
    ("interleavings", &[]),
];

/// What the core must not even depend on by way of others.
const NOT_IN_CORE: [&str; 10] = [
    "tokio",
    "tokio-util",
    "tungstenite",
    "tokio-tungstenite",
    "parking_lot",
    "async-std",
    "smol",
    "futures-util",
    "rand",
    "mio",
];

/// Asks cargo for both.
pub(super) fn check() -> Result<Vec<Finding>, Stop> {
    let mut findings = direction(&Metadata::load()?);
    let fuzz = root().join("fuzz").join("Cargo.toml");
    if fuzz.exists() {
        let found = Metadata::of(&fuzz)?
            .packages
            .iter()
            .any(|package| package.uses("xtask"));
        if found {
            findings.push(Finding::file("fuzz/Cargo.toml", "depends on xtask"));
        }
    }
    let tree = process::capture(&mut process::cargo([
        "tree",
        "--package",
        "grid-proto",
        "--edges",
        "normal",
        "--all-features",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    findings.extend(core(&tree));
    Ok(findings)
}

fn direction(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let path = package.manifest_path.display().to_string();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            let what = format!("`{}` has no place among the layers yet", package.name);
            findings.push(Finding::file(path, what));
            continue;
        };
        let ours = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some());
        for dependency in ours {
            // A crate's tests may ask it for more of its features.
            let itself = dependency.name == package.name;
            if !itself && !allowed.contains(&dependency.name.as_str()) {
                let what = format!("`{}` must not use `{}`", package.name, dependency.name);
                findings.push(Finding::file(path.clone(), what));
            }
        }
    }
    findings
}

fn core(tree: &str) -> Vec<Finding> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| NOT_IN_CORE.contains(name))
        .map(|name| Finding::file("crates/grid-proto/Cargo.toml", format!("leads to `{name}`")))
        .collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn package(name: &str, uses: &[&str]) -> String {
        let dependencies: Vec<_> = uses
            .iter()
            .map(|name| format!(r#"{{"name":"{name}","path":"/x"}}"#))
            .collect();
        format!(
            r#"{{"name":"{name}","manifest_path":"/{name}/Cargo.toml","targets":[],
                "rust_version":null,"dependencies":[{}]}}"#,
            dependencies.join(",")
        )
    }

    fn found(packages: &[String]) -> Result<Vec<String>, Stop> {
        let metadata = Metadata::parse(&format!(r#"{{"packages":[{}]}}"#, packages.join(",")))?;
        Ok(direction(&metadata)
            .iter()
            .map(ToString::to_string)
            .collect())
    }

    #[test]
    fn layers_point_one_way() -> Result<(), Stop> {
        let good = [
            package("grid-proto", &[]),
            package("grid-transport", &["grid-proto", "grid-transport"]),
            package("grid-typed", &["grid-transport"]),
        ];
        assert!(found(&good)?.is_empty());
        let bad = [
            package("grid-proto", &["grid-typed"]),
            package("grid-cli", &["xtask"]),
        ];
        assert_eq!(
            found(&bad)?,
            [
                "/grid-proto/Cargo.toml: `grid-proto` must not use `grid-typed`",
                "/grid-cli/Cargo.toml: `grid-cli` must not use `xtask`"
            ]
        );
        assert_eq!(found(&[package("grid-new", &[])])?.len(), 1);
        Ok(())
    }

    #[test]
    fn the_core_stays_small() {
        assert!(core("grid-proto v0.1.0 (/x)\nbytes v1.10.1\ntokio-like v1.0.0\n").is_empty());
        assert_eq!(core("grid-proto v0.1.0\ntokio v1.45.0\n").len(), 1);
    }

    /// The real one: `cargo metadata` needs no network for it.
    #[test]
    fn our_layers_point_one_way() -> Result<(), Stop> {
        let shown: Vec<_> = direction(&Metadata::load()?)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(shown.is_empty(), "{shown:?}");
        Ok(())
    }
}
