//! The API documentation.

use crate::process;
use crate::report::{Done, Outcome};

pub(crate) fn run() -> Outcome {
    let mut command = process::cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::Ok)
}
