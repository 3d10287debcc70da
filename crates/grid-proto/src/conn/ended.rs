//! The mux ids that ended lately, so that what is still under way for them is told apart from nonsense.

use std::collections::VecDeque;

use super::table::{Seeded, Table};

/// How many ids are remembered.
const REMEMBERED: usize = 4096;

/// Ids that ended lately, and those that were never open but came up; and which of them were answered already.
#[derive(Debug)]
pub(super) struct Ended {
    ids: Table<Known>,
    order: VecDeque<u64>,
}

/// What is known of an id that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// It was open not long ago.
    pub(super) was_open: bool,
    /// A message for it was answered since.
    pub(super) answered: bool,
}

impl Ended {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            ids: Table::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
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
        self.ids.get(&mux).copied().unwrap_or(Known {
            was_open: false,
            answered: false,
        })
    }

    /// What was known of `mux`; from now on it counts as answered.
    pub(super) fn answer(&mut self, mux: u64) -> Known {
        let known = self.known(mux);
        if !known.answered {
            self.insert(
                mux,
                Known {
                    answered: true,
                    ..known
                },
            );
        }
        known
    }

    /// Forgets `mux`: it is open again.
    pub(super) fn forget(&mut self, mux: u64) {
        // The order keeps a stale entry; it is skipped when its turn comes.
        self.ids.remove(&mux);
    }

    fn insert(&mut self, mux: u64, known: Known) {
        if self.ids.insert(mux, known).is_none() {
            self.order.push_back(mux);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
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
}
