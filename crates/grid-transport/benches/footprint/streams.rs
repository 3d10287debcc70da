//! Heap of an idle open stream, on the caller's and on the handler's side.

use std::time::Duration;

use grid_transport::{Payload, Stream};
use tokio::runtime::Runtime;

use crate::{
    Fault,
    node::{self, CAPACITY, WAITS, connected, echo, node, payload},
    other::Other,
    table::Row,
    usage::Memory,
};

const COUNT: usize = 10_000;

const KIB: f64 = 1024.0;

pub(crate) fn measure(runtime: &Runtime) -> Result<Vec<Row>, Fault> {
    let (socket, name) = runtime.block_on(node::socket())?;
    let mut other = Other::start(&name, 1, None)?;
    let (manager, peer) = runtime.block_on(async {
        let manager = node(&name, other.names.iter().chain([&name]))?;
        manager.serve(socket)?;
        let peer = manager.connection(&other.names[0])?;
        connected(&peer).await?;
        echo(&peer, &payload()).await?;
        Ok::<_, Fault>((manager, peer))
    })?;
    let before = [Memory::at_rest(), other.memory()?];
    let streams = runtime.block_on(async {
        let mut streams: Vec<Stream> = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            streams.push(peer.stream(WAITS, CAPACITY, Payload::Absent).await?);
        }
        // It goes behind all that was queued, so its answer says that they were opened.
        peer.ping(Duration::from_secs(30)).await?;
        Ok::<_, Fault>(streams)
    })?;
    let after = [Memory::at_rest(), other.memory()?];
    let served = other.serving()?;
    if served != COUNT {
        return Err(format!("{served} streams are served").into());
    }
    drop(streams);
    runtime.block_on(manager.shutdown(Duration::ZERO));
    let row = |side: usize, whose: &str| {
        let value = after[side].heap_each(before[side], COUNT) / KIB;
        let note = format!("{COUNT} of them, capacity 100");
        let what = format!("heap of an idle open stream, on the {whose} side");
        Row::new(what, value, "KiB").note(note)
    };
    Ok(vec![
        row(0, "caller's").at_most(1.0, 0.5),
        row(1, "handler's").at_most(1.5, 1.0),
    ])
}
