//! Builds and runs every example of the libraries. Each must end by itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::Metadata;

/// An example that runs longer than this does not end by itself.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    let metadata = Metadata::load()?;
    let examples: Vec<_> = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.is("example"))
        .collect();
    if examples.is_empty() {
        return Ok(Done::NotRun("no crate has an example".to_owned()));
    }
    process::run(&mut process::cargo([
        "build",
        "--workspace",
        "--all-features",
        "--examples",
    ]))?;
    let folder = metadata.target_directory.join("debug").join("examples");
    for example in &examples {
        let name = format!("{}{}", example.name, std::env::consts::EXE_SUFFIX);
        println!("$ examples/{name}");
        run_within(&folder.join(name), LIMIT)?;
    }
    let names: Vec<_> = examples
        .iter()
        .map(|example| example.name.as_str())
        .collect();
    Ok(Done::With(names.join(", ")))
}

/// Runs a program, passes on its output, and kills it when the time is over.
fn run_within(path: &Path, limit: Duration) -> Result<(), Stop> {
    within(process::program(path), &path.display().to_string(), limit)
}

fn within(mut command: Command, name: &str, limit: Duration) -> Result<(), Stop> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Stop::Failed(format!("can't run {name}: {error}")))?;
    let Some(output) = child.stdout.take() else {
        return Err(Stop::failed("the output of a child is not there"));
    };
    // The end of its output is the end of the program: no polling, no sleeping.
    let (ended, end) = mpsc::channel();
    let printer = thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
        }
        // The other side may have given up on it.
        let _ = ended.send(());
    });
    let in_time = end.recv_timeout(limit).is_ok();
    if !in_time {
        // It may have ended this very moment, which is as good.
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(|error| Stop::Failed(format!("can't wait for {name}: {error}")))?;
    if printer.join().is_err() {
        return Err(Stop::Failed(format!("could not print what {name} wrote")));
    }
    match (in_time, status.success()) {
        (false, _) => Err(Stop::Failed(format!(
            "{name} was still running after {} s",
            limit.as_secs()
        ))),
        (true, false) => Err(Stop::Failed(format!("{name} ended with {status}"))),
        (true, true) => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod unit {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = process::program("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_is_fine() {
        assert!(within(shell("echo done"), "it", LIMIT).is_ok());
    }

    #[test]
    fn a_program_that_fails_is_named() {
        let error = within(shell("exit 3"), "it", LIMIT).map_err(|stop| stop.to_string());
        assert!(error.is_err_and(|text| text.contains("it ended with") && text.contains('3')));
    }

    #[test]
    fn a_program_that_goes_on_is_killed() {
        let error = within(
            shell("exec tail -f /dev/null"),
            "it",
            Duration::from_millis(50),
        );
        assert!(error.is_err_and(|stop| stop.to_string().contains("still running")));
    }
}
