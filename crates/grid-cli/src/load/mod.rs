//! `grid load`: as many operations as a node takes, or as many as are due, and what they took.

mod args;
mod axis;
mod engine;
mod plot;
mod progress;
mod recorder;
mod report;
mod text;
mod usage;
mod workload;

pub(crate) use self::args::{Load, LoadArgs};
use self::{
    engine::{Plan, Ran},
    progress::{Part, Progress},
    report::{Report, Warmup},
    usage::Used,
    workload::Assignment,
};
use crate::{failure::Failure, output, reach::Peer, signal::Signals};

/// What was measured, and the report of it.
type Measured = (Ran, Report);

/// Puts the load on and reports.
pub(crate) async fn run(load: Load) -> Result<(), Failure> {
    let (ran, report) = load
        .reach
        .run(&load.settings.to, None, async |peer, signals| {
            measure(&load, peer, signals).await
        })
        .await?;
    let drawn = match &load.plot {
        Some(path) => {
            plot::draw(&report, &ran).and_then(|svg| output::write_file(path, svg.as_bytes()))
        }
        None => Ok(()),
    };
    let shown = if load.json {
        report.json()?
    } else {
        text::render(&report).into_bytes()
    };
    output::print(&shown, "the report is lost")?;
    drawn?;
    report.verdict()
}

async fn measure(load: &Load, peer: &Peer, signals: &mut Signals) -> Result<Measured, Failure> {
    let assignment = Assignment {
        peer: peer.clone(),
        work: load.work.clone(),
    };
    let mut progress = Progress::new(load.quiet);
    let mut warmup = Warmup::default();
    if let Some(lasting) = load.warmup {
        let plan = Plan {
            lasting,
            ..load.plan
        };
        let ran = engine::run(plan, assignment.clone(), signals, |recorder| {
            progress.show(Part::Warmup, lasting, recorder);
        })
        .await?;
        if ran.interrupted {
            progress.clear();
            return Err(Failure::Interrupted(
                "interrupted before anything was measured".to_owned(),
            ));
        }
        warmup = Warmup {
            operations: ran.tally.operations() + ran.tally.failed(),
            errors: ran.tally.failed(),
        };
    }
    let before = signals.cut(async { Ok(Used::now(peer).await) }).await?;
    let ran = engine::run(load.plan, assignment, signals, |recorder| {
        progress.show(Part::Measured, load.plan.lasting, recorder);
    })
    .await;
    progress.clear();
    let ran = ran?;
    let after = tokio::select! {
        used = Used::now(peer) => used,
        // Whoever is in a hurry gets the report without what others would have told.
        _ = signals.next() => Used::here(),
    };
    let report = Report::new(&load.settings, &ran, warmup, &before, &after);
    Ok((ran, report))
}
