//! The `grid` binary as a library: its commands, and the probe handlers for tests.
//!
//! `grid node` runs a node with the [probe handlers](probe) until a signal ends it. `grid demo`
//! shows four nodes that exchange a directory tree while their connections are cut.

mod args;
mod demo;
mod dialer;
mod failure;
mod log;
mod node;
pub mod probe;
mod signal;
mod token;

use std::{ffi::OsString, future::Future, io::Write, process::ExitCode};

use crate::{
    args::{Command, Parsed},
    failure::Failure,
    token::TOKEN_VARIABLE,
};

/// Runs the command that the arguments ask for; the first argument is the program's name.
///
/// Exit code 0 is success, 1 a run that failed, 2 input that can't be used, 130 an interruption.
/// What failed is told on stderr, in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse(arguments).and_then(dispatch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell where stderr is closed.
            let _ = writeln!(std::io::stderr(), "grid: {}", failure.line());
            failure.exit_code()
        }
    }
}

fn dispatch(parsed: Parsed) -> Result<(), Failure> {
    match parsed {
        Parsed::Show(text) => {
            // Whoever closed stdout wants no more of it.
            let _ = write!(std::io::stdout(), "{text}");
            Ok(())
        }
        Parsed::Run(Command::Node(arguments)) => {
            let config = arguments.check(std::env::var_os(TOKEN_VARIABLE))?;
            log::to_stderr("info");
            block_on(node::run(config))
        }
        Parsed::Run(Command::Demo(arguments)) => {
            let config = arguments.check()?;
            log::to_stderr("error");
            block_on(demo::run(config))
        }
        Parsed::Run(Command::DemoNode) => {
            let token = token::TokenSource {
                env: std::env::var_os(TOKEN_VARIABLE),
                ..Default::default()
            }
            .read()?;
            log::to_stderr("error");
            block_on(demo::run_node(token))
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime can be started: {error}")))?;
    let outcome = runtime.block_on(command);
    // Reads of stdin and of files may still block a thread; the process ends all the same.
    runtime.shutdown_background();
    outcome
}
