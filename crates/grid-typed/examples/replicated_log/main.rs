//! A log on three nodes: one leads, two follow, and what two of the three have stored is committed.
//!
//! The leader holds a stream open to each follower for as long as their link lives. Entries go one way
//! and what was stored comes back the other way, both under flow control: a follower that is slow has a
//! window of entries waiting for it and no more, and holds up neither the leader nor the other one.
//!
//! - `protocol` is what goes over the stream.
//! - `log` is a node's log, which stands for a file.
//! - `follower` stores what comes, in its place.
//! - `leader` sends to each follower what it lacks, and counts what a majority has.
//!
//! What it does not do: **there are no elections**. Which node leads is fixed, and when it dies nothing
//! is appended until it is back. Since nobody else ever leads, a follower's log is always the beginning of the
//! leader's, and nothing has to be taken back; with elections neither is so, and that is where the
//! hard part of Raft or Paxos begins.
//!
//! `cargo run -p grid-typed --example replicated_log`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod follower;
mod leader;
mod log;
mod protocol;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grid_transport::{Manager, SharedSecret};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::leader::Leader;
use crate::log::Log;
use crate::protocol::WINDOW;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than anything takes here, should a machine be ever so slow.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Outcome {
    // A node is known by its URL, so the ports come first.
    let (mut sockets, mut names) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        names.push(format!("http://{}", socket.local_addr()?));
        sockets.push(socket);
    }
    let mut nodes = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        nodes.push(Node::start(socket, name, &names, Arc::default())?);
    }
    let [leading, quick, slow]: [Node; 3] =
        nodes.try_into().map_err(|_| "there are three nodes")?;
    let peers = vec![
        leading.manager.connection(&names[1])?,
        leading.manager.connection(&names[2])?,
    ];
    let leader = Leader::new(leading.log.clone(), peers);

    one_by_one(&leader).await?;
    one_is_slow(&leader, &slow).await?;
    let quick = one_is_away(&leader, quick, &slow, &names).await?;

    // The streams end, and not before all is stored.
    check(leader.close(PATIENCE).await, "a follower did not catch up")?;
    let log = leading.log.all();
    check(log.len() == 1_310, "the leader's log has another length")?;
    for follower in [&quick, &slow] {
        check(follower.log.all() == log, "a follower's log is another one")?;
    }
    println!("three logs of {} entries, all the same", log.len());
    for node in [leading, quick, slow] {
        node.manager.shutdown(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Any of the three; which of them leads is settled elsewhere.
struct Node {
    manager: Manager,
    address: SocketAddr,
    log: Arc<Log>,
}

impl Node {
    fn start(socket: TcpListener, name: &str, names: &[String], log: Arc<Log>) -> Outcome<Self> {
        let address = socket.local_addr()?;
        let node = Manager::builder(name)
            .peers(names)
            .auth(SharedSecret::new("open sesame"));
        let manager = follower::register(node, &log).build()?;
        manager.serve(socket)?;
        Ok(Self {
            manager,
            address,
            log,
        })
    }
}

/// Each entry is committed before the next is appended.
async fn one_by_one(leader: &Leader) -> Outcome {
    for number in 0..100 {
        let index = leader.append(format!("one by one: {number}").into_bytes());
        timeout(PATIENCE, leader.committed(index)).await?;
    }
    println!("100 entries are committed, one by one");
    Ok(())
}

/// The disk of one follower stands still. All goes on with the other, and what waits for the slow one
/// is no more than its window, whatever the leader has to say.
async fn one_is_slow(leader: &Leader, slow: &Node) -> Outcome {
    let mut followers = leader.followers();
    let all_stored = |of: u64| move |followers: &Vec<leader::Progress>| followers[1].stored == of;
    timeout(PATIENCE, followers.wait_for(all_stored(100))).await??;

    slow.log.stall(true);
    let mut last = 0;
    for number in 0..1_000 {
        last = leader.append(format!("many at once: {number}").into_bytes());
    }
    timeout(PATIENCE, leader.committed(last)).await?;
    let window = u64::from(WINDOW);
    let full = |followers: &Vec<leader::Progress>| followers[1].sent >= 100 + window;
    let progress = timeout(PATIENCE, followers.wait_for(full)).await??[1];
    println!(
        "1000 more are committed without the slow one, to which {} were sent",
        progress.sent - 100
    );
    check(
        progress.stored == 100,
        "a disk that stands still has stored",
    )?;
    // One is in the handler's hand, and the window behind it is full.
    check(
        progress.sent <= 100 + window + 1,
        "more was sent than the window holds",
    )?;

    slow.log.stall(false);
    timeout(PATIENCE, followers.wait_for(all_stored(1_100))).await??;
    println!("it has caught up");
    Ok(())
}

/// One follower dies and comes back with what was on its disk.
async fn one_is_away(
    leader: &Leader,
    dying: Node,
    other: &Node,
    names: &[String],
) -> Outcome<Node> {
    let mut followers = leader.followers();
    let all_stored = |followers: &Vec<leader::Progress>| followers[0].stored == 1_100;
    let before = timeout(PATIENCE, followers.wait_for(all_stored)).await??[0];
    let (name, address, log) = (dying.manager.local().to_owned(), dying.address, dying.log);
    dying.manager.shutdown(Duration::ZERO).await;
    println!("{name} is killed");
    for number in 0..200 {
        let index = leader.append(format!("with one away: {number}").into_bytes());
        timeout(PATIENCE, leader.committed(index)).await?;
    }
    println!("200 more are committed by the two others");

    // Now there is no majority. What is appended waits for one.
    other.log.stall(true);
    let mut last = 0;
    for number in 0..10 {
        last = leader.append(format!("with nobody: {number}").into_bytes());
    }
    let alone = timeout(Duration::from_secs(1), leader.committed(last)).await;
    check(alone.is_err(), "a leader has committed all alone")?;
    println!("10 more are appended, and not committed by the leader alone");

    let socket = TcpListener::bind(address).await?;
    let back = Node::start(socket, &name, names, log)?;
    timeout(PATIENCE, leader.committed(last)).await?;
    let after = leader.followers().borrow()[0];
    println!(
        "{name} is back; with what it lacked, {} entries, all are committed",
        after.sent - before.sent
    );
    check(
        after.sent - before.sent == 210,
        "it was sent something else than what it lacked",
    )?;
    other.log.stall(false);
    Ok(back)
}
