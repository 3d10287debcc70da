//! The tests of grid-transport under the sanitizers of a nightly compiler.

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

/// The only target that is tried.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What is leaked on purpose, for the part of the address sanitizer that looks for leaks.
const LEAKS: &str = "xtask/leaks.txt";
/// Miri interprets, and has no sockets: it gets what is small and needs none.
const FOR_MIRI: [&str; 5] = ["miri", "test", "--package", "grid-transport", "--lib"];
const MIRI_FILTER: &str = "link::guard";

/// Each sanitizer that can be had, one after the other. Those that can't are named, and are no
/// failure.
pub(crate) fn run() -> Outcome {
    if !process::works(&mut process::cargo_of("nightly", ["--version"])) {
        return skipped("sanitizers", "there is no nightly toolchain");
    }
    let mut notes = vec![address()?];
    notes.push(if has_component("rust-src") {
        thread()?
    } else {
        not_run("thread sanitizer", "rust-src of the nightly is missing")
    });
    notes.push(
        if process::works(&mut process::cargo_of("nightly", ["miri", "--version"])) {
            miri()?
        } else {
            not_run("miri", "the component miri of the nightly is missing")
        },
    );
    Ok(Done::With(notes.join("; ")))
}

/// The standard library need not be built anew for it.
fn address() -> Result<String, Stop> {
    sanitized("address", &[])?;
    Ok("address sanitizer: clean".to_owned())
}

/// Without a standard library that is built with it, every lock of it would look like a race.
fn thread() -> Result<String, Stop> {
    sanitized("thread", &["-Zbuild-std"])?;
    Ok("thread sanitizer: clean".to_owned())
}

fn miri() -> Result<String, Stop> {
    let mut command = process::cargo_of("nightly", FOR_MIRI);
    process::run(command.args(["--", MIRI_FILTER]))?;
    Ok(format!("miri: clean on {MIRI_FILTER}"))
}

fn sanitized(name: &str, more: &[&str]) -> Result<(), Stop> {
    let target_dir = Metadata::load()?
        .target_directory
        .join(format!("sanitize-{name}"));
    let mut command = process::cargo_of("nightly", ["test", "--package", "grid-transport"]);
    command
        .args(["--all-features", "--lib", "--tests", "--no-fail-fast"])
        .args(["--target", TARGET])
        .args(more)
        .arg("--target-dir")
        .arg(target_dir)
        // With a target given, build scripts and macros are built without it.
        .env("RUSTFLAGS", format!("-Zsanitizer={name}"))
        // What is freed stays resident, and nothing is as quick as it is: tests that judge by that say so and don't.
        .env("GRID_SANITIZER", name)
        .env(
            "LSAN_OPTIONS",
            format!("suppressions={}", workspace::root().join(LEAKS).display()),
        );
    process::run(&mut command)
}

fn has_component(name: &str) -> bool {
    let mut command = process::program("rustup");
    command.args(["component", "list", "--toolchain", "nightly", "--installed"]);
    process::capture(&mut command).is_ok_and(|list| list.lines().any(|line| line.starts_with(name)))
}

fn skipped(what: &str, reason: &str) -> Outcome {
    Ok(Done::NotRun(format!("{what}: {reason}")))
}

/// Says so at once, where somebody looks who waits for the rest.
fn not_run(what: &str, reason: &str) -> String {
    let line = format!("{what}: not run: {reason}");
    println!("{line}");
    line
}
