//! Each library by itself: the workspace's build switches all features on and so hides a missing gate.

use crate::process;
use crate::report::{Done, Outcome};
use crate::workspace::Metadata;

pub(crate) fn run() -> Outcome {
    let metadata = Metadata::load()?;
    let mut builds = 0;
    for library in metadata.libraries() {
        // Nobody builds upon the library of a program, which has no features and many dependencies.
        if library.targets.iter().any(|target| target.is("bin")) {
            continue;
        }
        let public = library
            .features
            .keys()
            .filter(|name| !name.starts_with("__"));
        let alone = public
            .filter(|name| *name != "default")
            .map(|name| vec!["--features", name]);
        for features in std::iter::once(Vec::new()).chain(alone) {
            // Clippy rather than check: its artefacts of the dependencies are there already, and
            // it can turn warnings into errors without another RUSTFLAGS, which rebuilds everything.
            let mut command =
                process::cargo(["clippy", "--lib", "--no-default-features", "--package"]);
            command
                .arg(&library.name)
                .args(&features)
                .args(["--", "-D", "warnings"]);
            process::run(&mut command)?;
            builds += 1;
        }
    }
    Ok(Done::With(format!("{builds} builds of the libraries")))
}
