//! A small distributed read-write lock, which is what grids of this kind carry most.
//!
//! Five nodes, each of them a lock server and a caller. A lock is held when enough servers say so:
//!
//! - `protocol` has the six handlers: lock, unlock, rlock, runlock, refresh and force-unlock.
//! - `quorum` says how many servers are enough, so that a writer is alone and readers share.
//! - `table` is the serving side: who holds what, and until when. Nothing is kept on a disk.
//! - `locks` is the calling side: it asks all, counts, undoes what was not enough, and tries again.
//! - `held` refreshes a lock while it is held, and knows when it is lost.
//!
//! What it does not do: it is not fair, so a writer can wait for as long as there are readers; it hands
//! out no numbers by which a disk could tell an earlier holder's late write ([`held::Held`] says why
//! that matters); and the list of servers can't be changed while they run.
//!
//! `cargo run -p grid-typed --example lock_service`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod cluster;
mod held;
mod locks;
mod protocol;
mod quorum;
mod server;
mod table;
mod vault;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::cluster::Node;
use crate::locks::{AcquireError, Timing};
use crate::protocol::Mode;
use crate::vault::Vault;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Leases are short here so that their end can be waited for; tens of seconds are more usual.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(2),
    refresh: Duration::from_millis(500),
    answer: Duration::from_millis(500),
    margin: Duration::from_millis(250),
};

/// Longer than anything takes here, should a machine be ever so slow.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Outcome {
    let mut nodes = cluster::start(5, TIMING).await?;
    println!("five nodes; a lock takes three of them. They grant nothing for the first lease");

    many_callers(&nodes).await?;
    readers_share(&nodes).await?;
    a_holder_that_lives_keeps_it(&nodes).await?;
    an_operator_takes_it_away(&nodes).await?;
    if let Some(doomed) = nodes.pop() {
        a_holder_that_dies_loses_it(doomed, &nodes).await?;
    }
    println!("four of five are left, and all goes on:");
    many_callers(&nodes).await?;
    let (Some(second), Some(third)) = (nodes.pop(), nodes.pop()) else {
        return Err("where are the nodes?".into());
    };
    three_of_five_are_gone([second, third], &nodes).await?;

    for node in nodes {
        node.end().await;
    }
    Ok(())
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Two writers and a reader on each node, all of them after the same lock.
async fn many_callers(nodes: &[Node]) -> Outcome {
    const ROUNDS: u64 = 5;
    let vault = Arc::new(Vault::default());
    let mut callers: JoinSet<Outcome> = JoinSet::new();
    for node in nodes {
        for mode in [Mode::Write, Mode::Write, Mode::Read] {
            let (locks, vault) = (node.locks.clone(), vault.clone());
            callers.spawn(async move {
                for _ in 0..ROUNDS {
                    let held = locks.acquire(mode, "vault", PATIENCE).await?;
                    match mode {
                        Mode::Write => vault.write().await,
                        Mode::Read => vault.read().await,
                    }
                    check(held.is_valid(), "a lock was lost without a reason")?;
                    held.unlock().await;
                }
                Ok(())
            });
        }
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let expected = nodes.len() as u64 * 2 * ROUNDS;
    println!("{expected} writes one by one, with reads between: {vault}");
    check(vault.meetings() == 0, "somebody was inside with a writer")?;
    check(vault.written() == expected, "a write was overwritten")
}

/// A reader on each node. None of them lets go before all of them hold the lock.
async fn readers_share(nodes: &[Node]) -> Outcome {
    let all_inside = Arc::new(Barrier::new(nodes.len() + 1));
    let all_seen = Arc::new(Barrier::new(nodes.len() + 1));
    let mut readers: JoinSet<Outcome> = JoinSet::new();
    for node in nodes {
        let (locks, inside, seen) = (node.locks.clone(), all_inside.clone(), all_seen.clone());
        readers.spawn(async move {
            let held = locks.acquire(Mode::Read, "shared", PATIENCE).await?;
            inside.wait().await;
            seen.wait().await;
            held.unlock().await;
            Ok(())
        });
    }
    // A reader that fails never comes to the barrier, and the others would wait for it.
    timeout(2 * PATIENCE, all_inside.wait()).await?;
    println!("{} readers hold a lock together", nodes.len());
    let writer = &nodes[0].locks;
    let refused = writer.acquire(Mode::Write, "shared", TIMING.refresh).await;
    let kept_out = matches!(refused, Err(AcquireError::Refused { .. }));
    all_seen.wait().await;
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    check(kept_out, "a writer went in with the readers")?;
    let held = writer.acquire(Mode::Write, "shared", PATIENCE).await?;
    println!("a writer has it once they are gone");
    held.unlock().await;
    Ok(())
}

/// Leases are shorter than some work; what is refreshed stays locked.
async fn a_holder_that_lives_keeps_it(nodes: &[Node]) -> Outcome {
    let held = nodes[1]
        .locks
        .acquire(Mode::Write, "long", PATIENCE)
        .await?;
    let lost = timeout(TIMING.lease * 3 / 2, held.lost()).await;
    check(lost.is_err(), "a lock was lost that was refreshed")?;
    let other = nodes[2].locks.acquire(Mode::Write, "long", TIMING.refresh);
    match other.await {
        Err(error @ AcquireError::Refused { .. }) => println!("after a lease and a half: {error}"),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("a lock that was refreshed was given to another".into()),
    }
    held.unlock().await;
    Ok(())
}

/// Whom a lock is taken from learns it by the next refresh.
async fn an_operator_takes_it_away(nodes: &[Node]) -> Outcome {
    let held = nodes[1]
        .locks
        .acquire(Mode::Write, "stuck", PATIENCE)
        .await?;
    let tally = nodes[2].locks.force_unlock("stuck").await;
    println!("an operator takes a lock away: {tally}");
    timeout(PATIENCE, held.lost()).await?;
    println!("its holder knows");
    let other = nodes[2]
        .locks
        .acquire(Mode::Write, "stuck", PATIENCE)
        .await?;
    other.unlock().await;
    Ok(())
}

/// A lock outlives its holder, by a lease and no more.
async fn a_holder_that_dies_loses_it(doomed: Node, others: &[Node]) -> Outcome {
    let before = Instant::now();
    let held = doomed
        .locks
        .acquire(Mode::Write, "orphan", PATIENCE)
        .await?;
    drop(held);
    doomed.kill().await;
    let heir = others[0]
        .locks
        .acquire(Mode::Write, "orphan", PATIENCE)
        .await?;
    println!("its lock is another's after {:.1?}", before.elapsed());
    check(
        before.elapsed() >= TIMING.lease,
        "a lock was given away before its lease was over",
    )?;
    heir.unlock().await;
    Ok(())
}

/// Two servers of five can't know what the three others have granted: nothing can be locked any more,
/// and what was held can't be relied on.
async fn three_of_five_are_gone(dying: [Node; 2], left: &[Node]) -> Outcome {
    let held = left[0].locks.acquire(Mode::Write, "last", PATIENCE).await?;
    for node in dying {
        node.kill().await;
    }
    timeout(PATIENCE, held.lost()).await?;
    println!("the lock that was held is lost");
    drop(held);
    let acquired = left[1].locks.acquire(Mode::Write, "new", TIMING.refresh);
    match acquired.await {
        Err(AcquireError::TooFewServers { tally, .. }) => {
            println!("nothing can be locked any more: {tally}");
            // To the last attempt as to the first: those before have left nothing behind.
            check(
                tally.granted() == left.len(),
                "an attempt that was not enough was not undone",
            )
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err("two servers of five have granted a lock".into()),
    }
}
