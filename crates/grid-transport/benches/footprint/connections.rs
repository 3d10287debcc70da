//! Heap of an idle connection, on the side that dials and on the side that is dialed.

use std::{iter, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    Fault,
    node::{self, connected, node},
    other::Other,
    table::Row,
    usage::{Memory, rest},
};

const COUNT: usize = 1_000;

/// Longer than between two pings.
const IDLE: Duration = Duration::from_secs(12);

const KIB: f64 = 1024.0;

pub(crate) fn measure(runtime: &Runtime) -> Result<Vec<Row>, Fault> {
    Ok(vec![
        side(runtime, "which dials", false)?,
        side(runtime, "which is dialed", true)?,
    ])
}

/// All that a node holds which has so many links, over their number.
fn side(runtime: &Runtime, which: &str, others_dial: bool) -> Result<Row, Fault> {
    let (socket, name) = runtime.block_on(node::socket())?;
    let other = Other::start(&name, COUNT, Some(others_dial))?;
    let before = Memory::at_rest();
    let manager = runtime.block_on(async {
        let manager = node(&name, other.names.iter().chain(iter::once(&name)))?;
        manager.serve(socket)?;
        for peer in manager.connections() {
            connected(&peer).await?;
        }
        Ok::<_, Fault>(manager)
    })?;
    rest(IDLE);
    let after = Memory::now();
    let links = manager.stats();
    if !links.iter().all(|link| link.state.is_connected()) {
        return Err("a connection did not last".into());
    }
    runtime.block_on(manager.shutdown(Duration::ZERO));
    let what = format!("heap of an idle connection, on the side {which}");
    Ok(Row::new(what, after.heap_each(before, COUNT) / KIB, "KiB")
        .at_most(12.0, 8.0)
        .note(format!("{COUNT} of them")))
}
