//! What is held of a stream's items because nobody has taken them.

use std::sync::Arc;

use super::{
    budget::{Budget, Charge},
    credit::ITEM_COST,
};

/// Counts the charges of one stream's items, while these last: credit is returned for several at a time, so a reader may
/// have taken many that are still counted as unconsumed.
#[derive(Debug, Default)]
pub(super) struct Unread(Option<Arc<Budget>>);

impl Unread {
    /// What an item of so many bytes counts.
    pub(super) fn cost(bytes: usize) -> usize {
        bytes.saturating_add(ITEM_COST)
    }

    /// Counts an item here and in `inbound`, which is the same one each time.
    pub(super) fn charge(&mut self, inbound: &Arc<Budget>, cost: usize) -> Charge {
        self.0
            .get_or_insert_with(|| Budget::child(inbound, usize::MAX))
            .charge_over(cost)
    }

    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.used())
    }
}
