//! When something is due.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A call of ours, by its mux.
    Call(u64),
    /// A single request that we serve, by its serial.
    Served(u64),
    /// A stream that we serve, by its mux.
    Incoming(u64),
}

type Entry = (Instant, TimerKey);

/// As many timeouts as may be mixed at random before some have to go into the tree.
const ROWS: usize = 4;

/// Entries of a row that are over are kept until there are more of them than this, and than of the others.
const LEFT_OVER: usize = 32;

/// The times. Whoever has a time keeps it in a field of its own too, so that it can be taken out.
///
/// Almost all calls of a connection have one of few timeouts, so that their ends come in the order of their beginnings:
/// such times are appended to a row, and found there by bisection. The tree has what fits into no row.
#[derive(Debug, Default)]
pub(super) struct Timers {
    rows: [Row; ROWS],
    tree: BTreeSet<Entry>,
}

impl Timers {
    /// Moves the time of `key`, kept in `field`, to `at`.
    pub(super) fn set(&mut self, key: TimerKey, field: &mut Option<Instant>, at: Option<Instant>) {
        if *field == at {
            return;
        }
        if let Some(old) = field.take() {
            self.remove((old, key));
        }
        if let Some(at) = at {
            self.insert((at, key));
            *field = Some(at);
        }
    }

    /// Forgets the time of `key`, kept in `field`.
    pub(super) fn clear(&mut self, key: TimerKey, field: Option<Instant>) {
        if let Some(at) = field {
            self.remove((at, key));
        }
    }

    fn insert(&mut self, entry: Entry) {
        if !self.rows.iter_mut().any(|row| row.append(entry)) {
            self.tree.insert(entry);
        }
    }

    fn remove(&mut self, entry: Entry) {
        if !self.rows.iter_mut().any(|row| row.remove(entry)) {
            self.tree.remove(&entry);
        }
    }

    fn first(&self) -> Option<Entry> {
        let rows = self.rows.iter().filter_map(Row::first);
        rows.chain(self.tree.first().copied()).min()
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Instant> {
        let mut earliest = self.tree.first().map(|(at, _)| *at);
        for row in &self.rows {
            if let Some((at, _)) = row.first()
                && earliest.is_none_or(|earliest| at < earliest)
            {
                earliest = Some(at);
            }
        }
        earliest
    }

    /// Takes one that is due. Its owner's field still holds the time, which means nothing any more.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = self.first().filter(|(at, _)| *at <= now)?;
        self.remove((at, key));
        Some(key)
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len() + self.rows.iter().map(Row::len).sum::<usize>()
    }

    pub(super) fn drop_all(&mut self) {
        *self = Self::default();
    }
}

/// Times in their order. What is taken out of the middle leaves its entry behind.
#[derive(Debug, Default)]
struct Row {
    /// Each with whether it is over; the first is not.
    entries: VecDeque<(Entry, bool)>,
    over: usize,
}

impl Row {
    fn len(&self) -> usize {
        self.entries.len() - self.over
    }

    fn first(&self) -> Option<Entry> {
        self.entries.front().map(|(entry, _)| *entry)
    }

    /// Adds it if it is the latest.
    fn append(&mut self, entry: Entry) -> bool {
        let fits = self.entries.back().is_none_or(|(last, _)| *last < entry);
        if fits {
            self.entries.push_back((entry, false));
        }
        fits
    }

    fn remove(&mut self, entry: Entry) -> bool {
        // Most calls end in the order in which they began.
        let found = match self.entries.front() {
            None => return false,
            Some((first, _)) if *first == entry => Ok(0),
            Some(_) => self
                .entries
                .binary_search_by(|(other, _)| other.cmp(&entry)),
        };
        let Some((_, over)) = found.ok().and_then(|index| self.entries.get_mut(index)) else {
            return false;
        };
        if std::mem::replace(over, true) {
            return false;
        }
        self.over += 1;
        while self.entries.pop_front_if(|(_, over)| *over).is_some() {
            self.over -= 1;
        }
        if self.over > LEFT_OVER && self.over > self.len() {
            self.entries.retain(|(_, over)| !over);
            self.over = 0;
        }
        if self.entries.capacity() > 1024 && self.entries.len() < self.entries.capacity() / 16 {
            // A link keeps no trace of its busiest moment.
            self.entries.shrink_to(4 * self.entries.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moved_or_cleared_time_leaves_nothing() {
        let start = Instant::now();
        let later = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let (mut one, mut two) = (None, None);
        timers.set(TimerKey::Call(1), &mut one, Some(later(5)));
        timers.set(TimerKey::Incoming(1), &mut two, Some(later(3)));
        timers.set(TimerKey::Call(1), &mut one, Some(later(1)));
        assert_eq!((timers.len(), timers.next()), (2, Some(later(1))));
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(later(2)), Some(TimerKey::Call(1)));
        timers.clear(TimerKey::Incoming(1), two);
        assert_eq!((timers.len(), timers.next()), (0, None));
    }

    /// The times of a set that was always sorted.
    #[test]
    fn rows_and_tree_together_are_one_sorted_set() {
        let start = Instant::now();
        let mut random = 1_u64;
        let mut below = |most: u64| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) % most
        };
        for timeouts in [1, 3, 5, 40] {
            let (mut timers, mut sorted) = (Timers::default(), BTreeSet::new());
            let mut open: Vec<Entry> = Vec::new();
            for number in 0..20_000_u64 {
                let now = start + Duration::from_millis(number / 3);
                let at = now + Duration::from_millis(500 * (1 + below(timeouts)));
                let key = TimerKey::Call(number);
                timers.set(key, &mut None, Some(at));
                sorted.insert((at, key));
                open.push((at, key));
                let most = if number % 4_000 < 1_000 { 900 } else { 20 };
                while open.len() as u64 > most {
                    let index = usize::try_from(below(open.len() as u64)).expect("it is small");
                    let (at, key) = open.swap_remove(index);
                    timers.clear(key, Some(at));
                    // To take it out twice takes nothing else out.
                    timers.clear(key, Some(at));
                    sorted.remove(&(at, key));
                }
                while let Some(key) = timers.pop_due(now) {
                    let first = sorted.pop_first().expect("one is left");
                    assert_eq!(key, first.1);
                    assert!(first.0 <= now);
                    open.retain(|entry| *entry != first);
                }
                assert_eq!(timers.next(), sorted.first().map(|(at, _)| *at));
                assert_eq!(timers.len(), sorted.len());
                let kept: usize = timers.rows.iter().map(|row| row.entries.len()).sum();
                assert!(
                    kept <= 2 * sorted.len() + ROWS * (LEFT_OVER + 1),
                    "{kept} of {}",
                    sorted.len()
                );
            }
            assert_eq!(
                timeouts > ROWS as u64,
                !timers.tree.is_empty(),
                "{timeouts}"
            );
        }
    }

    #[test]
    fn a_busy_moment_leaves_no_trace() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let mut fields: Vec<_> = (0..10_000).map(|_| None).collect();
        for (number, field) in fields.iter_mut().enumerate() {
            timers.set(TimerKey::Call(number as u64), field, Some(start));
        }
        assert!(timers.tree.is_empty());
        for (number, field) in fields.into_iter().enumerate() {
            timers.clear(TimerKey::Call(number as u64), field);
        }
        assert_eq!(timers.len(), 0);
        assert!(
            timers
                .rows
                .iter()
                .all(|row| row.entries.capacity() <= 1_024)
        );
    }
}
