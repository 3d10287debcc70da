//! The program: one process orchestrates, and starts itself again as each of the nodes.

#![allow(
    clippy::print_stderr,
    reason = "a program of the command line talks to its terminal"
)]

use std::{
    alloc::System,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::{Parser, Subcommand, ValueEnum};
use soak::{
    node,
    orchestrate::{self, Plan},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// So that a node can say what it holds, whatever the allocator keeps for later.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
#[command(about = "Five nodes, bad networks, kills, and every answer checked")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Starts the nodes and the faults, and ends with the verdict
    Run {
        /// How long the faults go on, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// What decides about calls and faults; drawn from the clock where nothing is said
        #[arg(long)]
        seed: Option<u64>,
        /// Whether each node gets a network namespace of its own
        #[arg(long, value_enum, default_value_t = Namespaces::Auto)]
        namespaces: Namespaces,
        /// End when whoever started this ends
        #[arg(long)]
        with_parent: bool,
        /// Tell each fault as it happens
        #[arg(long)]
        verbose: bool,
    },
    /// One of the nodes; told what to do on its standard input
    #[command(hide = true)]
    Node,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Namespaces {
    /// Where they can be made
    Auto,
    /// Never
    Off,
}

fn main() -> ExitCode {
    match Cli::parse().role {
        Role::Run {
            seconds,
            seed,
            namespaces,
            with_parent,
            verbose,
        } => {
            let plan = Plan {
                chaos: Duration::from_secs(seconds),
                seed: seed.unwrap_or_else(seed_of_the_day),
                namespaces: namespaces == Namespaces::Auto,
                with_parent,
                verbose,
            };
            match orchestrate::run(&plan) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::from(1),
                Err(error) => {
                    eprintln!("soak: {error}");
                    ExitCode::from(1)
                }
            }
        }
        Role::Node => match node::run(|| {
            let stats = ALLOCATOR.stats();
            stats
                .bytes_allocated
                .saturating_sub(stats.bytes_deallocated) as u64
        }) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("soak node: {error}");
                ExitCode::from(1)
            }
        },
    }
}

fn seed_of_the_day() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs())
}
