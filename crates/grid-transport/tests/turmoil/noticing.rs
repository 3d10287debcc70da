//! A lost peer is noticed in at most 3 ping intervals, and found again within one backoff step.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use grid_transport::Manager;
use turmoil::{Builder, Sim};

use crate::{
    node::{self, DIAL, PING, REDIAL, name},
    rng::Rng,
};

const HOSTS: [&str; 2] = ["a", "b"];
const SEEDS: u64 = 4;
const ROUNDS: usize = 5;
/// The latency of the network, both ways, and a step of the simulation.
const SLACK: Duration = Duration::from_millis(50);
/// The attempt that is under way fails at its timeout, and the next one begins at the latest two
/// intervals after it did.
const FOUND: Duration = Duration::from_millis(
    2 * DIAL.as_millis() as u64 + 2 * REDIAL.as_millis() as u64 + SLACK.as_millis() as u64,
);

/// Whether each of the two sees its link up.
type Up = Arc<Mutex<[bool; 2]>>;

#[derive(Clone, Copy, Debug)]
enum Loss {
    Both,
    There,
    Back,
    Held,
}

const LOSSES: [Loss; 4] = [Loss::Both, Loss::There, Loss::Back, Loss::Held];

#[test]
fn a_lost_peer_is_noticed_in_time_and_found_again() {
    for seed in 1..=SEEDS {
        let up = Up::default();
        let mut sim = Builder::new()
            .rng_seed(seed)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(20))
            .tcp_capacity(100_000)
            .build();
        for (index, host) in HOSTS.into_iter().enumerate() {
            let up = up.clone();
            sim.host(host, move || live(host, index, up.clone()));
        }
        let mut rng = Rng::new(seed);
        for round in 0..ROUNDS {
            let loss = LOSSES[(round + seed as usize) % LOSSES.len()];
            one_round(
                &mut sim,
                &up,
                loss,
                &mut rng,
                &format!("seed {seed}, round {round}, {loss:?}"),
            );
        }
    }
}

fn one_round(sim: &mut Sim<'_>, up: &Up, loss: Loss, rng: &mut Rng, which: &str) {
    until(sim, FOUND * 2, up, [true; 2], &format!("{which}: at first"));
    run(sim, Duration::from_millis(rng.below(3_000)));
    match loss {
        Loss::Both => sim.partition("a", "b"),
        Loss::There => sim.partition_oneway("a", "b"),
        Loss::Back => sim.partition_oneway("b", "a"),
        Loss::Held => sim.hold("a", "b"),
    }
    // Where one direction works, whoever notices first tells the other by hanging up.
    let noticed = until(
        sim,
        3 * PING + SLACK,
        up,
        [false; 2],
        &format!("{which}: noticed"),
    );
    assert!(
        noticed + SLACK >= PING,
        "{which}: noticed after {noticed:?}, which was no silence yet"
    );
    run(sim, Duration::from_millis(rng.below(4_000)));
    if matches!(loss, Loss::Held) {
        sim.release("a", "b");
    } else {
        sim.repair("a", "b");
    }
    let found = until(sim, FOUND, up, [true; 2], &format!("{which}: found"));
    println!("{which}: noticed after {noticed:?}, found after {found:?}");
}

/// Runs until both see what they should, but no longer than that; how long it took.
fn until(sim: &mut Sim<'_>, limit: Duration, up: &Up, want: [bool; 2], which: &str) -> Duration {
    let begun = sim.elapsed();
    loop {
        let seen = *up.lock().unwrap_or_else(PoisonError::into_inner);
        let took = sim.elapsed() - begun;
        if seen == want {
            return took;
        }
        assert!(
            took <= limit,
            "{which}: {seen:?} and not {want:?} after {took:?}"
        );
        run(sim, Duration::from_millis(1));
    }
}

fn run(sim: &mut Sim<'_>, time: Duration) {
    let end = sim.elapsed() + time;
    while sim.elapsed() < end {
        if let Err(error) = sim.step() {
            panic!("a host failed: {error}");
        }
    }
}

async fn live(host: &'static str, index: usize, up: Up) -> turmoil::Result {
    let manager = node::start(host, &HOSTS, |what| panic!("{what}")).await?;
    follow(&manager, HOSTS[1 - index], index, &up).await
}

/// Notes each change of the link, and insists on a reason where it is down again.
async fn follow(manager: &Manager, other: &str, index: usize, up: &Up) -> turmoil::Result {
    let peer = manager.connection(&name(other))?;
    let mut states = peer.watch();
    let mut before = false;
    loop {
        let now = states.borrow_and_update().is_connected();
        if before && !now {
            assert!(
                peer.stats().last_cause.is_some(),
                "it is down without a reason"
            );
        }
        before = now;
        up.lock().unwrap_or_else(PoisonError::into_inner)[index] = now;
        states.changed().await?;
    }
}
