//! Everything that a change must pass.

use crate::report::{Outcome, Report};
use crate::{
    api, deny, docs, examples, features, fuzz, gate, lint, locks, msrv, outside, package,
    scenarios, semver, soak, tests, tidy,
};

type Step = (&'static str, fn() -> Outcome);

/// Cheap steps first; those that share artefacts next to each other.
const STEPS: [Step; 19] = [
    ("fmt", || lint::fmt(true)),
    ("tidy", tidy::run_on_files),
    ("scenarios", || scenarios::run(true, false)),
    ("locks", locks::run),
    ("deny", deny::run),
    ("clippy", lint::clippy),
    ("features", features::run),
    ("test", || tests::run(&[])),
    ("help", tidy::run_on_help),
    ("soak", soak::ci),
    ("gate", || gate::run(false)),
    ("docs", docs::run),
    ("api", || api::run(false)),
    ("semver", || semver::run(None)),
    ("examples", examples::run),
    ("outside", outside::run),
    ("package", package::run),
    ("msrv", msrv::run),
    ("fuzz targets", fuzz::check),
];

/// Runs the steps in order and prints a table of how they ended.
pub(crate) fn run(keep_going: bool) -> Outcome {
    let mut report = Report::default();
    let mut reached = STEPS.len();
    for (index, (name, step)) in STEPS.iter().enumerate() {
        if report.step(name, step) && !keep_going {
            reached = index + 1;
            break;
        }
    }
    report.covered("fuzz seeds", "test", "replayed");
    report.covered("benches", "clippy", "compiled");
    let not_reached: Vec<_> = STEPS.iter().skip(reached).map(|(name, _)| *name).collect();
    report.finish(&not_reached)
}
