//! The `grid` binary as a library: its commands, and the probe handlers for tests.
//!
//! `grid node` runs a node with the [probe handlers](probe) until a signal ends it; the other
//! commands call it and its peers, watch, load and decode. One module a command; what they share is
//! beside them: `reach` leads into the grid, `control` serves those who come through a node.

mod accepting;
mod call;
mod cli;
mod control;
mod credentials;
mod decode;
mod demo;
mod dialer;
mod failure;
mod fault;
mod form;
mod load;
mod log;
mod node;
mod output;
mod pages;
mod payload;
mod peer_list;
mod peers;
mod ping;
mod place;
pub mod probe;
mod reach;
mod show;
mod signal;
mod status;
mod stream;
mod table;
mod target;
mod tls;
mod token;
mod top;
mod unruly;
mod values;

use std::{ffi::OsString, future::Future, io::Write, num::NonZeroUsize, process::ExitCode};

use crate::{
    cli::{Command, Parsed},
    credentials::Environment,
    failure::Failure,
    status::Events,
};

/// The program's version: the number, and the commit where it is known.
fn version() -> &'static str {
    env!("GRID_VERSION")
}

/// Runs the command that the arguments ask for; the first argument is the program's name.
///
/// Exit code 0 is success, 1 a run that failed, 2 input that can't be used, 3 no connection, 4 a
/// deadline, 130 an interruption, 141 a reader of stdout that has gone.
/// What failed is told on stderr, in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::parse(arguments).and_then(dispatch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell where stderr is closed.
            let _ = writeln!(std::io::stderr(), "{}", failure.told());
            failure.exit_code()
        }
    }
}

fn dispatch(parsed: Parsed) -> Result<(), Failure> {
    match parsed {
        Parsed::Show(text) => {
            match output::print(text.as_bytes(), "the help is cut") {
                // Whoever closed stdout wants no more of it.
                Err(Failure::Unread(_)) => Ok(()),
                printed => printed,
            }
        }
        Parsed::Run(command) => run_command(*command),
    }
}

fn run_command(command: Command) -> Result<(), Failure> {
    let environment = Environment::read();
    match command {
        Command::Node(args) => {
            let config = args.check(environment)?;
            let events = Events::of(config.place.local.as_str());
            log::to_stderr_and("info", &events);
            block_on(config.threads, node::run(config, events))
        }
        Command::Call(args) => command_on_grid(call::run(args.check(environment)?)),
        Command::Load(args) => {
            let load = args.check(environment)?;
            on_grid(load.threads, load::run(load))
        }
        Command::Stream(args) => command_on_grid(stream::run(args.check(environment)?)),
        Command::Ping(args) => command_on_grid(ping::run(args.check(environment)?)),
        Command::Top(args) => command_on_grid(top::run(args.check()?)),
        Command::Peers(args) => peers::run(args),
        Command::Completions(args) => pages::completions(&args),
        Command::Pages(args) => pages::run(&args),
        Command::Demo(args) => {
            let config = args.check()?;
            log::to_stderr("error");
            block_on(None, demo::run(config))
        }
        Command::Decode(args) => decode::run(args),
        Command::DemoNode => {
            let token = token::TokenSource {
                env: environment.into_token(),
                ..Default::default()
            }
            .read()?;
            log::to_stderr("error");
            block_on(None, demo::run_node(token))
        }
    }
}

/// Runs a command that reaches the grid: what it has to say it says itself, but for why somebody
/// was turned away.
fn command_on_grid(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    on_grid(None, command)
}

/// The same on so many threads.
fn on_grid(
    threads: Option<NonZeroUsize>,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    log::to_stderr("off,grid::accept=warn");
    block_on(threads, command)
}

/// Runs a command on a runtime of so many threads; with 1, on this one alone.
fn block_on(
    threads: Option<NonZeroUsize>,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut builder = match threads.map(NonZeroUsize::get) {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime can be started: {error}")))?;
    let outcome = runtime.block_on(command);
    // Reads of stdin and of files may still block a thread; the process ends all the same.
    runtime.shutdown_background();
    outcome
}
