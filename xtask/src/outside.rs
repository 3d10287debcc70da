//! Small crates outside the workspace, one against each layer: what a user's crate can see and do.

use std::fs;
use std::path::Path;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

const CRATES: [&str; 3] = ["proto", "transport", "typed"];

/// Copies the crates out of the workspace, into one of their own, builds them there and runs each.
pub(crate) fn run() -> Outcome {
    let root = workspace::root();
    let target = Metadata::load()?.target_directory;
    let outside = target.join("outside");
    for name in CRATES {
        copy_out(
            &root.join("xtask").join("outside").join(name),
            &outside.join(name),
            &root,
        )?;
    }
    let manifest = outside.join("Cargo.toml");
    let members = CRATES.map(|name| format!("\"{name}\"")).join(", ");
    // The same versions as ours; cargo strikes out what is not used.
    fs::copy(root.join("Cargo.lock"), outside.join("Cargo.lock"))
        .and_then(|_| {
            fs::write(
                &manifest,
                format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"),
            )
        })
        .map_err(|error| Stop::Failed(format!("{}: {error}", manifest.display())))?;
    // Together, so that what they depend on is compiled once; `package` builds each layer by itself.
    let cargo = |task: &[&str]| {
        let mut command = process::cargo(task);
        command
            .arg("--manifest-path")
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target);
        command.args(PROFILE);
        command
    };
    process::run(&mut cargo(&["build", "--quiet", "--workspace"]))?;
    for name in CRATES {
        let program = format!("outside-{name}{}", std::env::consts::EXE_SUFFIX);
        process::run(&mut process::program(target.join("debug").join(program)))?;
    }
    Ok(Done::With(format!("against {}", CRATES.join(", "))))
}

/// As the workspace's own profile has it for what runs little, so that what was compiled for it fits; the rest has other
/// features here anyway.
const PROFILE: [&str; 4] = [
    "--config",
    "profile.dev.debug=\"line-tables-only\"",
    "--config",
    "profile.dev.package.\"*\".debug=false",
];

fn copy_out(from: &Path, to: &Path, root: &Path) -> Result<(), Stop> {
    let copied = (|| {
        fs::create_dir_all(to.join("src"))?;
        let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
        let crates = root.join("crates").display().to_string().replace('\\', "/");
        fs::write(
            to.join("Cargo.toml"),
            // The one that it becomes a part of is above it.
            manifest
                .replace("../../../crates", &crates)
                .replace("[workspace]\n", ""),
        )?;
        fs::copy(from.join("src/main.rs"), to.join("src/main.rs"))?;
        std::io::Result::Ok(())
    })();
    copied.map_err(|error| {
        Stop::Failed(format!(
            "can't copy {} to {}: {error}",
            from.display(),
            to.display()
        ))
    })
}
