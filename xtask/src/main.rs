//! What the people who work on grid run; `cargo xtask help` lists it.
//!
//! This file only reads the command line: every task has a file of its own.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line talks to its terminal"
)]

mod api;
mod ci;
mod demo;
mod deny;
mod docs;
mod examples;
mod features;
mod fuzz;
mod gate;
mod lint;
mod locks;
mod msrv;
mod outside;
mod package;
mod pages;
mod peers;
mod process;
mod report;
mod sanitize;
mod scenarios;
mod semver;
mod sim;
mod soak;
mod stress;
mod tests;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::{Done, Stop};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the grid workspace")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that a change must pass, in order; stops at the first failure
    Ci {
        /// Go on after a failure, and fail at the end
        #[arg(long)]
        keep_going: bool,
    },
    /// Every test of the workspace: nextest where it is installed, else `cargo test`; then the doctests
    Test {
        /// Arguments for the test runner, for example a filter; the doctests are left out then
        #[arg(last = true)]
        runner_args: Vec<String>,
    },
    /// Formats the workspace
    Fmt {
        /// Only say what is not formatted
        #[arg(long)]
        check: bool,
    },
    /// Clippy on all targets with all features; warnings are errors
    Lint,
    /// Each library alone, without features and with each public feature
    Features,
    /// The API documentation; warnings are errors
    Docs,
    /// The rules of the house that no compiler checks
    Tidy,
    /// Builds and runs every example; each must end by itself
    Examples,
    /// Builds and runs three small crates outside the workspace, one against each layer
    Outside,
    /// Packages the libraries, builds them from what was packed and runs their file-reading tests from there
    Package,
    /// Checks the workspace with the compiler that `rust-version` names
    Msrv,
    /// The scenarios, the tests of each and how they ended; fails where a row has none
    Scenarios {
        /// Only find the tests, and run none
        #[arg(long)]
        list: bool,
        /// As the rows have it where a normal run says "scaled to": takes long and much memory. Periods that tests over
        /// TCP shorten in every run stay short
        #[arg(long, conflicts_with = "list")]
        full: bool,
    },
    /// Whether every lock file fits its manifests
    Locks,
    /// Licences, sources and known faults of what we depend on (needs cargo-deny)
    Deny,
    /// Fuzzes every target for a while (needs nightly and cargo-fuzz)
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
        /// Minimises what was found and keeps it in fuzz/corpus, which a normal test replays
        #[arg(long)]
        keep: bool,
    },
    /// Five nodes in five processes under random calls, bad networks and kills; then the rows of
    /// docs/scenarios.md in full
    Soak {
        /// Minutes of it
        #[arg(long, default_value_t = 1, conflicts_with = "seconds")]
        minutes: u64,
        /// Seconds of it
        #[arg(long)]
        seconds: Option<u64>,
        /// What decides about calls and faults; drawn from the clock where nothing is said
        #[arg(long)]
        seed: Option<u64>,
        /// Leaves out the rows
        #[arg(long)]
        no_rows: bool,
    },
    /// Repeats the connection tests in parallel, on a busy machine
    Stress {
        /// How often
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Other tests: a filter expression of nextest
        #[arg(long)]
        filter: Option<String>,
    },
    /// The tests of grid-transport with an address sanitizer, and what else a nightly compiler has
    Sanitize,
    /// Seeded histories of simulated nodes at full speed (a release build, on all processors)
    Sim {
        /// How many histories
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// The seed of the first
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// This grid beside tarpc, tonic, remoc, jsonrpsee and bare TCP, with tables, ratios and plots
    Peers {
        /// Fewer of them, less than a second each: under two minutes once all is built
        #[arg(long)]
        quick: bool,
        /// Allocations too, which takes another build
        #[arg(long)]
        count: bool,
        /// Where the tables, the JSON and the plots go; `peers` in the target directory where nothing is said
        #[arg(long)]
        out: Option<std::path::PathBuf>,
        /// Copies the JSON and the plots to docs/performance
        #[arg(long)]
        keep: bool,
        /// Arguments for what compares, for example `--seconds 1 --rounds 5 --only tarpc --point "512 B"`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Instructions of what every message goes through, against the figures that are kept (needs valgrind)
    Gate {
        /// Keeps what it counts in docs/performance/gate.json
        #[arg(long)]
        keep: bool,
    },
    /// What the libraries offer, against the lists that are kept (needs cargo-public-api and a nightly toolchain)
    Api {
        /// Keeps what there is in docs/api
        #[arg(long)]
        keep: bool,
    },
    /// Whether what has changed of the libraries since a release fits their version (needs cargo-semver-checks)
    Semver {
        /// The commit or tag to compare with; the newest release, a tag such as v1.2.3, where nothing is said
        #[arg(long, value_name = "REV")]
        baseline: Option<String>,
    },
    /// Writes the man pages of `grid`
    Man {
        /// Where to; `man` in the target directory where nothing is said
        dir: Option<std::path::PathBuf>,
    },
    /// Writes docs/cli.md from the help of `grid`
    CliDocs,
    /// Four nodes on this machine work together, are cut apart and find each other again
    Demo {
        /// Arguments for `grid demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        demo_args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Ci { keep_going } => ci::run(keep_going),
        Task::Test { runner_args } => tests::run(&runner_args),
        Task::Fmt { check } => lint::fmt(check),
        Task::Lint => lint::clippy(),
        Task::Features => features::run(),
        Task::Docs => docs::run(),
        Task::Tidy => tidy::run(),
        Task::Examples => examples::run(),
        Task::Outside => outside::run(),
        Task::Package => package::run(),
        Task::Msrv => msrv::run(),
        Task::Scenarios { list, full } => scenarios::run(list, full),
        Task::Fuzz {
            seconds,
            target,
            keep,
        } => fuzz::run(seconds, target.as_deref(), keep),
        Task::Locks => locks::run(),
        Task::Deny => deny::run(),
        Task::Soak {
            minutes,
            seconds,
            seed,
            no_rows,
        } => soak::run(seconds.unwrap_or(minutes * 60), seed, !no_rows),
        Task::Stress { count, filter } => stress::run(count, filter.as_deref()),
        Task::Sanitize => sanitize::run(),
        Task::Sim { seeds, from } => sim::run(seeds, from),
        Task::Peers {
            quick,
            count,
            out,
            keep,
            args,
        } => peers::run(&peers::Wanted {
            quick,
            count,
            out,
            keep,
            args,
        }),
        Task::Gate { keep } => gate::run(keep),
        Task::Api { keep } => api::run(keep),
        Task::Semver { baseline } => semver::run(baseline.as_deref()),
        Task::Man { dir } => pages::man(dir),
        Task::CliDocs => pages::cli_docs(),
        Task::Demo { demo_args } => demo::run(&demo_args),
    };
    match done {
        Ok(Done::Ok) => ExitCode::SUCCESS,
        Ok(Done::With(what)) => {
            println!("{what}");
            ExitCode::SUCCESS
        }
        Ok(Done::NotRun(reason)) => {
            println!("not run: {reason}");
            ExitCode::SUCCESS
        }
        Err(Stop::Failed(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::from(1)
        }
        Err(Stop::Missing(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::from(2)
        }
    }
}
