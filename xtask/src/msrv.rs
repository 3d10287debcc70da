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
        .find(|name| {
            let rest = name.strip_prefix(version);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('.') || rest.starts_with('-')
            })
        })
}

#[cfg(test)]
mod unit {
    use super::toolchain_for;

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
