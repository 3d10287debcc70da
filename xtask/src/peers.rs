//! This grid beside others, in one run: builds the programs of `benches/peers` and has them compared.

use std::path::{Path, PathBuf};

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

/// Has tracing write to log, which costs those that trace much and never asked for it. Built with the others, it would
/// do so for all of them.
const APART: &str = "peer-tarpc";

/// What the command line asks for.
pub(crate) struct Wanted {
    pub(crate) quick: bool,
    pub(crate) count: bool,
    /// The folder of what is measured; `peers` in the target directory where nothing is said.
    pub(crate) out: Option<PathBuf>,
    pub(crate) keep: bool,
    /// Handed on to what compares.
    pub(crate) args: Vec<String>,
}

/// Builds all that is compared, and runs it.
pub(crate) fn run(wanted: &Wanted) -> Outcome {
    let root = workspace::root();
    let folder = root.join("benches/peers");
    if !folder.join("Cargo.toml").exists() {
        return Err(Stop::Missing(
            "there are no peers: benches/peers/Cargo.toml is missing".to_owned(),
        ));
    }
    let target = Metadata::load()?.target_directory;
    // Our own binary as everybody gets it; the profile of the others is the same.
    process::run(&mut process::cargo([
        "build",
        "--locked",
        "--release",
        "--package",
        "grid-cli",
    ]))?;
    let built = folder.join("target");
    build(&folder, &built, &[])?;
    let counting = built.join("counting");
    if wanted.count {
        // Counting costs time, so that programs which count are others than those that are timed.
        build(&folder, &counting, &["--features", "peer-harness/count"])?;
    }
    let programs = built.join("release");
    let mut compare = process::program(programs.join("peer-compare"));
    compare.arg("--programs").arg(&programs);
    compare.arg("--grid").arg(target.join("release/grid"));
    let out = wanted.out.clone().unwrap_or_else(|| target.join("peers"));
    compare.arg("--out").arg(out);
    if wanted.count {
        compare.arg("--counting").arg(counting.join("release"));
    }
    if wanted.quick {
        compare.arg("--quick");
    }
    if wanted.keep {
        compare.arg("--keep").arg(root.join("docs/performance"));
    }
    process::run(compare.args(&wanted.args))?;
    Ok(Done::Ok)
}

fn build(folder: &Path, target: &Path, more: &[&str]) -> Result<(), Stop> {
    let apart: [&[&str]; 2] = [&["--workspace", "--exclude", APART], &["--package", APART]];
    for packages in apart {
        let mut command = process::cargo(["build", "--locked", "--release", "--manifest-path"]);
        command
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .args(packages)
            .args(more);
        process::run(&mut command)?;
    }
    Ok(())
}
