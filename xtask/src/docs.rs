//! The API documentation.

use crate::process;
use crate::report::{Done, Outcome};

/// One that is small.
const EXAMPLE: &str = "hello_typed";

pub(crate) fn run() -> Outcome {
    let mut command = process::cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    // With an example, since what tests and examples depend on counts for `clippy` too: without one, all dependencies would
    // be checked a second time.
    command.args(["--lib", "--bins", "--example", EXAMPLE]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::Ok)
}
