//! Under what circumstances it was measured.

use std::{fmt, fs, thread};

use anyhow::Context as _;
use serde::Serialize;

use crate::run::Plan;

/// Those whose version a reader asks for.
const LIBRARIES: [&str; 8] = [
    "jsonrpsee",
    "remoc",
    "tarpc",
    "tokio",
    "tokio-tungstenite",
    "tonic",
    "h2",
    "tungstenite",
];

const LOCK: &str = include_str!("../../Cargo.lock");

#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    processor: String,
    processors: usize,
    system: String,
    seconds: f64,
    warmup: f64,
    rounds: usize,
    /// Processes that could run, when it began.
    load_before: String,
    versions: Vec<String>,
}

impl Setting {
    pub(crate) fn of(plan: &Plan, rounds: usize) -> anyhow::Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let processor = processors
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == "model name")
            .map_or("unknown", |(_, name)| name.trim());
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            processor: processor.to_owned(),
            processors: thread::available_parallelism()?.get(),
            system: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            seconds: plan.seconds,
            warmup: plan.warmup,
            rounds,
            load_before: load
                .split(' ')
                .next()
                .context("the kernel tells no load")?
                .to_owned(),
            versions: LIBRARIES.into_iter().flat_map(versions).collect(),
        })
    }
}

/// As `name version`, each that is in the lock file.
fn versions(name: &str) -> Vec<String> {
    let head = format!("name = \"{name}\"\nversion = \"");
    LOCK.match_indices(&head)
        .filter_map(|(at, _)| LOCK.get(at + head.len()..)?.split('"').next())
        .map(|version| format!("{name} {version}"))
        .collect()
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} × {}, Linux {}, load {} before; {} rounds of {} s after {} s; medians with least and most. {}.",
            self.processors,
            self.processor,
            self.system,
            self.load_before,
            self.rounds,
            self.seconds,
            self.warmup,
            self.versions.join(", "),
        )
    }
}
