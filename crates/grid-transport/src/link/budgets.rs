//! What a node shares out among its links.

use std::sync::Arc;

use grid_proto::conn::Budget;

use crate::{config::Settings, session::Permits};

/// Limits of the whole node that its links draw from.
#[derive(Debug)]
pub(crate) struct Budgets {
    pub(crate) inbound: Arc<Budget>,
    pub(crate) queued: Arc<Budget>,
    pub(crate) handlers: Arc<Permits>,
}

impl Budgets {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            inbound: Budget::new(settings.max_inbound_node),
            queued: Budget::new(settings.max_queued_node),
            handlers: Permits::new(settings.max_handlers),
        }
    }
}
