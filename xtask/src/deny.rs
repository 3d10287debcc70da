//! Licences, sources and known faults of what we depend on, by cargo-deny and `deny.toml`.

use crate::process;
use crate::report::{Done, Outcome};

/// The checks that look at nothing but the lock file and the manifests.
const OFFLINE: [&str; 3] = ["licenses", "bans", "sources"];

pub(crate) fn run() -> Outcome {
    if !process::works(&mut process::cargo(["deny", "--version"])) {
        return Ok(Done::NotRun("cargo-deny is not installed".to_owned()));
    }
    let checks = ["deny", "--all-features", "check"];
    process::run(process::cargo(checks).args(OFFLINE))?;
    // The list of advisories is fetched; where it can't be, that is no fault of ours.
    if !process::works(&mut process::cargo(["deny", "fetch", "db"])) {
        return Ok(Done::With(format!(
            "{}; advisories not run: their list can't be fetched",
            OFFLINE.join(", ")
        )));
    }
    process::run(process::cargo(checks).arg("advisories"))?;
    Ok(Done::With(format!("{}, advisories", OFFLINE.join(", "))))
}
