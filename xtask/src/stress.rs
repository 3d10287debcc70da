//! The connection tests, over and over, on a machine that is busy.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde::Deserialize;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::tests;

/// What makes, loses, refuses, replaces and ends connections: the test programs of that, and the
/// unit tests of links and sessions, but for those that go through every history there is: they find
/// the same each time.
const CONNECTION_TESTS: &str = "package(grid-transport) & (\
    binary(/^(bursts|entry|handshake|ping|reject|scenario_links|shutdown|turmoil|upgrade|waiting)$/) \
    | (test(/^(link|session)::/) - test(/::every_history/)))";
/// More tests at once than there are processors, and as many threads that only burn time.
const TESTS_A_PROCESSOR: usize = 4;

/// How a test went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    passed: u32,
    failed: u32,
    longest: f64,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    event: &'a str,
    #[serde(default)]
    name: String,
    #[serde(default)]
    exec_time: f64,
    #[serde(default)]
    stdout: Option<String>,
}

/// Runs them so often; a single failure fails.
pub(crate) fn run(count: u32, filter: Option<&str>) -> Outcome {
    if !tests::has_nextest() {
        let install = "repeating tests needs cargo-nextest: `cargo install cargo-nextest`";
        return Err(Stop::Missing(install.to_owned()));
    }
    let filter = filter.unwrap_or(CONNECTION_TESTS);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    // What is built is not a test: the load comes after it.
    let mut build = process::cargo(["nextest", "run", "--no-run", "--package", "grid-transport"]);
    process::run(build.arg("--all-features"))?;
    println!("{count} × {filter}");
    let at_ease = AtomicBool::new(false);
    let (tallies, ended_well) = thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| burn(&at_ease));
        }
        let outcome = repeat(count, filter, processors * TESTS_A_PROCESSOR);
        at_ease.store(true, Ordering::Relaxed);
        outcome
    })?;
    print(&tallies);
    let runs: u32 = tallies.values().map(|one| one.passed + one.failed).sum();
    let failed: u32 = tallies.values().map(|one| one.failed).sum();
    match (failed, ended_well) {
        (0, true) if runs > 0 => Ok(Done::With(format!(
            "{} tests, {count} times, {runs} runs, no failure",
            tallies.len()
        ))),
        (0, _) => Err(Stop::Failed(format!(
            "{runs} runs without a failure, and the runner did not end well"
        ))),
        (failed, _) => Err(Stop::Failed(format!("{failed} of {runs} runs failed"))),
    }
}

fn burn(at_ease: &AtomicBool) {
    while !at_ease.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

fn repeat(
    count: u32,
    filter: &str,
    threads: usize,
) -> Result<(BTreeMap<String, Tally>, bool), Stop> {
    let mut command = process::cargo(["nextest", "run", "--no-fail-fast", "--all-features"]);
    command
        // It ends tests that hang.
        .args(["--package", "grid-transport", "--profile", "stress"])
        .args(["--message-format", "libtest-json", "--filterset", filter])
        .args(["--test-threads", &threads.to_string()])
        .args(["--stress-count", &count.to_string()])
        .env("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |error| Stop::Failed(format!("can't run nextest: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    let mut tallies = BTreeMap::new();
    let mut told = 0;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufReader::lines)
    {
        let Ok(line) = line else { break };
        let round = round_of(&line);
        if round >= told + 25 {
            told = round;
            println!("round {round} of {count}");
        }
        note(&line, &mut tallies);
    }
    let status = child.wait().map_err(failed)?;
    Ok((tallies, status.success()))
}

/// In which round a line of the runner is, from 0.
fn round_of(line: &str) -> u32 {
    let digits = line
        .split_once("@stress-")
        .map_or("", |(_, rest)| rest.split('$').next().unwrap_or_default());
    digits.parse().unwrap_or(0)
}

/// Takes a line of the runner into account. The name of a test has its round in it.
fn note(line: &str, tallies: &mut BTreeMap<String, Tally>) {
    let Ok(event) = serde_json::from_str::<Event<'_>>(line) else {
        return;
    };
    if event.kind != "test" || !["ok", "failed"].contains(&event.event) {
        return;
    }
    let (program, test) = event.name.split_once('$').unwrap_or(("", &event.name));
    let program = program.split('@').next().unwrap_or(program);
    let tally: &mut Tally = tallies.entry(format!("{program} {test}")).or_default();
    tally.longest = tally.longest.max(event.exec_time);
    if event.event == "ok" {
        tally.passed += 1;
        return;
    }
    tally.failed += 1;
    println!(
        "FAILED: {}\n{}",
        event.name,
        event.stdout.unwrap_or_default()
    );
}

fn print(tallies: &BTreeMap<String, Tally>) {
    println!("\n{:>6} {:>6} {:>8}  test", "passed", "failed", "longest");
    let mut rows: Vec<_> = tallies.iter().collect();
    rows.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.failed));
    for (name, tally) in rows {
        let Tally {
            passed,
            failed,
            longest,
        } = tally;
        println!("{passed:>6} {failed:>6} {longest:>7.2}s  {name}");
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn rounds_of_a_test_are_counted_together() {
        assert_eq!(round_of(r#""name":"a::b@stress-17$c""#), 17);
        let mut tallies = BTreeMap::new();
        for line in [
            r#"{"type":"suite","event":"started","test_count":1}"#,
            r#"{"type":"test","event":"started","name":"a::b@stress-0$c"}"#,
            r#"{"type":"test","event":"ok","name":"a::b@stress-0$c","exec_time":0.5}"#,
            r#"{"type":"test","event":"failed","name":"a::b@stress-1$c","exec_time":0.2,"stdout":"x"}"#,
            r#"{"type":"test","event":"ok","name":"a::b$d","exec_time":0.1}"#,
            "no JSON",
        ] {
            note(line, &mut tallies);
        }
        let found: Vec<_> = tallies
            .iter()
            .map(|(name, tally)| (name.as_str(), tally.passed, tally.failed, tally.longest))
            .collect();
        assert_eq!(found, [("a::b c", 1, 1, 0.5), ("a::b d", 1, 0, 0.1)]);
    }
}
