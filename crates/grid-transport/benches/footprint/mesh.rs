//! Many nodes in one process, each of which calls each, against two of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use grid_transport::Manager;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Fault,
    node::{self, connected, echo, node, payload},
    table::Row,
    usage::rest,
};

const NODES: usize = 32;
/// Callers on each node for each other node.
const CALLERS: [usize; 3] = [1, 16, 64];
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(300);
const TIME: Duration = Duration::from_secs(2);

pub(crate) fn measure(runtime: &Runtime) -> Result<Vec<Row>, Fault> {
    let two = runtime.block_on(mesh(2))?;
    let many = runtime.block_on(mesh(NODES))?;
    let mut rows = Vec::new();
    for callers in CALLERS {
        let mut rates = [Vec::new(), Vec::new()];
        // In turn, so that what else goes on here meets both.
        for _ in 0..ROUNDS {
            for (rates, nodes) in rates.iter_mut().zip([&two, &many]) {
                rates.push(rate(runtime, nodes, callers)?);
            }
        }
        let [two, many] = rates.map(median);
        let what = format!("{NODES} nodes against 2, {callers} callers a direction");
        rows.push(
            Row::new(what, many / two, "×")
                .at_least(0.7, 0.9)
                .note(format!("{many:.0}/s against {two:.0}/s")),
        );
    }
    runtime.block_on(async {
        for manager in two.iter().chain(&many) {
            manager.shutdown(Duration::ZERO).await;
        }
    });
    Ok(rows)
}

/// Nodes that are all connected with each other.
async fn mesh(count: usize) -> Result<Vec<Manager>, Fault> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(node::socket().await?);
    }
    let names: Vec<_> = sockets.iter().map(|(_, name)| name.clone()).collect();
    let mut nodes = Vec::new();
    for (socket, name) in sockets {
        let manager = node(&name, &names)?;
        manager.serve(socket)?;
        nodes.push(manager);
    }
    for manager in &nodes {
        for peer in manager.connections() {
            connected(&peer).await?;
        }
    }
    Ok(nodes)
}

/// Requests a second of all nodes together.
fn rate(runtime: &Runtime, nodes: &[Manager], callers: usize) -> Result<f64, Fault> {
    let counting = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for peer in nodes.iter().flat_map(Manager::connections) {
        for _ in 0..callers {
            let (peer, payload) = (peer.clone(), payload());
            let (counting, over) = (counting.clone(), over.clone());
            let caller = async move {
                let mut count = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    echo(&peer, &payload).await?;
                    count += u32::from(counting.load(Ordering::Relaxed));
                }
                Ok::<_, Fault>(count)
            };
            tasks.spawn_on(caller, runtime.handle());
        }
    }
    rest(WARM_UP);
    counting.store(true, Ordering::Relaxed);
    let began = Instant::now();
    rest(TIME);
    counting.store(false, Ordering::Relaxed);
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let mut count = 0.0;
    runtime.block_on(async {
        while let Some(caller) = tasks.join_next().await {
            count += f64::from(caller??);
        }
        Ok::<_, Fault>(())
    })?;
    Ok(count / took.as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
