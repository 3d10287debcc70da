//! What a node takes while it is idle, and for each request: memory, allocations, processor time.
//!
//! `cargo bench -p grid-transport --bench footprint` measures everything; with names, for example
//! `-- connections requests`, only what they name. Each side of a connection is a process, so that nothing of the other
//! is counted with it: the other side is this program too, started by itself.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line talks to its terminal"
)]

mod connections;
mod mesh;
mod node;
mod other;
mod requests;
mod streams;
mod table;
mod unreachable;
mod usage;

use std::{alloc::System, env, error::Error, process::ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

use self::table::Row;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Fault = Box<dyn Error + Send + Sync>;
type Measure = fn(&Runtime) -> Result<Vec<Row>, Fault>;

const MEASURES: [(&str, Measure); 5] = [
    ("connections", connections::measure),
    ("streams", streams::measure),
    ("requests", requests::measure),
    ("unreachable", unreachable::measure),
    ("mesh", mesh::measure),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, rest)) if first == other::ARGUMENT => other::serve(rest),
        _ => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Result<(), Fault> {
    // Cargo says that it wants a bench; what else begins so is meant for other benches.
    let names: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let all = names.is_empty() && args.iter().any(|arg| arg == "--bench");
    let chosen: Vec<_> = MEASURES
        .iter()
        .filter(|(name, _)| all || names.iter().any(|chosen| chosen == name))
        .collect();
    if chosen.is_empty() {
        let names = MEASURES.map(|(name, _)| name);
        println!("nothing to measure; there are {}", names.join(", "));
        return Ok(());
    }
    usage::allow_many_sockets()?;
    let mut rows = Vec::new();
    for (name, measure) in chosen {
        eprintln!("measuring {name}");
        let runtime = Runtime::new()?;
        rows.extend(measure(&runtime)?);
    }
    table::print(&rows);
    Ok(())
}
