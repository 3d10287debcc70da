//! The run: nodes up, a quiet look, faults, repair, a quiet look again, and the verdict.

use std::{
    io,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    time::{sleep, sleep_until, timeout},
};

use crate::{
    chaos::Chaos,
    cluster::Cluster,
    namespaces::Namespaces,
    node::COUNTS_EVERY,
    verdict::Results,
    words::{Broken, Order},
};

/// How many nodes there are.
const NODES: usize = 5;
/// How long they work before the first look, so that what they keep for later is there.
const WARM_UP: Duration = Duration::from_secs(6);
/// How long they work after the repair, in which nothing may fail for long.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// What coming up may take, and coming back after the repair.
const UP: Duration = Duration::from_secs(40);
/// What the calls under way may take to end once no new ones are made.
const REST: Duration = Duration::from_secs(150);
/// What the end of a process may take.
const END: Duration = Duration::from_secs(20);
/// How often it is said how things are.
const PROGRESS: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long faults go on.
    pub chaos: Duration,
    /// What everything is drawn from.
    pub seed: u64,
    /// Whether to try namespaces.
    pub namespaces: bool,
    /// Whether to end when the process that started this one ends.
    pub with_parent: bool,
    /// Whether to tell each fault.
    pub verbose: bool,
}

/// Runs it, prints the table, and says whether all promises were kept. Has to be called on the main
/// thread. No process or namespace is left, whatever the outcome.
///
/// # Errors
///
/// When it can't be run, or is interrupted.
pub fn run(plan: &Plan) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    if plan.with_parent {
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            results = soak(plan) => results,
            _ = interrupt.recv() => Err(io::Error::other("interrupted")),
            _ = terminate.recv() => Err(io::Error::other("terminated")),
            _ = hang_up.recv() => Err(io::Error::other("hung up")),
        }
    })?;
    say(&format!("\n{results}"));
    Ok(results.clean())
}

#[allow(clippy::print_stdout, reason = "the table is for who runs it")]
fn say(text: &str) {
    println!("{text}");
}

async fn soak(plan: &Plan) -> io::Result<Results> {
    say(&format!("seed {}, {NODES} nodes", plan.seed));
    let mut results = Results {
        seed: plan.seed,
        ..Results::default()
    };
    let namespaces = match (plan.namespaces).then(|| Namespaces::make(NODES)) {
        None => Err("they are switched off".to_owned()),
        Some(made) => made,
    };
    match &namespaces {
        Ok(_) => say("namespaces: each node has one"),
        Err(reason) => {
            say(&format!("namespaces: not run: {reason}"));
            results.not_run = Some(reason.clone());
        }
    }
    let mut cluster = Cluster::start(NODES, plan.seed, namespaces.ok()).await?;
    all_up(&mut cluster, "at the beginning").await;
    cluster.tell_all(Order::Work).await;
    cluster.listen_for(WARM_UP).await;
    results.before = rest(&mut cluster).await;

    cluster.tell_all(Order::Work).await;
    let begun = Instant::now();
    havoc(plan, &mut cluster).await;
    results.took = begun.elapsed();

    cluster.repair().await;
    all_up(&mut cluster, "after the repair").await;
    // What nodes have told of until then may be older than the repair.
    cluster.listen_for(2 * COUNTS_EVERY).await;
    let before = cluster.successes();
    cluster.listen_for(AFTERWARDS).await;
    results.after = rest(&mut cluster).await;
    let successes = cluster.successes().into_iter().zip(before);
    results.repaired = successes.map(|(all, before)| all - before).collect();
    cluster.end(END).await;
    results.counts = cluster.counts();
    results.faults.clone_from(&cluster.faults);
    results.wrong.append(&mut cluster.wrong);
    results.judge();
    Ok(results)
}

async fn all_up(cluster: &mut Cluster, when: &str) {
    if timeout(UP, cluster.until_up()).await.is_ok() {
        say(&format!("all links are up {when}"));
    } else {
        for node in cluster.not_up() {
            let what = format!("node {node} has links that are down {when} and {UP:?}");
            cluster.broken(Broken::Link, what);
        }
    }
}

/// What is left in each node once its calls have ended.
async fn rest(cluster: &mut Cluster) -> Vec<crate::words::Rest> {
    cluster.tell_all(Order::Rest).await;
    if timeout(REST, cluster.until_resting()).await.is_err() {
        for node in cluster.not_resting() {
            let what = format!("node {node} did not come to rest within {REST:?}");
            cluster.broken(Broken::Hung, what);
        }
    }
    cluster.rests()
}

/// Faults, one after the other, each undone when its time is over.
async fn havoc(plan: &Plan, cluster: &mut Cluster) {
    let end = tokio::time::Instant::now() + plan.chaos;
    let mut chaos = Chaos::new(plan.seed, NODES, cluster.has_cables());
    let mut next = tokio::time::Instant::now();
    let mut progress = next + PROGRESS;
    while tokio::time::Instant::now() < end {
        let undo = cluster.next_undo().unwrap_or(end);
        tokio::select! {
            () = cluster.listen() => {}
            () = sleep_until(undo.min(end)) => cluster.undo_due().await,
            () = sleep_until(next.min(end)) => {
                cluster.notice();
                for kind in cluster.faults.keys() {
                    chaos.happened(kind);
                }
                let step = chaos.step();
                if cluster.apply(step.fault, step.lasts).await && plan.verbose {
                    say(&format!("{:?} for {:?}", step.fault, step.lasts));
                }
                next += step.next_in;
            }
            () = sleep_until(progress) => {
                progress += PROGRESS;
                let counts = cluster.counts();
                say(&format!(
                    "{:>5} s: {} operations, {} succeeded, {} faults, {} reconnects, {} broken",
                    (plan.chaos - (end - tokio::time::Instant::now())).as_secs(),
                    counts.operations.values().sum::<u64>(),
                    counts.succeeded,
                    cluster.faults.values().sum::<u64>(),
                    counts.reconnects,
                    cluster.wrong.len(),
                ));
            }
        }
    }
    // Whoever stands still can't be told anything.
    cluster.signal_all(Signal::SIGCONT);
    sleep(Duration::from_millis(100)).await;
    cluster.notice();
}
