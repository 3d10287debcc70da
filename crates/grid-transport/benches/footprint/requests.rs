//! Allocations for each request, on the calling and on the serving side.

use std::time::Duration;

use grid_transport::Connection;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Fault,
    node::{self, connected, echo, node, payload},
    other::Other,
    table::Row,
    usage::Memory,
};

const CALLERS: usize = 64;
/// Of each caller.
const REQUESTS: usize = 2_000;

pub(crate) fn measure(runtime: &Runtime) -> Result<Vec<Row>, Fault> {
    let (socket, name) = runtime.block_on(node::socket())?;
    let mut other = Other::start(&name, 1, None)?;
    let (manager, peer) = runtime.block_on(async {
        let manager = node(&name, other.names.iter().chain([&name]))?;
        manager.serve(socket)?;
        let peer = manager.connection(&other.names[0])?;
        connected(&peer).await?;
        Ok::<_, Fault>((manager, peer))
    })?;
    runtime.block_on(call(&peer, REQUESTS / 4))?;
    // The tasks of the callers are ours, and no request's.
    let idle = Memory::now();
    runtime.block_on(call(&peer, 0))?;
    let own = Memory::now().allocations - idle.allocations;
    let before = [Memory::now(), other.memory_at_rest()?];
    runtime.block_on(call(&peer, REQUESTS))?;
    let mut after = [Memory::now(), other.memory_at_rest()?];
    after[0].allocations -= own;
    runtime.block_on(manager.shutdown(Duration::ZERO));
    let count = CALLERS * REQUESTS;
    let row = |side: usize, which: &str| {
        let what = format!("allocations a request, on the {which} side");
        let value = after[side].allocations_each(before[side], count);
        Row::new(what, value, "").note(format!("{count} of 512 B, {CALLERS} callers"))
    };
    Ok(vec![
        row(0, "calling").at_most(1.0, 0.0),
        row(1, "serving").at_most(1.0, 1.0),
    ])
}

async fn call(peer: &Connection, each: usize) -> Result<(), Fault> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (peer, payload) = (peer.clone(), payload());
        callers.spawn(async move {
            for _ in 0..each {
                echo(&peer, &payload).await?;
            }
            Ok::<_, Fault>(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}
