//! How a task ends, and the table of those that ran.

use std::fmt;
use std::time::{Duration, Instant};

/// A task that did not fail.
pub(crate) enum Done {
    /// It did all that it should.
    Ok,
    /// The same, with something worth a line.
    With(String),
    /// It could not be run here, and that is no failure.
    NotRun(String),
}

/// A task that failed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What was checked is wrong: exit code 1.
    Failed(String),
    /// Something that the task needs is not installed, or an argument is wrong: exit code 2.
    Missing(String),
}

impl Stop {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Failed(reason) | Self::Missing(reason)) = self;
        f.write_str(reason)
    }
}

pub(crate) type Outcome = Result<Done, Stop>;

struct Row {
    name: &'static str,
    verdict: &'static str,
    took: Duration,
    note: String,
}

/// Runs named steps one after the other and remembers how they ended.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Announces and runs a step; says whether it failed.
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> Outcome) -> bool {
        println!("\n==> {name}");
        let begin = Instant::now();
        let outcome = run();
        let took = begin.elapsed();
        let failed = outcome.is_err();
        let (verdict, note) = match outcome {
            Ok(Done::Ok) => ("ok", String::new()),
            Ok(Done::With(note)) => ("ok", note),
            Ok(Done::NotRun(reason)) => ("not run", reason),
            Err(stop) => ("FAILED", stop.to_string()),
        };
        let separator = if note.is_empty() { "" } else { ": " };
        println!(
            "<== {name}: {verdict} in {:.1} s{separator}{note}",
            took.as_secs_f64()
        );
        self.rows.push(Row {
            name,
            verdict,
            took,
            note,
        });
        failed
    }

    /// Adds a line for something that an earlier step did on the way.
    pub(crate) fn covered(&mut self, name: &'static str, by: &str, how: &str) {
        let verdict = self
            .rows
            .iter()
            .find(|row| row.name == by)
            .map_or("not run", |row| row.verdict);
        let note = format!("{how} by `{by}`");
        self.rows.push(Row {
            name,
            verdict,
            took: Duration::ZERO,
            note,
        });
    }

    /// Prints the table; fails if a step failed.
    pub(crate) fn finish(self, not_reached: &[&'static str]) -> Outcome {
        println!("\n{:<16} {:<8} {:>8}  note", "step", "result", "seconds");
        for row in &self.rows {
            let first_line = row.note.lines().next().unwrap_or_default();
            println!(
                "{:<16} {:<8} {:>8.1}  {first_line}",
                row.name,
                row.verdict,
                row.took.as_secs_f64()
            );
        }
        for name in not_reached {
            println!(
                "{name:<16} {:<8} {:>8}  an earlier step failed",
                "not run", "-"
            );
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        println!("{:<16} {:<8} {:>8.1}", "all", "", total.as_secs_f64());
        let failed: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.verdict == "FAILED" && row.took > Duration::ZERO)
            .map(|row| row.name)
            .collect();
        if failed.is_empty() {
            Ok(Done::Ok)
        } else {
            Err(Stop::Failed(format!("failed: {}", failed.join(", "))))
        }
    }
}
