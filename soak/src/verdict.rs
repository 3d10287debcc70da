//! The table at the end, and whether all promises were kept.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    enough,
    tally::Counts,
    words::{Broken, Rest, Wrong},
};

/// What a node may hold at the end over what it held at the beginning: tables and buffers that have
/// grown, and what the soak itself remembers.
pub const HEAP_GROWTH: u64 = 4 << 20;
/// The same for the memory of the process, of which the allocator gives little back.
pub const RESIDENT_GROWTH: u64 = 16 << 20;

/// So many broken promises are shown in full.
const SHOWN: usize = 50;

/// All that is known at the end.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// What everything was drawn from.
    pub seed: u64,
    /// How long the faults went on.
    pub took: Duration,
    /// What was counted, by all nodes in all their lives.
    pub counts: Counts,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Faults of a kind that could not be had, and why.
    pub not_run: Option<String>,
    /// What was left in each node that rested before the faults.
    pub before: Vec<Rest>,
    /// The same after them.
    pub after: Vec<Rest>,
    /// Calls of each node that succeeded once all was put right again.
    pub repaired: Vec<u64>,
    /// Broken promises.
    pub wrong: Vec<Wrong>,
}

impl Results {
    /// Looks at what was left, and adds what should not have been.
    pub fn judge(&mut self) {
        for (node, after) in self.after.iter().enumerate() {
            let before = self.before.get(node).copied().unwrap_or_default();
            for what in left(&before, after) {
                let kind = Broken::Left;
                let what = format!("node {node}: {what}");
                self.wrong.push(Wrong { kind, what });
            }
        }
        for what in enough::lacking(self) {
            let kind = Broken::Shown;
            self.wrong.push(Wrong { kind, what });
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

fn left(before: &Rest, after: &Rest) -> Vec<String> {
    let mut found = Vec::new();
    for (what, count) in [
        ("calls are open", after.open),
        ("calls are being served", after.serving),
        ("handlers run", after.handlers),
        ("bytes are queued", after.queued),
    ] {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    if after.tasks > before.tasks {
        found.push(format!("{} tasks, {} before", after.tasks, before.tasks));
    }
    for (what, before, after, growth) in [
        ("allocated", before.heap, after.heap, HEAP_GROWTH),
        ("resident", before.resident, after.resident, RESIDENT_GROWTH),
    ] {
        if after > before + growth {
            let (after, before) = (mib(after), mib(before));
            found.push(format!("{after} {what}, {before} before"));
        }
    }
    found
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let mut row = |what: &str, value: &dyn fmt::Display| writeln!(f, "{what:<44} {value:>12}");
        row("seed", &self.seed)?;
        row("seconds of faults", &self.took.as_secs())?;
        row("operations", &counts.operations.values().sum::<u64>())?;
        for (kind, count) in &counts.operations {
            row(&format!("  {kind}"), count)?;
        }
        row("operations that succeeded", &counts.succeeded)?;
        row("payloads checked", &counts.checked)?;
        row("  bytes of them", &mib(counts.bytes))?;
        row("faults", &self.faults.values().sum::<u64>())?;
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count)?;
        }
        row("reconnects", &counts.reconnects)?;
        row("errors", &counts.errors.values().sum::<u64>())?;
        for (reason, count) in &counts.errors {
            row(&format!("  {reason}"), count)?;
        }
        row(
            "longest lag of a probe thread",
            &format!("{} ms", counts.lag_ms),
        )?;
        row("late calls that the lag excuses", &counts.excused)?;
        for (node, succeeded) in self.repaired.iter().enumerate() {
            let what = format!("node {node}: succeeded after the repair");
            row(&what, succeeded)?;
        }
        for (node, after) in self.after.iter().enumerate() {
            let before = self.before.get(node).copied().unwrap_or_default();
            for (what, value) in [
                ("tasks", format!("{} -> {}", before.tasks, after.tasks)),
                (
                    "allocated",
                    format!("{} -> {}", mib(before.heap), mib(after.heap)),
                ),
                (
                    "resident",
                    format!("{} -> {}", mib(before.resident), mib(after.resident)),
                ),
            ] {
                // Of a node that was killed, before and after are different processes.
                let lives = match after.life - before.life.min(after.life) {
                    0 => String::new(),
                    more => format!(" (+{more} lives)"),
                };
                let what = format!("node {node}: {what}, before -> after{lives}");
                row(&what, &value)?;
            }
        }
        for kind in Broken::ALL {
            let count = self.wrong.iter().filter(|wrong| wrong.kind == kind).count();
            row(kind.title(), &count)?;
        }
        if let Some(reason) = &self.not_run {
            writeln!(f, "namespaces: not run: {reason}")?;
        }
        for wrong in self.wrong.iter().take(SHOWN) {
            writeln!(f, "BROKEN: {}: {}", wrong.kind.title(), wrong.what)?;
        }
        if let Some(more @ 1..) = self.wrong.len().checked_sub(SHOWN) {
            writeln!(f, "BROKEN: and {more} more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::enough::tests::enough;

    fn results(after: Rest) -> Results {
        let mut results = Results {
            before: vec![Rest {
                tasks: 30,
                heap: 1 << 20,
                ..Rest::default()
            }],
            after: vec![after],
            ..enough()
        };
        results.judge();
        results
    }

    #[test]
    fn what_is_left_is_told() {
        let good = Rest {
            tasks: 30,
            heap: (1 << 20) + HEAP_GROWTH,
            resident: RESIDENT_GROWTH,
            ..Rest::default()
        };
        assert!(results(good).clean());
        for bad in [
            Rest { open: 1, ..good },
            Rest { serving: 1, ..good },
            Rest {
                handlers: 1,
                ..good
            },
            Rest { queued: 1, ..good },
            Rest { tasks: 31, ..good },
            Rest {
                heap: good.heap + 1,
                ..good
            },
            Rest {
                resident: good.resident + 1,
                ..good
            },
        ] {
            let results = results(bad);
            assert_eq!(results.wrong.len(), 1, "{bad:?}");
            assert!(results.to_string().contains("BROKEN: left behind: node 0"));
        }
    }

    #[test]
    fn a_run_in_which_nothing_worked_is_not_clean() {
        let mut results = Results::default();
        results.judge();
        assert!(!results.clean());
        let mut results = enough();
        results.judge();
        assert!(results.clean());
        results.faults.clear();
        results.judge();
        assert!(!results.clean());
    }

    #[test]
    fn who_was_started_anew_is_marked() {
        let of = |life| {
            let rest = Rest {
                life,
                ..Rest::default()
            };
            results(rest).to_string()
        };
        assert!(of(2).contains("node 0: resident, before -> after (+2 lives)"));
        assert!(!of(0).contains("lives"));
    }
}
