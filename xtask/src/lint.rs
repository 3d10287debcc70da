//! Formatting and clippy.

use crate::process;
use crate::report::{Done, Outcome};

pub(crate) fn fmt(check: bool) -> Outcome {
    let mut command = process::cargo(["fmt", "--all"]);
    if check {
        command.arg("--check");
    }
    process::run(&mut command)?;
    Ok(Done::Ok)
}

/// All targets: so the benches and the examples are compiled here too.
pub(crate) fn clippy() -> Outcome {
    process::run(&mut process::cargo([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Done::Ok)
}
