//! Two machines joined by a simulated link run seeded histories of random operations with cuts and delays.
//!
//! `GRID_SIM_SEEDS=n` runs n of them; `GRID_SIM_SEED=n` runs one and prints all that happens in it.
#![allow(
    clippy::print_stdout,
    reason = "what was found, and how often, is what a test has to say"
)]

mod caller;
mod check;
mod coverage;
mod drive;
#[cfg(feature = "__faults")]
mod faults;
mod handler;
mod history;
mod link;
mod monitor;
mod plan;
mod rng;
mod style;
mod world;

use std::{
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use coverage::Coverage;
use world::Tune;

/// Histories in a normal run.
const SEEDS: u64 = 2_000;

/// What has to have happened in 2,000 histories, and how often.
const WANTED: &[(&str, u64)] = &[
    ("cuts", 6_000),
    ("restarts", 1_000),
    ("reconnects", 1_000),
    ("requests", 20_000),
    ("streams", 10_000),
    ("cancels", 2_000),
    ("stalls", 500),
    ("refuses new", 500),
    ("round trips", 500),
    ("consumer stuck", 500),
    ("waited for room", 500),
    ("event: item", 20_000),
    ("event: writable", 10_000),
    ("event: request", 10_000),
    ("event: opened", 5_000),
    ("event: received", 10_000),
    ("event: input ended", 2_000),
    ("event: serve writable", 5_000),
    ("answered: ok", 10_000),
    ("unsent", 1_000),
    ("ended: ok", 2_000),
    ("error: remote", 1_000),
    ("error: remote, broken off", 20),
    ("error: closed", 2_000),
    ("error: deadline", 500),
    ("error: capacity mismatch", 20),
    ("error: overloaded", 20),
    ("error: no pong", 20),
    ("rejected: unknown handler", 100),
    ("rejected: invalid handler", 100),
    ("rejected: unknown subroute", 100),
    ("rejected: overloaded", 100),
    ("rejected: shutting down", 100),
    ("cancelled: caller", 500),
    ("cancelled: deadline", 200),
    ("cancelled: no ping", 5),
    ("cancelled: protocol", 20),
    ("cancelled: overloaded", 5),
    ("cancelled: link", 1_000),
    ("submit: closed", 500),
    ("submit: queue full", 100),
    ("submit: too many", 50),
    ("submit: deadline passed", 100),
    ("send: no credit", 1_000),
    ("send: queue full", 50),
    ("serve: no credit", 1_000),
    ("serve: queue full", 50),
    ("serve: late", 100),
    ("respond: queue full", 20),
    ("respond: gone", 100),
    ("respond: late", 100),
    ("close: lost", 3_000),
    ("close: decode", 100),
    ("close: peer silent", 20),
    ("close: other", 500),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A history that went wrong.
struct Broken {
    seed: u64,
    why: String,
}

impl Broken {
    /// Runs the history again, prints what happened in it towards its end, and gives up.
    fn report(&self, tune: Tune) -> ! {
        let again = history::run(self.seed, tune, true);
        let from = again.trace.len().saturating_sub(400);
        for line in &again.trace[from..] {
            println!("{line}");
        }
        let Self { seed, why } = self;
        panic!("seed {seed}: {why}\nrun it again with GRID_SIM_SEED={seed}");
    }
}

fn nothing() -> Tune {
    Rc::new(|_| {})
}

// proves: I13
// proves: I14
#[test]
fn promises_hold_in_every_history() {
    if let Some(seed) = number("GRID_SIM_SEED") {
        let report = history::run(seed, nothing(), true);
        println!("{}", report.trace.join("\n"));
        assert_eq!(report.outcome, Ok(()), "seed {seed}");
        return;
    }
    let seeds = number("GRID_SIM_SEEDS").unwrap_or(SEEDS);
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&next, seeds)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker that ends"))
            .collect()
    });
    let mut seen = Coverage::default();
    let mut broken: Vec<Broken> = Vec::new();
    for result in done {
        match result {
            Ok(part) => seen.merge(&part),
            Err(one) => broken.push(one),
        }
    }
    if let Some(first) = broken.iter().min_by_key(|broken| broken.seed) {
        first.report(nothing());
    }
    println!(
        "{seeds} histories, {} messages, {:.1} s on {threads} threads",
        seen.count("messages"),
        started.elapsed().as_secs_f64()
    );
    println!("{seen:?}");
    if seeds >= SEEDS {
        let missing = seen.missing(WANTED);
        assert!(missing.is_empty(), "too seldom: {missing:?}");
    }
}

/// Takes one seed after the other, until there are no more or one goes wrong.
fn work(next: &AtomicU64, seeds: u64) -> Result<Coverage, Broken> {
    let mut seen = Coverage::default();
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= seeds {
            return Ok(seen);
        }
        let report = history::run(seed, nothing(), false);
        let (cuts, streams) = (report.seen.count("cuts"), report.seen.count("streams"));
        let long_enough = report.operations >= 50 && cuts >= 3 && streams >= 4;
        let outcome = report.outcome.and_then(|()| {
            long_enough
                .then_some(())
                .ok_or_else(|| "the history is too short".to_owned())
        });
        if let Err(why) = outcome {
            next.fetch_add(seeds, Relaxed);
            return Err(Broken { seed, why });
        }
        seen.merge(&report.seen);
    }
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in 0..20 {
        let [one, two] = [0, 1].map(|_| history::run(seed, nothing(), true).trace);
        assert!(
            one == two && one.len() > 100,
            "seed {seed} differs from itself"
        );
    }
}
