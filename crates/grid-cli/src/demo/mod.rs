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

pub(crate) use self::{args::DemoArgs, child::run as run_node};
use self::{args::DemoConfig, parent::Parent};
use crate::{failure::Failure, output, signal::Signals};

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
        _ = signals.next() => Err(Failure::Interrupted("interrupted".into())),
    };
    parent.end().await;
    let report = outcome?;
    match output::print(report.render().as_bytes(), "the report is lost") {
        // Whoever closed stdout does not want it.
        Err(Failure::Unread(_)) => {}
        printed => printed?,
    }
    match report.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Failure::failed(faults.join("; "))),
    }
}
