//! The mux ids for which a message came lately though they are not open, and was answered.

use std::collections::VecDeque;

use super::table::{Seeded, Table};

/// How many ids are remembered.
const REMEMBERED: usize = 4096;

/// Ids whose sender was told lately that they are not open, so that it is told once.
#[derive(Debug)]
pub(super) struct Answered {
    /// The ids, with the stamps of their entries.
    ids: Table<u64>,
    /// The same, oldest first.
    order: VecDeque<(u64, u64)>,
    stamp: u64,
}

impl Answered {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            ids: Table::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
            stamp: 0,
        }
    }

    /// Whether `mux` is to be answered; from now on it counts as answered.
    pub(super) fn is_first(&mut self, mux: u64) -> bool {
        if self.ids.contains_key(&mux) {
            return false;
        }
        self.stamp += 1;
        let stamp = self.stamp;
        self.ids.insert(mux, stamp);
        self.order.push_back((mux, stamp));
        while self.order.len() > REMEMBERED {
            if let Some((oldest, stamp)) = self.order.pop_front()
                && self.ids.get(&oldest) == Some(&stamp)
            {
                self.ids.remove(&oldest);
            }
        }
        true
    }

    /// Forgets `mux`: it is open again.
    pub(super) fn forget(&mut self, mux: u64) {
        // The order keeps a stale entry, which its stamp tells from a later one of the same id.
        self.ids.remove(&mux);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_once_and_stays_bounded() {
        let mut answered = Answered::new(7);
        assert!(answered.is_first(1) && !answered.is_first(1));
        answered.forget(1);
        assert!(answered.is_first(1) && !answered.is_first(1));
        for mux in 0..100_000 {
            answered.is_first(mux);
        }
        assert_eq!(
            (answered.order.len(), answered.ids.len()),
            (REMEMBERED, REMEMBERED)
        );
    }

    #[test]
    fn what_was_opened_again_is_remembered_from_its_last_answer() {
        let mut answered = Answered::new(7);
        answered.is_first(1);
        answered.forget(1);
        for mux in 2..REMEMBERED as u64 {
            answered.is_first(mux);
        }
        answered.is_first(1);
        answered.is_first(0);
        answered.is_first(REMEMBERED as u64);
        assert!(!answered.is_first(1), "the stale entry took it along");
        assert_eq!(answered.order.len(), REMEMBERED);
    }
}
