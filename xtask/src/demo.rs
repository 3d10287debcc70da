//! Four nodes that work together on this machine.

use std::process::Stdio;

use crate::process;
use crate::report::{Outcome, Stop};
use crate::workspace::Metadata;

/// Builds the binary and becomes it.
pub(crate) fn run(args: &[String]) -> Outcome {
    process::run(&mut process::cargo([
        "build",
        "--release",
        "--package",
        "grid-cli",
    ]))?;
    let name = format!("grid{}", std::env::consts::EXE_SUFFIX);
    let grid = Metadata::load()?
        .target_directory
        .join("release")
        .join(name);
    let mut command = process::program(&grid);
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    command.stdin(Stdio::inherit()).arg("demo").args(args);
    become_it(command, &grid.display().to_string())
}

/// Nobody stands between the terminal and the demo: Ctrl-C reaches it, and its end is ours.
#[cfg(unix)]
fn become_it(mut command: std::process::Command, name: &str) -> Outcome {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(Stop::Failed(format!("can't run {name}: {error}")))
}

#[cfg(not(unix))]
fn become_it(mut command: std::process::Command, name: &str) -> Outcome {
    let status = command
        .status()
        .map_err(|error| Stop::Failed(format!("can't run {name}: {error}")))?;
    std::process::exit(status.code().unwrap_or(1))
}
