//! The oldest compiler that we promise to work with.

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::Metadata;

pub(crate) fn run() -> Outcome {
    let metadata = Metadata::load()?;
    let promised = metadata
        .packages
        .iter()
        .find_map(|package| package.rust_version.clone());
    let Some(promised) = promised else {
        return Err(Stop::failed("no package states a rust-version"));
    };
    // The very compiler that clippy has checked everything with need not do it again.
    let in_use = process::capture(process::program("rustc").arg("--version"))?;
    if let Some(version) = release(&in_use).filter(|version| is_of(version, &promised)) {
        return Ok(Done::With(format!("{version} is in use, by `clippy`")));
    }
    if !process::works(process::program("rustup").arg("--version")) {
        return Ok(Done::NotRun("rustup is not installed".to_owned()));
    }
    let installed = process::capture(process::program("rustup").args(["toolchain", "list"]))?;
    let Some(toolchain) = toolchain_for(&promised, &installed) else {
        return Ok(Done::NotRun(format!(
            "Rust {promised} is not installed (`rustup toolchain install {promised}`)"
        )));
    };
    process::run(&mut process::cargo_of(
        toolchain,
        ["check", "--workspace", "--all-features", "--all-targets"],
    ))?;
    Ok(Done::With(format!("with {toolchain}")))
}

/// The installed toolchain of a version like `1.95`, by its number and not by way of `stable`.
fn toolchain_for<'a>(version: &str, installed: &'a str) -> Option<&'a str> {
    installed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| is_of(name, version))
}

/// Whether a full version or the name of a toolchain is of a version like `1.95`.
fn is_of(name: &str, version: &str) -> bool {
    let rest = name.strip_prefix(version);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('-'))
}

/// The version in what `rustc --version` says.
fn release(said: &str) -> Option<&str> {
    said.strip_prefix("rustc ")?.split_whitespace().next()
}

#[cfg(test)]
mod unit {
    use super::{is_of, release, toolchain_for};

    #[test]
    fn a_newer_compiler_in_use_is_not_the_promised_one() {
        let in_use = |said| release(said).is_some_and(|version| is_of(version, "1.95"));
        assert!(in_use("rustc 1.95.0 (59807616e 2026-03-21)"));
        assert!(!in_use("rustc 1.96.0 (0 2026-05-01)"));
        assert!(!in_use("rustc 1.99.0-nightly (0 2026-05-01)"));
        assert!(!in_use("clippy 1.95.0"));
    }

    #[test]
    fn finds_the_number_and_nothing_that_only_begins_like_it() {
        let installed = "stable-x86_64 (active, default)\n1.9.0-x86_64\n1.95.0-x86_64-linux\n";
        assert_eq!(
            toolchain_for("1.95", installed),
            Some("1.95.0-x86_64-linux")
        );
        assert_eq!(
            toolchain_for("1.95.0", installed),
            Some("1.95.0-x86_64-linux")
        );
        assert_eq!(toolchain_for("1.9", installed), Some("1.9.0-x86_64"));
        assert_eq!(toolchain_for("1.96", installed), None);
    }
}
