//! Instructions that the paths which everything takes cost, against the figures that are kept.
//!
//! The same program takes the same number of instructions each time, on a busy machine too, so that a change of a few
//! per cent shows where no clock would tell it from noise. What it takes is decided by the compiler and the C library as
//! well: figures of others are not compared.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

/// Where the figures are.
const KEPT: &str = "docs/performance/gate.json";

/// The program that runs the scenarios, and the package it belongs to.
const PACKAGE: &str = "grid-proto";
const BENCH: &str = "gate";

/// One unit of code generation: else a function may be inlined or not by which files stand next to each other.
const PROFILE: [&str; 4] = [
    "--config",
    "profile.bench.codegen-units=1",
    "--config",
    "profile.bench.debug=false",
];

/// How much more than the kept figure is a failure, in per cent.
const LIMIT: f64 = 3.0;

/// The figures in [`KEPT`].
#[derive(Serialize, Deserialize)]
struct Kept {
    made_by: MadeBy,
    /// By scenario, for each of the messages, requests or items.
    instructions: BTreeMap<String, f64>,
}

/// What else decides how many instructions there are.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct MadeBy {
    rustc: String,
    host: String,
    libc: String,
    valgrind: String,
}

impl fmt::Display for MadeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rustc,
            host,
            libc,
            valgrind,
        } = self;
        write!(f, "{rustc} for {host}, {libc}, {valgrind}")
    }
}

/// Counts, and compares with what is kept; or keeps what it counted.
pub(crate) fn run(keep: bool) -> Outcome {
    if !process::works(&mut valgrind(["--version"])) {
        return Ok(Done::NotRun(
            "valgrind, which counts the instructions, is not installed".to_owned(),
        ));
    }
    let made_by = MadeBy::here()?;
    let path = workspace::root().join(KEPT);
    let kept = match fs::read_to_string(&path) {
        Ok(text) => Some(parse(&text)?),
        Err(_) if keep => None,
        Err(error) => return Err(Stop::Failed(format!("{KEPT}: {error}"))),
    };
    if let Some(kept) = &kept
        && kept.made_by != made_by
        && !keep
    {
        return Ok(Done::NotRun(format!(
            "not compared: the figures are of {}, and this is {made_by}",
            kept.made_by
        )));
    }
    let before = kept.map(|kept| kept.instructions).unwrap_or_default();
    let counted = count(&before)?;
    if keep {
        let kept = Kept {
            made_by,
            instructions: counted,
        };
        write(&path, &kept)?;
        return Ok(Done::With(format!("kept in {KEPT}")));
    }
    let faults = faults(&before, &counted);
    if faults.is_empty() {
        return Ok(Done::With(format!(
            "{} figures, none more than {LIMIT} % over what is kept",
            counted.len()
        )));
    }
    Err(Stop::Failed(format!(
        "{}; `cargo xtask gate --keep` where that is meant",
        faults.join("; ")
    )))
}

impl MadeBy {
    fn here() -> Result<Self, Stop> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = process::capture(process::program(rustc).arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let libc = process::capture(process::program("getconf").arg("GNU_LIBC_VERSION"));
        let valgrind = process::capture(&mut valgrind(["--version"]))?;
        Ok(Self {
            rustc: version.lines().next().unwrap_or_default().to_owned(),
            host: host.unwrap_or_default().to_owned(),
            libc: libc.map_or_else(|_| "no glibc".to_owned(), |name| name.trim().to_owned()),
            valgrind: valgrind.trim().to_owned(),
        })
    }
}

fn parse(text: &str) -> Result<Kept, Stop> {
    serde_json::from_str(text).map_err(|error| Stop::Failed(format!("{KEPT}: {error}")))
}

fn write(path: &Path, kept: &Kept) -> Result<(), Stop> {
    let failed = |error: &dyn fmt::Display| Stop::Failed(format!("{KEPT}: {error}"));
    let text = serde_json::to_string_pretty(kept).map_err(|error| failed(&error))?;
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(|error| failed(&error))?;
    fs::write(path, text + "\n").map_err(|error| failed(&error))
}

/// Counts every scenario, and prints a table.
fn count(before: &BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>, Stop> {
    let program = build()?;
    let list = process::capture(process::program(&program).arg("list"))?;
    let out = Metadata::load()?.target_directory.join("gate.out");
    println!(
        "\n{:<18} {:>12} {:>12} {:>9} {:>10}",
        "scenario", "instructions", "kept", "change", "per byte"
    );
    let mut counted = BTreeMap::new();
    for line in list.lines() {
        let scenario = Scenario::parse(line)
            .ok_or_else(|| Stop::Failed(format!("{BENCH} lists something else: {line:?}")))?;
        let once = instructions(&program, &out, &scenario.name, scenario.times)?;
        let twice = instructions(&program, &out, &scenario.name, 2 * scenario.times)?;
        let each = scenario.each(once, twice);
        let change = before.get(&scenario.name).map_or_else(
            || format!("{:>12} {:>9}", "-", "-"),
            |kept| format!("{kept:>12.1} {:>+7.1} %", change(*kept, each)),
        );
        println!(
            "{:<18} {each:>12.1} {change} {:>10.3}",
            scenario.name,
            each / scenario.len
        );
        counted.insert(scenario.name, each);
    }
    // What was counted is in the table; the file says where, and only for the last of them.
    let _ = fs::remove_file(out);
    Ok(counted)
}

/// Builds the program and says where it is.
fn build() -> Result<PathBuf, Stop> {
    let mut command = process::cargo(["bench", "--package", PACKAGE, "--bench", BENCH]);
    command.args(["--no-run", "--message-format=json-render-diagnostics"]);
    // For the plain processor of the target, whatever is set here for other builds.
    command.args(PROFILE).env("CARGO_ENCODED_RUSTFLAGS", "");
    executable(&process::capture(&mut command)?)
        .ok_or_else(|| Stop::Failed(format!("cargo built no bench `{BENCH}`")))
}

/// The program among what cargo says that it has built.
fn executable(messages: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Built {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Built>(line).ok())
        .filter(|built| built.target.name == BENCH)
        .find_map(|built| built.executable)
}

/// A line of what the program lists.
struct Scenario {
    name: String,
    /// How many go together.
    count: f64,
    /// Bytes of the application in each of them.
    len: f64,
    /// How often so many are done for one count.
    times: u64,
}

impl Scenario {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        Some(Self {
            name: words.next()?.to_owned(),
            count: words.next()?.parse().ok()?,
            len: words.next()?.parse().ok()?,
            times: words.next()?.parse().ok()?,
        })
    }

    /// Instructions for each of those that go together, to a tenth, from a run and one of twice its length: what comes
    /// before is the same in both.
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are fewer than 2^52 instructions"
    )]
    fn each(&self, once: u64, twice: u64) -> f64 {
        let more = twice.saturating_sub(once) as f64;
        (more / (self.times as f64 * self.count) * 10.0).round() / 10.0
    }
}

/// Instructions of the whole program.
fn instructions(program: &Path, out: &Path, scenario: &str, times: u64) -> Result<u64, Stop> {
    let mut command = valgrind(["--tool=callgrind", "-q"]);
    // Where the stack begins follows from what is in the environment. A processor may copy with one instruction for
    // all bytes, which is counted as one for each: that is nothing that a processor does.
    command.env_clear();
    command.env(
        "GLIBC_TUNABLES",
        "glibc.cpu.x86_rep_movsb_threshold=1073741824",
    );
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command
        .arg(program)
        .args(["run", scenario])
        .arg(times.to_string());
    process::capture(&mut command)?;
    let text = fs::read_to_string(out)
        .map_err(|error| Stop::Failed(format!("{}: {error}", out.display())))?;
    summary(&text).ok_or_else(|| Stop::Failed(format!("{}: no summary", out.display())))
}

fn summary(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("summary:"))?;
    line.trim().parse().ok()
}

fn valgrind<const N: usize>(args: [&str; N]) -> std::process::Command {
    let mut command = process::program("valgrind");
    command.args(args);
    command
}

/// By how many per cent.
fn change(kept: f64, counted: f64) -> f64 {
    (counted - kept) * 100.0 / kept
}

/// What is wrong with what was counted.
fn faults(kept: &BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, now) in counted {
        match kept.get(name) {
            Some(before) if change(*before, *now) > LIMIT => faults.push(format!(
                "{name} takes {now:.1} instructions, {:+.1} % over {before:.1}",
                change(*before, *now)
            )),
            Some(_) => {}
            None => faults.push(format!("{name} has no figure in {KEPT}")),
        }
    }
    for name in kept.keys().filter(|name| !counted.contains_key(*name)) {
        faults.push(format!("{name} has a figure in {KEPT} and is not counted"));
    }
    faults
}

#[cfg(test)]
mod unit {
    use super::*;

    fn figures<const N: usize>(figures: [(&str, f64); N]) -> BTreeMap<String, f64> {
        figures
            .map(|(name, figure)| (name.to_owned(), figure))
            .into()
    }

    #[test]
    fn three_per_cent_more_pass_and_what_is_over_does_not() {
        let kept = figures([("a", 1000.0), ("b", 1000.0), ("c", 1000.0)]);
        let counted = figures([("a", 1030.0), ("b", 1031.0), ("c", 10.0)]);
        assert_eq!(
            faults(&kept, &counted),
            ["b takes 1031.0 instructions, +3.1 % over 1000.0"]
        );
    }

    #[test]
    fn every_scenario_has_a_figure_and_every_figure_a_scenario() {
        let found = faults(&figures([("old", 1.0)]), &figures([("new", 1.0)]));
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("new has no figure"), "{found:?}");
        assert!(found[1].starts_with("old has a figure"), "{found:?}");
    }

    #[test]
    fn what_comes_before_is_in_both_runs_and_counts_in_none() {
        let scenario = Scenario::parse("encode/32x512 32 512 100").unwrap();
        assert_eq!(scenario.each(5_000 + 320_000, 5_000 + 640_000), 100.0);
    }

    #[test]
    fn what_other_programs_write_is_read() {
        assert_eq!(
            summary("events: Ir\nsummary: 1234\n\nfn=a\n1 2\n\ntotals: 1234\n"),
            Some(1234)
        );
        let built = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"codec"},"executable":"/t/codec"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"gate"},"executable":"/t/gate-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(built), Some(PathBuf::from("/t/gate-1")));
    }

    #[test]
    fn the_kept_figures_can_be_read() {
        let text = fs::read_to_string(workspace::root().join(KEPT)).unwrap();
        assert!(!parse(&text).unwrap().instructions.is_empty());
    }
}
