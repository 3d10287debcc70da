//! Histories of partitions, holds and crashes among three nodes that call each other.

use std::time::Duration;

use grid_transport::Manager;
use turmoil::{Builder, Sim};

use crate::{
    caller::{self, Log},
    node::{self, HOSTS},
    rng::Rng,
};

const SEEDS: u64 = 6;
/// Callers on each node.
const CALLERS: u64 = 6;
/// How long faults go on, in virtual time.
const FAULTS: Duration = Duration::from_secs(30);
/// How long it takes at most until all is well again.
const REPAIRED: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug)]
enum Fault {
    Partition(usize, usize),
    OneWay(usize, usize),
    Hold(usize, usize),
    Crash(usize),
    Bounce(usize),
}

#[test]
fn calls_keep_their_promises_through_partitions_holds_and_restarts() {
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in 1..=SEEDS {
        let log = Log::default();
        history(seed, &log);
        let broken = log.take_broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
        for (outcome, count) in log.outcomes() {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    println!("{SEEDS} histories: {outcomes:?}");
    // A history in which nothing happens proves nothing.
    for outcome in [
        "answered",
        "streamed",
        "disconnected",
        "not connected",
        "deadline",
        "up",
    ] {
        let count = outcomes.get(outcome).copied().unwrap_or(0);
        assert!(count >= SEEDS, "{outcome}: {count}");
    }
}

fn history(seed: u64, log: &Log) {
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        // The default is meant for small tests: a queue that is full panics.
        .tcp_capacity(100_000)
        .build();
    for (index, host) in HOSTS.into_iter().enumerate() {
        let log = log.clone();
        sim.host(host, move || {
            live(host, log.clone(), seed * 100 + index as u64)
        });
    }
    let mut rng = Rng::new(seed);
    let mut undos: Vec<(Duration, Fault)> = Vec::new();
    let mut next = Duration::from_secs(2);
    while sim.elapsed() < FAULTS {
        step(&mut sim);
        let now = sim.elapsed();
        for (_, fault) in undos.extract_if(.., |(due, _)| *due <= now) {
            undo(&mut sim, fault);
        }
        if now >= next {
            let fault = draw(&mut rng);
            apply(&mut sim, fault);
            undos.push((now + Duration::from_millis(50 + rng.below(5_000)), fault));
            next = now + Duration::from_millis(200 + rng.below(2_500));
        }
    }
    for (_, fault) in undos {
        undo(&mut sim, fault);
    }
    let end = sim.elapsed() + REPAIRED;
    while sim.elapsed() < end {
        step(&mut sim);
    }
    // Each host asks itself how its links are, and says so when it sees them up. Counted together two that speak twice
    // would stand in for a third that says nothing.
    let before = log.ups();
    let end = sim.elapsed() + Duration::from_secs(1);
    while sim.elapsed() < end {
        step(&mut sim);
    }
    let after = log.ups();
    for host in HOSTS {
        if after.get(host) == before.get(host) {
            log.broken(format!(
                "{REPAIRED:?} after the repair not all links of {host} are up"
            ));
        }
    }
}

fn step(sim: &mut Sim<'_>) {
    if let Err(error) = sim.step() {
        panic!("a host failed: {error}");
    }
}

async fn live(host: &'static str, log: Log, seed: u64) -> turmoil::Result {
    let complaints = log.clone();
    let complain = move |what| complaints.broken(what);
    let manager = node::start(host, &HOSTS, complain).await?;
    for index in 0..CALLERS {
        let rng = Rng::new(seed * 100 + index);
        tokio::spawn(caller::run(manager.clone(), log.clone(), rng));
    }
    watch(host, manager, log).await;
    Ok(())
}

/// Says every 900 ms of virtual time that all links are up, where they are.
async fn watch(host: &'static str, manager: Manager, log: Log) {
    loop {
        // tidy: sleep: the look at the end happens once a second
        tokio::time::sleep(Duration::from_millis(900)).await;
        let links = manager.stats();
        if links.iter().all(|link| link.state.is_connected()) {
            log.up(host);
        }
        // The reason why a link is down can be seen.
        for link in links {
            if !link.state.is_connected() && link.reconnects > 0 && link.last_cause.is_none() {
                log.broken(format!("{} is down without a reason", link.remote));
            }
        }
    }
}

fn draw(rng: &mut Rng) -> Fault {
    let one = rng.below(3) as usize;
    let other = (one + 1 + rng.below(2) as usize) % 3;
    match rng.below(10) {
        0..3 => Fault::Partition(one, other),
        3..5 => Fault::OneWay(one, other),
        5..7 => Fault::Hold(one, other),
        7..9 => Fault::Crash(one),
        _ => Fault::Bounce(one),
    }
}

fn apply(sim: &mut Sim<'_>, fault: Fault) {
    match fault {
        Fault::Partition(one, other) => sim.partition(HOSTS[one], HOSTS[other]),
        Fault::OneWay(one, other) => sim.partition_oneway(HOSTS[one], HOSTS[other]),
        Fault::Hold(one, other) => sim.hold(HOSTS[one], HOSTS[other]),
        Fault::Crash(host) => sim.crash(HOSTS[host]),
        Fault::Bounce(host) => sim.bounce(HOSTS[host]),
    }
}

fn undo(sim: &mut Sim<'_>, fault: Fault) {
    match fault {
        Fault::Partition(one, other) | Fault::OneWay(one, other) => {
            sim.repair(HOSTS[one], HOSTS[other]);
        }
        Fault::Hold(one, other) => sim.release(HOSTS[one], HOSTS[other]),
        Fault::Crash(host) => {
            if !sim.is_host_running(HOSTS[host]) {
                sim.bounce(HOSTS[host]);
            }
        }
        Fault::Bounce(_) => {}
    }
}
