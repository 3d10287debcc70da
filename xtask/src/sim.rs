//! The simulation of the protocol's machine at full speed.

use crate::process;
use crate::report::{Done, Outcome};

const TEST: &str = "promises_hold_in_every_history";

/// Runs so many seeded histories, beginning with that of one seed, in a release build on all processors. One that goes
/// wrong is printed as small as it still goes wrong in the same way.
pub(crate) fn run(seeds: u64, from: u64) -> Outcome {
    let mut command = process::cargo(["test", "--release", "-p", "grid-proto", "--test", "sim"]);
    command.args(["--", "--exact", "--nocapture", TEST]);
    command
        .env("GRID_SIM_SEEDS", seeds.to_string())
        .env("GRID_SIM_FROM", from.to_string())
        .env_remove("GRID_SIM_SEED");
    process::run(&mut command)?;
    Ok(Done::With(format!(
        "seeds {from} to {} break no promise",
        from.saturating_add(seeds).saturating_sub(1)
    )))
}
