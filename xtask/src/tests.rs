//! Every test of the workspace.

use crate::process;
use crate::report::{Done, Outcome};
use crate::workspace::Metadata;

const EVERYTHING: [&str; 2] = ["--workspace", "--all-features"];

/// Runs every test and every doctest; with arguments for the runner only what they select.
pub(crate) fn run(runner_args: &[String]) -> Outcome {
    let target = Metadata::load()?.target_directory;
    // Cargo tells only the tests of a package where that package's binary is. Built together with
    // the tests, so that both use one set of features of the dependencies.
    let mut build = process::cargo(["build", "--bins", "--tests"]);
    process::run(build.args(EVERYTHING))?;
    let grid = target
        .join("debug")
        .join(format!("grid{}", std::env::consts::EXE_SUFFIX));

    let nextest = process::works(&mut process::cargo(["nextest", "--version"]));
    let mut runner = if nextest {
        let mut command = process::cargo(["nextest", "run", "--no-fail-fast"]);
        command.args(EVERYTHING).args(runner_args);
        command
    } else {
        let mut command = process::cargo(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.args(EVERYTHING).arg("--").args(runner_args);
        command
    };
    process::run(runner.env("GRID_BIN", grid))?;

    if runner_args.is_empty() {
        let mut doctests = process::cargo(["test", "--doc"]);
        process::run(doctests.args(EVERYTHING))?;
    }
    let runner = if nextest { "nextest" } else { "cargo test" };
    Ok(Done::With(format!("by {runner}, and the doctests")))
}
