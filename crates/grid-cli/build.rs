//! Finds out from which commit the program is built.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let number = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match commit() {
        Some(commit) => format!("{number} ({commit})"),
        None => number,
    };
    println!("cargo::rustc-env=GRID_VERSION={version}");
}

/// The commit of the repository that holds this crate, or the one that its package was made from.
fn commit() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // A package may lie inside a repository of somebody else.
    if let Ok(info) = fs::read_to_string(Path::new(&root).join(".cargo_vcs_info.json")) {
        let (_, rest) = info.split_once("\"sha1\": \"")?;
        return rest.get(..12).map(str::to_owned);
    }
    // Every commit, checkout and reset adds a line here.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    let log = Path::new(&root).join(log);
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
