//! The connection tests, over and over, on a machine that is busy.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Deserialize;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::tests;

/// What makes, loses, refuses, replaces and ends connections: the test programs of that, and the unit tests of links and
/// sessions. Left out is what finds the same each time, as all of it is decided by seeds (turmoil, `every_history`), and
/// what judges rates beside others or is nothing but bulk data (L20, L22).
const CONNECTION_TESTS: &str = "package(grid-transport) & (\
    binary(/^(bursts|entry|handshake|ping|reject|scenario_links|shutdown|upgrade|waiting)$/) \
    | test(/^(link|session)::/)) - test(/::every_history/) - test(/::l2[02]_/)";
/// Rounds that go on side by side, and tests of each at once, for each processor. That is the load: whatever a test waits
/// for, others keep the processors busy meanwhile.
const ROUNDS_A_PROCESSOR: u32 = 2;
const TESTS_A_ROUND: &str = "3";

/// A line is printed after so many runs.
const TOLD: u64 = 5_000;

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
    let runners = u32::try_from(processors).unwrap_or(1) * ROUNDS_A_PROCESSOR;
    // What is built is not a test: the load comes after it.
    let mut build = process::cargo(["nextest", "run", "--no-run", "--package", "grid-transport"]);
    process::run(build.arg("--all-features"))?;
    println!("{count} × {filter}");
    let tallies = Mutex::new(Tallies::default());
    let ended = thread::scope(|scope| {
        let runners: Vec<_> = shares(count, runners)
            .map(|rounds| {
                let tallies = &tallies;
                scope.spawn(move || repeat(rounds, filter, tallies))
            })
            .collect();
        let ended = runners.into_iter().map(|runner| {
            let panicked = |_| Err(Stop::Failed("a runner panicked".to_owned()));
            runner.join().unwrap_or_else(panicked)
        });
        ended.collect::<Vec<_>>()
    });
    let mut ended_well = true;
    for one in ended {
        ended_well &= one?;
    }
    let tallies = lock(&tallies).by_test.clone();
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

/// All that the runners have told so far.
#[derive(Default)]
struct Tallies {
    by_test: BTreeMap<String, Tally>,
    runs: u64,
}

fn lock(tallies: &Mutex<Tallies>) -> MutexGuard<'_, Tallies> {
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many rounds as evenly over the runners as can be.
fn shares(count: u32, runners: u32) -> impl Iterator<Item = u32> {
    let more = count % runners;
    (0..runners)
        .map(move |runner| count / runners + u32::from(runner < more))
        .filter(|rounds| *rounds > 0)
}

/// Whether the runner ended well.
fn repeat(count: u32, filter: &str, tallies: &Mutex<Tallies>) -> Result<bool, Stop> {
    let mut command = process::cargo(["nextest", "run", "--no-fail-fast", "--all-features"]);
    command
        // It ends tests that hang.
        .args(["--package", "grid-transport", "--profile", "stress"])
        .args(["--message-format", "libtest-json", "--filterset", filter])
        .args(["--test-threads", TESTS_A_ROUND])
        .args(["--stress-count", &count.to_string()])
        .env("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |error| Stop::Failed(format!("can't run nextest: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufReader::lines)
    {
        let Ok(line) = line else { break };
        note(&line, &mut lock(tallies));
    }
    Ok(child.wait().map_err(failed)?.success())
}

/// Takes a line of the runner into account. The name of a test has its round in it.
fn note(line: &str, tallies: &mut Tallies) {
    let Ok(event) = serde_json::from_str::<Event<'_>>(line) else {
        return;
    };
    if event.kind != "test" || !["ok", "failed"].contains(&event.event) {
        return;
    }
    let (program, test) = event.name.split_once('$').unwrap_or(("", &event.name));
    let program = program.split('@').next().unwrap_or(program);
    tallies.runs += 1;
    if tallies.runs.is_multiple_of(TOLD) {
        println!("{} runs", tallies.runs);
    }
    let name = format!("{program} {test}");
    let tally = tallies.by_test.entry(name).or_default();
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
        let mut tallies = Tallies::default();
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
            .by_test
            .iter()
            .map(|(name, tally)| (name.as_str(), tally.passed, tally.failed, tally.longest))
            .collect();
        assert_eq!(found, [("a::b c", 1, 1, 0.5), ("a::b d", 1, 0, 0.1)]);
        assert_eq!(tallies.runs, 3);
    }

    #[test]
    fn every_round_has_a_runner() {
        for (count, runners) in [(500, 4), (7, 4), (3, 4), (1, 1)] {
            let shares: Vec<u32> = shares(count, runners).collect();
            assert_eq!(shares.iter().sum::<u32>(), count);
            assert!(shares.iter().all(|share| *share > 0));
            assert!(shares.len() <= runners as usize);
        }
    }
}
