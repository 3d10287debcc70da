//! Licences, sources and known faults of what we depend on, by cargo-deny and `deny.toml`.

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, WORKSPACES};

/// The checks that look at nothing but the lock file and the manifests.
const OFFLINE: [&str; 3] = ["licenses", "bans", "sources"];

pub(crate) fn run() -> Outcome {
    if !process::works(&mut process::cargo(["deny", "--version"])) {
        return Ok(Done::NotRun("cargo-deny is not installed".to_owned()));
    }
    check(&OFFLINE)?;
    // The list of advisories is fetched; where it can't be, that is no fault of ours.
    if !process::works(&mut process::cargo(["deny", "fetch", "db"])) {
        return Ok(Done::With(format!(
            "{}; advisories not run: their list can't be fetched",
            OFFLINE.join(", ")
        )));
    }
    check(&["advisories"])?;
    Ok(Done::With(format!("{}, advisories", OFFLINE.join(", "))))
}

/// Of every lock file in the tree, by the one list of what is allowed.
fn check(what: &[&str]) -> Result<(), Stop> {
    for folder in WORKSPACES {
        let manifest = workspace::root().join(folder).join("Cargo.toml");
        let mut command = process::cargo(["deny", "--all-features", "--manifest-path"]);
        command.arg(manifest).args(["check", "--config"]);
        process::run(command.arg(workspace::root().join("deny.toml")).args(what))?;
    }
    Ok(())
}
