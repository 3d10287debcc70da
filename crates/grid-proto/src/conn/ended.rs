//! The mux ids that ended lately, so that what is still under way for them is told apart from nonsense.

use std::collections::VecDeque;

use super::table::{Seeded, Table};

/// How many ids are remembered.
const REMEMBERED: usize = 4096;

/// Ids that ended lately, and those that were never open but came up; and which of them were answered already.
#[derive(Debug)]
pub(super) struct Ended {
    ids: Table<Entry>,
    /// The ids with the stamps of their entries, oldest first.
    order: VecDeque<(u64, u64)>,
    stamp: u64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    stamp: u64,
}

/// What is known of an id that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// It was open not long ago.
    pub(super) was_open: bool,
    /// A message for it was answered since.
    pub(super) answered: bool,
}

const NOTHING: Known = Known {
    was_open: false,
    answered: false,
};

impl Ended {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            ids: Table::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
            stamp: 0,
        }
    }

    /// Remembers that `mux` ended.
    pub(super) fn remember(&mut self, mux: u64) {
        self.insert(
            mux,
            Known {
                was_open: true,
                answered: false,
            },
        );
    }

    /// What is known of `mux`.
    pub(super) fn known(&self, mux: u64) -> Known {
        self.ids.get(&mux).map_or(NOTHING, |entry| entry.known)
    }

    /// What was known of `mux`; from now on it counts as answered.
    pub(super) fn answer(&mut self, mux: u64) -> Known {
        if let Some(entry) = self.ids.get_mut(&mux) {
            let known = entry.known;
            entry.known.answered = true;
            return known;
        }
        self.insert(
            mux,
            Known {
                answered: true,
                ..NOTHING
            },
        );
        NOTHING
    }

    /// Forgets `mux`: it is open again.
    pub(super) fn forget(&mut self, mux: u64) {
        // The order keeps a stale entry, which its stamp tells from a later one of the same id.
        self.ids.remove(&mux);
    }

    fn insert(&mut self, mux: u64, known: Known) {
        self.stamp += 1;
        let stamp = self.stamp;
        self.ids.insert(mux, Entry { known, stamp });
        self.order.push_back((mux, stamp));
        while self.order.len() > REMEMBERED {
            if let Some((oldest, stamp)) = self.order.pop_front()
                && self
                    .ids
                    .get(&oldest)
                    .is_some_and(|entry| entry.stamp == stamp)
            {
                self.ids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_once_and_stays_bounded() {
        let mut ended = Ended::new(7);
        let known = |was_open, answered| Known { was_open, answered };
        assert_eq!(ended.answer(1), known(false, false));
        assert_eq!(ended.answer(1), known(false, true));
        ended.remember(2);
        assert_eq!(ended.known(2), known(true, false));
        assert_eq!(ended.answer(2), known(true, false));
        assert_eq!(ended.answer(2), known(true, true));
        ended.forget(2);
        assert_eq!(ended.answer(2), known(false, false));
        for mux in 0..100_000 {
            ended.remember(mux);
        }
        assert_eq!(
            (ended.order.len(), ended.ids.len()),
            (REMEMBERED, REMEMBERED)
        );
    }

    #[test]
    fn what_was_opened_again_is_remembered_from_its_last_end() {
        let mut ended = Ended::new(7);
        ended.remember(1);
        ended.forget(1);
        (2..REMEMBERED as u64).for_each(|mux| ended.remember(mux));
        ended.remember(1);
        ended.remember(0);
        ended.remember(REMEMBERED as u64);
        assert!(ended.known(1).was_open);
        assert_eq!(ended.order.len(), REMEMBERED);
    }
}
