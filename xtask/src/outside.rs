//! Small crates outside the workspace, one against each layer: what a user's crate can see and do.

use std::fs;
use std::path::Path;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata};

const CRATES: [&str; 3] = ["proto", "transport", "typed"];

/// Copies each crate out of the workspace, builds it there and runs it.
pub(crate) fn run() -> Outcome {
    let root = workspace::root();
    let target = Metadata::load()?.target_directory;
    for name in CRATES {
        let from = root.join("xtask").join("outside").join(name);
        let to = target.join("outside").join(name);
        copy_out(&from, &to, &root)?;
        // With the workspace's target folder: what is compiled alike is compiled once.
        let mut command = process::cargo(["run", "--quiet", "--manifest-path"]);
        command
            .arg(to.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target);
        process::run(command.args(PROFILE))?;
    }
    Ok(Done::With(format!("against {}", CRATES.join(", "))))
}

/// The workspace's own profile, so that what was compiled for it fits.
pub(crate) const PROFILE: [&str; 4] = [
    "--config",
    "profile.dev.debug=\"line-tables-only\"",
    "--config",
    "profile.dev.package.\"*\".opt-level=1",
];

fn copy_out(from: &Path, to: &Path, root: &Path) -> Result<(), Stop> {
    let copied = (|| {
        fs::create_dir_all(to.join("src"))?;
        let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
        let crates = root.join("crates").display().to_string().replace('\\', "/");
        fs::write(
            to.join("Cargo.toml"),
            manifest.replace("../../../crates", &crates),
        )?;
        fs::copy(from.join("src/main.rs"), to.join("src/main.rs"))?;
        // The same versions as ours; cargo strikes out what is not used.
        fs::copy(root.join("Cargo.lock"), to.join("Cargo.lock"))?;
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
