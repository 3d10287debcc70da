//! `grid demo`: four nodes exchange a directory tree while their connections are cut.
//!
//! ```text
//!   parent ── stdin, stdout ──► node 1 … node 4     a process each
//!   node ──► proxy in the parent ──► node           one proxy a pair, which cuts
//! ```

mod args;
mod child;
mod fetch;
mod message;
mod outbox;
mod pairs;
mod parent;
mod process;
mod progress;
mod proxy;
mod report;
mod schedule;
mod serve;
mod tally;
mod verify;
mod walk;

use std::io::{self, Write};

pub(crate) use self::{args::DemoArgs, child::run as run_node};
use self::{args::DemoConfig, parent::Parent};
use crate::{failure::Failure, signal::Signals};

/// Runs the demo and prints its report. All processes are gone when this returns.
pub(crate) async fn run(config: DemoConfig) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("this program can't find itself: {error}")))?;
    // Long enough that nobody on this machine guesses it while the demo runs.
    let token = format!("{:032x}", rand::random::<u128>());
    let mut parent = Parent::spawn(config, &program, &token)?;
    let outcome = tokio::select! {
        outcome = parent.run() => outcome,
        _ = signals.next() => Err(Failure::Interrupted),
    };
    parent.end().await;
    let report = outcome?;
    print(io::stdout(), &report.render())?;
    match report.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Failure::failed(faults.join("; "))),
    }
}

/// Prints the report. Whoever closed stdout does not want it; a disk that is full loses it.
fn print(mut to: impl Write, report: &str) -> Result<(), Failure> {
    match to.write_all(report.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "the report can't be written: {error}"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing, for the given reason.
    struct Full(io::ErrorKind);

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_report_that_is_lost_is_a_failure_unless_nobody_wants_it() {
        let lost = print(Full(io::ErrorKind::StorageFull), "report");
        assert!(
            matches!(&lost, Err(Failure::Failed(text)) if text.contains("report")),
            "{lost:?}"
        );
        assert!(print(Full(io::ErrorKind::BrokenPipe), "report").is_ok());
        let mut out = Vec::new();
        print(&mut out, "report").unwrap();
        assert_eq!(out, b"report");
    }
}
