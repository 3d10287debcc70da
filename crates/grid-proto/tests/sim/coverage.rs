//! What happened, counted: a simulation that does nothing finds nothing.

use std::collections::BTreeMap;

/// Counts by name. Counting is on the hot path, so names are looked up by where they lie in memory.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    slots: Vec<Option<(&'static str, u64)>>,
}

/// More than there are names, a power of two.
const SLOTS: usize = 1024;

impl Default for Coverage {
    fn default() -> Self {
        Self {
            slots: vec![None; SLOTS],
        }
    }
}

impl Coverage {
    pub(crate) fn saw(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        let address = what.as_ptr() as usize;
        let mut slot = (address ^ (address >> 9)) % SLOTS;
        loop {
            match &mut self.slots[slot] {
                Some((name, sum)) if std::ptr::eq(name.as_ptr(), what.as_ptr()) => {
                    *sum += count;
                    return;
                }
                Some(_) => slot = (slot + 1) % SLOTS,
                empty => {
                    *empty = Some((what, count));
                    return;
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (what, count) in other.slots.iter().flatten() {
            self.add(what, *count);
        }
    }

    /// All counts by name.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (what, count) in self.slots.iter().flatten() {
            *all.entry(*what).or_default() += count;
        }
        all
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        let slots = self.slots.iter().flatten();
        slots
            .filter(|(name, _)| *name == what)
            .map(|(_, count)| count)
            .sum()
    }

    /// What was to be seen this often, and was not.
    pub(crate) fn missing(&self, wanted: &[(&'static str, u64)]) -> Vec<String> {
        wanted
            .iter()
            .filter(|(what, least)| self.count(what) < *least)
            .map(|(what, least)| format!("{what}: {} of {least}", self.count(what)))
            .collect()
    }
}
