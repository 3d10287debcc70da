//! Connections out of memory for raw peers, so that the clock can be stopped.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::io;

use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};

/// What a node serves on.
pub(crate) struct Memory(mpsc::UnboundedReceiver<DuplexStream>);

/// Where it is dialed.
pub(crate) struct Dials(mpsc::UnboundedSender<DuplexStream>);

pub(crate) fn memory() -> (Dials, Memory) {
    let (dial, dialed) = mpsc::unbounded_channel();
    (Dials(dial), Memory(dialed))
}

impl Dials {
    /// A connection that holds so many bytes in each direction.
    pub(crate) fn connect(&self, holds: usize) -> DuplexStream {
        let (ours, theirs) = duplex(holds);
        self.0.send(theirs).unwrap();
        ours
    }
}

impl Accept for Memory {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            match self.0.recv().await {
                Some(stream) => Ok((Box::new(stream) as BoxIo, "memory".to_owned())),
                None => std::future::pending().await,
            }
        })
    }
}
