//! A node's lock server: the six handlers over its table.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grid_transport::Builder;
use grid_typed::ManagerBuilderExt as _;
use tokio::time::Instant;

use crate::protocol::{Ask, Op, Verdict};
use crate::table::Table;

/// Handlers of all connections share it, and so does the node's own caller.
#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<Table>>);

impl Server {
    pub(crate) fn new(lease: Duration) -> Self {
        Self(Arc::new(Mutex::new(Table::new(Instant::now(), lease))))
    }

    /// Registers a handler for each thing that can be asked.
    pub(crate) fn register(&self, node: Builder) -> Builder {
        Op::ALL.into_iter().fold(node, |node, op| {
            let server = self.clone();
            node.typed(op.definition(), move |ask, context| {
                ready(Ok(server.serve(op, context.caller(), &ask)))
            })
        })
    }

    /// Nothing is awaited under the lock, and nothing of the table is half done when it panics.
    pub(crate) fn serve(&self, op: Op, owner: &str, ask: &Ask) -> Verdict {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.serve(Instant::now(), op, owner, ask)
    }
}
