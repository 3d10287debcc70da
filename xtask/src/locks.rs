//! Lock files that say what is built: a stale one has others build something else, or nothing.

use crate::process;
use crate::report::{Done, Outcome};
use crate::workspace::{self, WORKSPACES};

/// Fails where a lock file doesn't fit its manifests.
pub(crate) fn run() -> Outcome {
    for folder in WORKSPACES {
        let manifest = workspace::root().join(folder).join("Cargo.toml");
        let update = |how: &[&str]| {
            let mut command = process::cargo(["update", "--workspace", "--locked"]);
            command.args(how).arg("--manifest-path").arg(&manifest);
            command
        };
        // What was fetched once will do; where it doesn't, cargo asks the registry and says what is wrong.
        if !process::works(&mut update(&["--offline"])) {
            process::run(&mut update(&[]))?;
        }
    }
    Ok(Done::With(format!("of {} workspaces", WORKSPACES.len())))
}

#[cfg(test)]
mod unit {
    use super::{WORKSPACES, process, workspace};

    #[test]
    fn every_lock_file_is_looked_at() {
        let mut git = process::program("git");
        let Ok(listed) = process::capture(git.args(["ls-files", "*Cargo.lock"])) else {
            // A tree without its history; one with it tells.
            return;
        };
        let mut expected = WORKSPACES.map(|folder| match folder {
            "" => "Cargo.lock".to_owned(),
            folder => format!("{folder}/Cargo.lock"),
        });
        expected.sort();
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, expected);
        for folder in WORKSPACES {
            assert!(workspace::root().join(folder).join("Cargo.toml").exists());
        }
    }
}
