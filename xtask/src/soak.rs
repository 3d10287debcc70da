//! Five nodes in five processes, everything that can go wrong, and every answer checked.

use std::process::Stdio;

use crate::process;
use crate::report::{Done, Outcome};
use crate::workspace::Metadata;
use crate::{scenarios, tests};

/// How long CI does it, in seconds.
const IN_CI: u64 = 60;

/// Runs it for so many seconds, and then the rows of `docs/scenarios.md` in full unless told not to.
pub(crate) fn run(seconds: u64, seed: Option<u64>, rows: bool) -> Outcome {
    process::run(&mut process::cargo([
        "build",
        "--release",
        "--package",
        "soak",
    ]))?;
    soak("release", seconds, seed)?;
    if rows {
        return scenarios::run(false, true);
    }
    Ok(Done::With(format!("{seconds} s; the rows were not run")))
}

/// The same for a minute, by what the tests are built with.
pub(crate) fn ci() -> Outcome {
    tests::build()?;
    soak("debug", IN_CI, None)?;
    Ok(Done::With(format!("{IN_CI} s")))
}

fn soak(profile: &str, seconds: u64, seed: Option<u64>) -> Outcome {
    let name = format!("soak{}", std::env::consts::EXE_SUFFIX);
    let program = Metadata::load()?.target_directory.join(profile).join(name);
    let mut command = process::program(program);
    command.args(["run", "--with-parent", "--seconds"]);
    command.arg(seconds.to_string()).stdin(Stdio::null());
    if let Some(seed) = seed {
        command.arg("--seed").arg(seed.to_string());
    }
    process::run(&mut command)?;
    Ok(Done::Ok)
}
