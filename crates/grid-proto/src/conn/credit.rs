//! Credits: how many items may still be sent on a mux.

use crate::wire::Message;

/// What an item that nobody has taken counts beside its bytes: what it takes in memory. Without it a large capacity of
/// empty items would be held for nothing.
pub const ITEM_COST: usize = 128;

/// Credits in hand, never more than the capacity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credits {
    left: u32,
    capacity: u32,
}

impl Credits {
    pub(super) fn new(left: u32, capacity: u32) -> Self {
        Self { left, capacity }
    }

    /// Whether all of it is there.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(super) fn is_whole(self) -> bool {
        self.left == self.capacity
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    /// Adds up to `count`; gives how many were more than the capacity allows. A peer that returns more than it was
    /// sent gets nothing by it.
    pub(super) fn add(&mut self, count: u32) -> u32 {
        let room = self.capacity - self.left;
        self.left += count.min(room);
        count.saturating_sub(room)
    }
}

/// Takes out what the next message returns: one credit, or all where they are counted. Says what the message has to, which
/// is nothing of a single one.
pub(super) fn returned(owed: &mut u32, counted: bool) -> u32 {
    let count = if counted { *owed } else { 1 };
    *owed -= count;
    if count > 1 { count } else { 0 }
}

/// How many credits a message returns. Whoever counts was told that we do, and all others say nothing.
pub(super) fn credits_in(message: &Message) -> u32 {
    message.deadline_ms.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_above_the_capacity_nor_below_none() {
        let mut credits = Credits::new(0, 2);
        assert!(!credits.take());
        assert_eq!(credits.add(2), 0);
        assert_eq!(credits.add(u32::MAX), u32::MAX);
        assert!(credits.take() && credits.take() && !credits.take());
        assert_eq!(credits.add(5), 3);
    }
}
