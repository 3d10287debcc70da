//! Nodes joined by simulated links run seeded histories of random operations, cuts, restarts and worse, under virtual
//! time.
//!
//! `GRID_SIM_SEEDS=n` runs n of them, `GRID_SIM_FROM=n` begins at seed n; `GRID_SIM_SEED=n` runs one and prints all that
//! happens in it. A history that goes wrong is printed as small as it still goes wrong in the same way.
#![allow(
    clippy::print_stdout,
    reason = "what was found, and how often, is what a test has to say"
)]

mod caller;
mod check;
mod connect;
mod coverage;
mod drive;
#[cfg(feature = "__faults")]
mod faults;
mod handler;
mod history;
mod hostile;
mod link;
mod monitor;
mod node;
mod plan;
mod promises;
mod reference;
mod rng;
mod run;
mod shrink;
mod signs;
mod stranger;
mod style;
mod suite;
mod sweep;
mod trouble;
mod wanted;
mod world;

use std::time::Instant;

use history::History;
use suite::nothing;

/// Histories in a normal run.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

// proves: I13
// proves: I14
#[test]
fn promises_hold_in_every_history() {
    if let Some(seed) = number("GRID_SIM_SEED") {
        let report = run::run(&History::new(seed), nothing(), true);
        println!("{}", report.trace.join("\n"));
        if let Err(why) = report.outcome {
            suite::report(seed, &why);
        }
        return;
    }
    let seeds = number("GRID_SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (started, busy) = (Instant::now(), suite::processor_seconds());
    let sum = suite::run_all(number("GRID_SIM_FROM").unwrap_or(0), seeds, threads);
    let took = started.elapsed().as_secs_f64();
    let [operations, cuts, streams] = sum.medians();
    println!(
        "{seeds} histories, {} messages, {took:.1} s on {threads} threads: {:.0} histories a minute",
        sum.seen.count("messages"),
        seeds as f64 * 60.0 / took,
    );
    if let (Some(before), Some(after)) = (busy, suite::processor_seconds()) {
        let each = (after - before) / seeds as f64;
        println!(
            "{:.2} ms of processor time a history: {:.0} a minute on {threads} processors of one's own",
            each * 1_000.0,
            60.0 / each.max(1e-9) * threads as f64
        );
    }
    println!("medians: {operations} operations, {cuts} cuts, {streams} streams a history");
    println!("{:?}", sum.seen.all());
    if seeds >= SEEDS {
        assert!(operations >= 50 && cuts >= 3 && streams >= 4, "too short");
        let missing = sum.seen.missing(wanted::WANTED);
        assert!(missing.is_empty(), "too seldom: {missing:?}");
    }
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in 0..20 {
        let [one, two] = [0, 1].map(|_| run::run(&History::new(seed), nothing(), true).trace);
        assert!(
            one == two && one.len() > 100,
            "seed {seed} differs from itself"
        );
    }
}
