//! Every test of the workspace.

use std::path::PathBuf;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::Metadata;

/// How nextest is told how many tests may run at one time.
const THREADS: &str = "NEXTEST_TEST_THREADS";

const EVERYTHING: [&str; 2] = ["--workspace", "--all-features"];

/// Builds all programs and tests. Together, so that both use one set of features of the
/// dependencies.
pub(crate) fn build() -> Result<(), Stop> {
    let mut build = process::cargo(["build", "--bins", "--tests"]);
    process::run(build.args(EVERYTHING))
}

/// Whether nextest is installed.
pub(crate) fn has_nextest() -> bool {
    process::works(&mut process::cargo(["nextest", "--version"]))
}

/// Where the program `grid` is once it is built. Cargo tells that only to tests of its package.
pub(crate) fn grid() -> Result<PathBuf, Stop> {
    let name = format!("grid{}", std::env::consts::EXE_SUFFIX);
    Ok(Metadata::load()?.target_directory.join("debug").join(name))
}

/// Runs every test and every doctest; with arguments for the runner only what they select.
pub(crate) fn run(runner_args: &[String]) -> Outcome {
    build()?;
    let nextest = has_nextest();
    let mut runner = if nextest {
        let mut command = process::cargo(["nextest", "run", "--no-fail-fast"]);
        command.args(EVERYTHING).args(runner_args);
        // Most of them wait for something else than a processor. Those that must have the machine to themselves say so in
        // its configuration, and who wants another number says so as ever.
        if std::env::var_os(THREADS).is_none() {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            command.env(THREADS, (2 * processors).to_string());
        }
        command
    } else {
        let mut command = process::cargo(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.args(EVERYTHING).arg("--").args(runner_args);
        command
    };
    process::run(runner.env("GRID_BIN", grid()?))?;

    if runner_args.is_empty() {
        let mut doctests = process::cargo(["test", "--doc"]);
        process::run(doctests.args(EVERYTHING))?;
    }
    let runner = if nextest { "nextest" } else { "cargo test" };
    Ok(Done::With(format!("by {runner}, and the doctests")))
}
