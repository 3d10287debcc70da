//! What happened, counted: a simulation that does nothing finds nothing.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(crate) fn saw(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
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
