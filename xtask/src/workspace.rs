//! What cargo knows about the workspace.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process;
use crate::report::Stop;

/// The folders, from the root, of all that has a lock file of its own.
pub(crate) const WORKSPACES: [&str; 3] = ["", "fuzz", "benches/peers"];

/// The root of the workspace that `cargo xtask` was called in.
pub(crate) fn root() -> PathBuf {
    let manifest_dir =
        env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&manifest_dir)
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    #[serde(default)]
    pub(crate) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) rust_version: Option<String>,
    /// Where it may be published; anywhere where nothing is said, and nowhere with an empty list.
    #[serde(default)]
    pub(crate) publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    /// `dev` for what only tests use.
    #[serde(default)]
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

impl Target {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|own| own == kind)
    }
}

impl Package {
    /// The folder that holds its manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Whether it depends on another package, by name. What only its tests use may depend on it in turn.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let is_it = |dependency: &Dependency| {
            dependency.name == name && dependency.kind.as_deref() != Some("dev")
        };
        self.name != name && self.dependencies.iter().any(is_it)
    }

    /// Whether it is one of the libraries that people depend on.
    pub(crate) fn is_library(&self) -> bool {
        let published = self.publish.as_ref().is_none_or(|to| !to.is_empty());
        let kinds = ["lib", "proc-macro"];
        let is_one = |target: &Target| kinds.iter().any(|kind| target.is(kind));
        published && self.targets.iter().any(is_one)
    }
}

impl Metadata {
    /// Of the workspace.
    pub(crate) fn load() -> Result<Self, Stop> {
        Self::of(&root().join("Cargo.toml"))
    }

    /// Of a workspace by its manifest; looks at no dependency, so it needs no network.
    pub(crate) fn of(manifest: &Path) -> Result<Self, Stop> {
        let mut command = process::cargo([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
        ]);
        let text = process::capture(command.arg(manifest))?;
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Stop> {
        serde_json::from_str(text)
            .map_err(|error| Stop::Failed(format!("can't read `cargo metadata`: {error}")))
    }

    /// The libraries, each before those that depend on it.
    pub(crate) fn libraries(&self) -> Vec<&Package> {
        let all = || self.packages.iter().filter(|package| package.is_library());
        let mut libraries: Vec<&Package> = Vec::new();
        let placed =
            |libraries: &[&Package], name: &str| libraries.iter().any(|one| one.name == name);
        // A round for each, at the most.
        for _ in all() {
            let ready = all().find(|package| {
                let waits = |other: &&Package| {
                    package.uses(&other.name) && !placed(&libraries, &other.name)
                };
                !placed(&libraries, &package.name)
                    && !all()
                        .filter(|other| other.name != package.name)
                        .any(|other| waits(&other))
            });
            libraries.extend(ready);
        }
        libraries
    }

    /// Those of the libraries that others build upon; nobody does upon that of a program.
    pub(crate) fn offered(&self) -> Vec<&Package> {
        let mut libraries = self.libraries();
        libraries.retain(|library| !library.targets.iter().any(|target| target.is("bin")));
        libraries
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn each_library_comes_once_and_after_those_it_needs() {
        let named = |name: &str, needs: &[(&str, &str)]| {
            let needs: Vec<_> = needs
                .iter()
                .map(|(name, kind)| format!(r#"{{"name":"{name}","path":null,"kind":{kind}}}"#))
                .collect();
            format!(
                r#"{{"name":"{name}","manifest_path":"{name}/Cargo.toml","dependencies":[{}],"rust_version":null,
                "targets":[{{"name":"{name}","kind":["lib"],"src_path":"{name}/src/lib.rs"}}]}}"#,
                needs.join(",")
            )
        };
        // The tests of the macros need what needs the macros.
        let packages = [
            named("typed", &[("macros", "null"), ("proto", "null")]),
            named("macros", &[("typed", r#""dev""#)]),
            named("proto", &[]),
        ];
        let text = format!(r#"{{"packages":[{}]}}"#, packages.join(","));
        let metadata = Metadata::parse(&text)
            .map_err(|stop| stop.to_string())
            .unwrap();
        let names: Vec<_> = metadata
            .libraries()
            .iter()
            .map(|one| one.name.clone())
            .collect();
        assert_eq!(names, ["macros", "proto", "typed"]);
    }
}
