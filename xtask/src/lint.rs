//! Formatting and clippy.

use crate::process;
use crate::report::{Done, Outcome};

/// The programs of `benches/peers` too: a workspace of their own, which nothing else of this looks at.
pub(crate) fn fmt(check: bool) -> Outcome {
    let ours = process::cargo(["fmt", "--all"]);
    let peers = process::cargo([
        "fmt",
        "--all",
        "--manifest-path",
        "benches/peers/Cargo.toml",
    ]);
    for mut command in [ours, peers] {
        if check {
            command.arg("--check");
        }
        process::run(&mut command)?;
    }
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
