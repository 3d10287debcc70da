//! Fuzzing every target for a while, and compiling the targets without fuzzing.

mod corpus;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

const INSTALL_NIGHTLY: &str =
    "fuzzing needs a nightly toolchain: `rustup toolchain install nightly`";
const INSTALL_CARGO_FUZZ: &str = "fuzzing needs cargo-fuzz: `cargo install cargo-fuzz`";

/// Fuzzes each target for so many seconds, and keeps what it found worth keeping where that is wanted. Otherwise the
/// tree stays as it is, but for crashes found.
pub(crate) fn run(seconds: u32, only: Option<&str>, keep: bool) -> Outcome {
    let manifest = manifest().ok_or_else(|| {
        Stop::Missing("there is no fuzz workspace: fuzz/Cargo.toml is missing".to_owned())
    })?;
    let metadata = Metadata::of(&manifest)?;
    let targets = chosen(&metadata, only)?;
    if !process::works(&mut process::cargo_of("nightly", ["--version"])) {
        return Err(Stop::Missing(INSTALL_NIGHTLY.to_owned()));
    }
    if !process::works(&mut process::cargo_of("nightly", ["fuzz", "--version"])) {
        return Err(Stop::Missing(INSTALL_CARGO_FUZZ.to_owned()));
    }
    let scratch = Metadata::load()?.target_directory.join("fuzz");
    for target in &targets {
        println!("\n==> {target}: {seconds} s");
        let corpus = scratch.join("corpus").join(target);
        let known = copy_seeds(target, &corpus)?;
        let packed = kept().join(format!("{target}.bin"));
        let unpacked = corpus::unpack(&packed, &corpus).map_err(failed(&packed))?;
        println!("{} seeds, {unpacked} inputs kept", known.len());
        let mut command = process::cargo_of(
            "nightly",
            ["fuzz", "run", "--fuzz-dir", "fuzz", "--target-dir"],
        );
        command.arg(&scratch).arg(target).arg(&corpus).arg("--");
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg("-print_final_stats=1");
        process::run(&mut command)?;
        if keep {
            let mut minimise = process::cargo_of(
                "nightly",
                ["fuzz", "cmin", "--fuzz-dir", "fuzz", "--target-dir"],
            );
            process::run(minimise.arg(&scratch).arg(target).arg(&corpus))?;
            let inputs = corpus::pack(&corpus, &known, &packed).map_err(failed(&packed))?;
            println!("{inputs} inputs kept");
        }
    }
    if keep {
        corpus::check_size(&kept()).map_err(Stop::Failed)?;
    }
    Ok(Done::With(format!(
        "{}, {seconds} s each",
        targets.join(", ")
    )))
}

/// Compiles the targets with the toolchain at hand.
pub(crate) fn check() -> Outcome {
    let Some(manifest) = manifest() else {
        return Ok(Done::NotRun("fuzz/Cargo.toml is missing".to_owned()));
    };
    let target = Metadata::load()?.target_directory;
    let mut command = process::cargo(["check", "--manifest-path"]);
    process::run(
        command
            .arg(manifest)
            .arg("--target-dir")
            .arg(target.join("fuzz-check"))
            // Nothing is linked, so libFuzzer needs not be there: to build it takes a C++ compiler, and its time.
            .env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a"),
    )?;
    Ok(Done::Ok)
}

fn manifest() -> Option<PathBuf> {
    Some(workspace::root().join("fuzz").join("Cargo.toml")).filter(|path| path.exists())
}

/// Where corpora are kept.
fn kept() -> PathBuf {
    workspace::root().join("fuzz").join("corpus")
}

fn failed(what: &Path) -> impl FnOnce(std::io::Error) -> Stop {
    let what = what.display().to_string();
    move |error| Stop::Failed(format!("{what}: {error}"))
}

fn chosen(metadata: &Metadata, only: Option<&str>) -> Result<Vec<String>, Stop> {
    let all: Vec<String> = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.is("bin"))
        .map(|target| target.name.clone())
        .collect();
    match only {
        None if all.is_empty() => Err(Stop::failed("the fuzz workspace has no target")),
        None => Ok(all),
        Some(name) if all.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(Stop::Missing(format!(
            "there is no fuzz target '{name}', there are: {}",
            all.join(", ")
        ))),
    }
}

/// Copies the committed seeds of a target to where the fuzzer may add to them.
fn copy_seeds(target: &str, corpus: &Path) -> Result<BTreeSet<Vec<u8>>, Stop> {
    fs::create_dir_all(corpus).map_err(failed(corpus))?;
    let crates = workspace::root().join("crates");
    let mut copied = BTreeSet::new();
    for folder in fs::read_dir(&crates).map_err(failed(&crates))?.flatten() {
        let seeds = folder.path().join("fuzz-seeds").join(target);
        if !seeds.is_dir() {
            continue;
        }
        for seed in fs::read_dir(&seeds).map_err(failed(&seeds))?.flatten() {
            let bytes = fs::read(seed.path()).map_err(failed(&seed.path()))?;
            let copy = corpus.join(seed.file_name());
            fs::write(&copy, &bytes).map_err(failed(&copy))?;
            copied.insert(bytes);
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod unit {
    use super::*;

    const METADATA: &str = r#"{"packages":[{"name":"fuzz","manifest_path":"/f/Cargo.toml",
        "dependencies":[],"rust_version":null,"targets":[
        {"name":"frame","kind":["bin"],"src_path":"/f/a.rs"},
        {"name":"merged","kind":["bin"],"src_path":"/f/b.rs"}]}]}"#;

    #[test]
    fn all_targets_or_the_one_that_was_named() -> Result<(), Stop> {
        let metadata = Metadata::parse(METADATA)?;
        assert_eq!(chosen(&metadata, None)?, ["frame", "merged"]);
        assert_eq!(chosen(&metadata, Some("merged"))?, ["merged"]);
        let error = chosen(&metadata, Some("nonsense"));
        assert!(error.is_err_and(|stop| stop.to_string().contains("frame, merged")));
        Ok(())
    }
}
