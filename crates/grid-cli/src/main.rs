//! The `grid` binary; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    grid_cli::run(std::env::args_os())
}
